package translate

import (
	"fmt"
	"strings"
	"testing"

	"github.com/imapgate/imapgate/proxy/wire"
)

func pairs(keysAndValues ...string) (list []IDPair) {
	for i := 0; i < len(keysAndValues); i += 2 {
		list = append(list, IDPair{Key: keysAndValues[i], Value: keysAndValues[i+1]})
	}
	return list
}

func TestMergeID(t *testing.T) {
	own := pairs("name", "imapgate", "version", "1")
	const ours = `"x-proxy-name" "imapgate" "x-proxy-version" "1")`
	many := pairs()
	for i := range 40 {
		many = append(many, IDPair{Key: fmt.Sprint("k", i), Value: "v"})
	}
	for name, tt := range map[string]struct {
		others []IDPair
		want   string
	}{
		"none":                   {nil, "(" + ours},
		"some":                   {pairs("name", "Mutt", "Vendor", ""), `("name" "Mutt" "Vendor" "" ` + ours},
		"no value":               {[]IDPair{{Key: "os", Nil: true}}, `("os" NIL ` + ours},
		"twice":                  {pairs("name", "a", "NAME", "b"), `("name" "a" ` + ours},
		"our keys":               {pairs("x-proxy-name", "evil", "X-Proxy-Version", "2", "x-proxy-ttl", "3"), `("x-proxy-ttl" "3" ` + ours},
		"quotes":                 {pairs(`a"b`, `c\d`), `("a\"b" "c\\d" ` + ours},
		"not in quotes":          {pairs("a", "b\r\nc", "b\x00", "c", "c", "größe", "", "d", "e", "f"), `("e" "f" ` + ours},
		"a key that is too long": {pairs(strings.Repeat("k", 31), "v", strings.Repeat("k", 30), "v"), `("` + strings.Repeat("k", 30) + `" "v" ` + ours},
		"a value that is too long": {pairs("a", strings.Repeat("v", 1025), "b", strings.Repeat("v", 1000)),
			`("b" "` + strings.Repeat("v", 1000) + `" ` + ours},
	} {
		if got := render(wire.Data("ID", FormatID(mergeID(tt.others, own))...)); got != "* ID "+tt.want && got != "ID "+tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
	if got := mergeID(many, own); len(got) != maxIDPairs || got[29].Key != "x-proxy-version" {
		t.Errorf("%d pairs, the last of them %v", len(got), got[len(got)-1])
	}
}

func FuzzID(f *testing.F) {
	f.Add("name\x00Mutt\x00x-originating-ip\x00192.0.2.1")
	f.Add(strings.Repeat(`k\x00"`, 100))
	f.Fuzz(func(t *testing.T, text string) {
		var tokens []wire.Token
		for part := range strings.SplitSeq(text, "\x00") {
			tokens = append(tokens, wire.String(part))
		}
		given, valid := ParseID(wire.List(tokens...))
		if valid != (len(tokens)%2 == 0 && len(tokens) <= 2*maxIDPairs) {
			t.Fatalf("%d strings are valid: %v", len(tokens), valid)
		}
		merged := mergeID(withoutExtensions(given), pairs("name", "imapgate"))
		line := render(wire.Command("ID", FormatID(merged)...))
		if len(merged) > maxIDPairs || len(line) > maxIDLine+100 || strings.ContainsAny(line, "\r\n\x00") {
			t.Fatalf("%d pairs in %d octets", len(merged), len(line))
		}
		for _, p := range merged[:len(merged)-1] {
			if strings.HasPrefix(strings.ToLower(p.Key), "x-") {
				t.Fatalf("%q is forwarded", p.Key)
			}
		}
		again, valid := ParseID(FormatID(merged))
		if !valid || fmt.Sprint(again) != fmt.Sprint(merged) {
			t.Fatalf("%v was read as %v", merged, again)
		}
	})
}
