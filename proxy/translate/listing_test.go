package translate

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/imapgate/imapgate/proxy/wire"
)

// parsed reads a command's arguments as the reader of commands would.
func parsed(line string) (*wire.Message, error) {
	in := wire.NewCommands(strings.NewReader("a LIST " + line + "\r\n"))
	var m wire.Message
	if err := in.Next(&m); err != nil {
		return nil, err
	}
	return &m, in.Collect(&m, 1000, func() error { return nil })
}

func TestParseList(t *testing.T) {
	for line, want := range map[string]string{
		`"" *`:                     `LIST "" "*"`,
		`ref "a b"`:                `LIST "ref" "a b"`,
		`() "" %`:                  `LIST "" "%"`,
		`"" ""`:                    `LIST "" ""`,
		`() "" ""`:                 `LIST "" ("")`,
		`"" ("")`:                  `LIST "" ("")`,
		`"" (a)`:                   `LIST "" "a"`,
		`"" (a b)`:                 `LIST "" ("a" "b")`,
		`"" a RETURN ()`:           `LIST "" "a"`,
		`"" "" RETURN ()`:          `LIST "" ("")`,
		`"" {1}` + "\r\n" + `*`:    `LIST "" "*"`,
		`"" "\"x\\"`:               `LIST "" "\"x\\"`,
		`"" a return (Subscribed)`: `LIST "" "a" RETURN (SUBSCRIBED)`,
		`(SUBSCRIBED X (Y (Z))) "" a RETURN (STATUS (MESSAGES) CHILDREN)`: `LIST (SUBSCRIBED X (Y (Z))) "" "a" RETURN (STATUS (MESSAGES) CHILDREN)`,
	} {
		m, err := parsed(line)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		c, err := parseList(m)
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		if got := render(c.message()); got != want {
			t.Errorf("%s: got %s, want %s", line, got, want)
		}
	}
	for _, line := range []string{
		``, `""`, `"" ()`, `"" (()) `, `(a b`, `() ""`, `"" a b`, `"" a RETURN`, `"" a RETURN x`, `"" a RETURN (x) y`, `"" a"b"`, `"x"a b`,
		`("x") "" a`, `((x)) "" a`, `"" a RETURN ("x")`, `(a)`, `"" (a "b"c)`,
	} {
		m, err := parsed(line)
		if err != nil {
			continue
		}
		if c, err := parseList(m); err == nil {
			t.Errorf("%s is read as %s", line, render(c.message()))
		}
	}
}

// What is read and written again is read as the same, and what is extended stays so.
func FuzzList(f *testing.F) {
	f.Add(`(SUBSCRIBED RECURSIVEMATCH) "" ("a" %/*) RETURN (STATUS (MESSAGES) CHILDREN)`)
	f.Add(`"" {3+}` + "\r\n" + `a"b`)
	f.Add(`() "x" "" RETURN ()`)
	f.Fuzz(func(t *testing.T, line string) {
		m, err := parsed(line)
		if err != nil {
			return
		}
		c, err := parseList(m)
		if err != nil {
			return
		}
		text := render(c.message())
		d, err := parseList(c.message())
		if err != nil {
			t.Fatalf("%q is written as %q: %v", line, text, err)
		}
		if got := render(d.message()); got != text || c.root() != d.root() || len(c.patterns) != len(d.patterns) {
			t.Errorf("%q: %q and then %q", line, text, got)
		}
	})
}

func TestListing(t *testing.T) {
	var l listing
	hold := l.hold("LIST")
	for i := range maxListed + 10 {
		name := wire.Data("LIST", append(wire.List(wire.Word(`\Marked`)), wire.String("/"), wire.String(fmt.Sprint("box", i)))...)
		if v, err := hold(name); v != Drop || err != nil {
			t.Fatal(v, err)
		}
	}
	if len(l.names) != maxListed || !l.tooMany || l.octets > maxListedOctets {
		t.Errorf("%d names, %d octets, %v", len(l.names), l.octets, l.tooMany)
	}
	l = listing{}
	hold = l.hold("LIST")
	for i := range 200 { // each with other attributes
		attrs := wire.List(wire.Word(fmt.Sprint(`\`, i, strings.Repeat("x", 60_000))))
		if _, err := hold(wire.Data("LIST", append(attrs, wire.Word("NIL"), wire.Word("a"), wire.Word(fmt.Sprint(i)))...)); err != nil {
			t.Fatal(err)
		}
		if _, err := hold(wire.Data("LIST", append(attrs, wire.Word("NIL"), wire.Word(fmt.Sprint(i)))...)); err != nil {
			t.Fatal(err)
		}
	}
	if !l.tooMany || l.octets > maxListedOctets || len(l.attrs) > maxListedOctets/60_000 {
		t.Errorf("%d names, %d octets, %v", len(l.names), l.octets, l.tooMany)
	}
}

func TestReadListLine(t *testing.T) {
	for _, m := range []*wire.Message{
		wire.Data("LIST"), wire.Data("LIST", wire.Word("x")), wire.Data("LIST", wire.List()...),
		wire.Data("LIST", append(wire.List(), wire.String("/"))...),
		wire.Data("LIST", append(wire.List(wire.String("x")), wire.String("/"), wire.String("a"))...),
		wire.Data("LIST", append(wire.List(wire.List()...), wire.String("/"), wire.String("a"))...),
		wire.Data("LIST", append(wire.List(), wire.Word("/"), wire.String("a"))...),
		wire.Data("LIST", append(wire.List(), wire.String("/"), wire.Token{Kind: wire.Open})...),
		wire.Data("LIST", append(wire.List(), wire.String("/"), wire.Token{Kind: wire.Literal, Size: 3})...),
		{Tag: []byte("*"), Name: "LIST", Num: 3, Tokens: append(wire.List(), wire.String("/"), wire.String("a"))},
	} {
		if line, ok := readListLine(m); ok {
			t.Errorf("%s is read as %+v", render(m), line)
		}
	}
}

func TestAncestors(t *testing.T) {
	for _, c := range []struct{ name, delim, want string }{
		{"a/b/c", "/", "a/b a"}, {"a/b/", "/", "a"}, {"a", "/", ""}, {"a/b", "", ""}, {"/", "/", ""}, {"", "/", ""}, {"//", "/", ""},
	} {
		got := slices.Collect(ancestors(c.name, c.delim))
		if text := strings.Join(got, " "); text != c.want {
			t.Errorf("above %q: %q, want %q", c.name, got, c.want)
		}
	}
}
