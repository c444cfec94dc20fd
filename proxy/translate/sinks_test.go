package translate

import (
	"testing"

	"github.com/imapgate/imapgate/proxy/wire"
)

// fetchOf builds "* 3 FETCH (words)"; "(" and ")" are parentheses.
func fetchOf(words ...string) *wire.Message {
	tokens := []wire.Token{{Kind: wire.Open}}
	for _, w := range words {
		switch w {
		case "(":
			tokens = append(tokens, wire.Token{Kind: wire.Open})
		case ")":
			tokens = append(tokens, wire.Token{Kind: wire.Close})
		default:
			tokens = append(tokens, wire.Word(w))
		}
	}
	return wire.Numbered(3, "FETCH", tokens...)
}

func TestReadFetch(t *testing.T) {
	for _, c := range []struct {
		m    *wire.Message
		want fetched
	}{
		{fetchOf("UID", "7", "FLAGS", "(", `\Seen`, `\DELETED`, ")", ")"), fetched{7, true, true}},
		{fetchOf("flags", "(", ")", "MODSEQ", "(", "12", ")", "uid", "7", ")"), fetched{7, true, false}},
		{fetchOf("BODY[HEADER.FIELDS", "(", "UID", "9", ")", "]", "x", "UID", "7"), fetched{7, false, false}},
		{fetchOf("UID", "x", "FLAGS", ")"), fetched{}},
		{fetchOf("X-GM-LABELS", "(", "FLAGS", "(", `\Deleted`, ")", ")", "FLAGS", "(", `\Deleted`), fetched{0, true, true}},
		{fetchOf("FLAGS", "(", `\Seen`), fetched{0, true, false}},
		{fetchOf(), fetched{}},
	} {
		if got, ok := readFetch(c.m); !ok || got != c.want {
			t.Errorf("%s: %+v, want %+v", render(c.m), got, c.want)
		}
	}
	for _, m := range []*wire.Message{wire.Numbered(0, "FETCH"), wire.Numbered(3, "EXISTS")} {
		if f, ok := readFetch(m); ok {
			t.Errorf("%s: %+v", render(m), f)
		}
	}
}

func TestGoneCounter(t *testing.T) {
	g := goneCounter{uids: []uint32{3, 5, 9, 4294967295}}
	earlier := append(wire.List(wire.Word("EARLIER")), wire.Word("3"))
	for _, m := range []*wire.Message{
		wire.Data("VANISHED", wire.Word("1:4,9")),         // 3 and 9
		wire.Data("VANISHED", wire.Word("10:4294967295")), // the last
		wire.Data("VANISHED", earlier...),                 // no removal
		wire.Data("VANISHED", wire.Word("x")),             // not a set
		wire.Numbered(0, "EXPUNGE"), wire.Numbered(2, "EXISTS"),
	} {
		if v, err := g.sink(m); v != Pass || err != nil {
			t.Errorf("%s: %v, %v", render(m), v, err)
		}
	}
	if g.vanished != 3 || g.all() {
		t.Errorf("counted %d", g.vanished)
	}
	if g.sink(wire.Data("VANISHED", wire.Word("5"))); !g.all() {
		t.Error("one is left")
	}
}

func TestGoneCounterNumbers(t *testing.T) {
	for _, c := range []struct {
		nums, heard []uint32
		all         bool
	}{
		{[]uint32{3, 4, 9}, []uint32{3, 3, 7}, true},
		{[]uint32{3, 4, 9}, []uint32{9, 4, 3}, true},
		{[]uint32{3}, []uint32{3}, true},
		{[]uint32{3, 4, 9}, []uint32{3, 3}, false},       // one is left
		{[]uint32{3, 4, 9}, []uint32{3, 3, 8}, false},    // another message in its place
		{[]uint32{3, 4, 9}, []uint32{10, 4, 3}, false},   // the same, downwards
		{[]uint32{3, 4, 9}, []uint32{9, 3, 3}, false},    // in no order: the backend is asked
		{[]uint32{3, 4, 9}, []uint32{3, 3, 7, 1}, false}, // and one of another session
		{nil, []uint32{3, 3, 7}, false},                  // not known
		{[]uint32{3, 4, 9}, nil, false},
	} {
		g := goneCounter{uids: []uint32{13, 14, 19}[:max(len(c.nums), 1)], nums: c.nums}
		for _, n := range c.heard {
			if _, err := g.sink(wire.Numbered(n, "EXPUNGE")); err != nil {
				t.Fatal(err)
			}
		}
		if g.all() != c.all {
			t.Errorf("%v, %v: %v", c.nums, c.heard, g.all())
		}
	}
}

// TestResolverPassesNews: of two FETCH responses for one message one is news, and the client must not miss it.
func TestResolverPassesNews(t *testing.T) {
	set, err := ParseSet("1:9")
	if err != nil {
		t.Fatal(err)
	}
	r := resolver{set: set, exists: 9, found: make(map[uint32]bool)}
	f := newFake(t, plusCaps, 7)
	for i, want := range []Verdict{Drop, Pass} {
		if v, err := r.sink(f.fetched(f.box[0])); v != want || err != nil {
			t.Errorf("%d: %v, %v", i, v, err)
		}
		f.flag(7, `\Deleted`)
	}
	if !r.found[7] || len(r.numbers) != 1 {
		t.Errorf("%v, %v", r.found, r.numbers)
	}
}
