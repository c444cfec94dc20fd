package translate

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/imapgate/imapgate/proxy/wire"
)

// allRewrites are those of every quirk.
func allRewrites() []Rewrite { return FindQuirks(Choice{Names: QuirkNames()}, Server{}).Rewrites }

// FuzzQuirks wants that whatever a peer says can be written after any rewrite, and that it is still one
// message under the name that it then has.
func FuzzQuirks(f *testing.F) {
	for _, s := range []string{
		"* 1 EXPUNGED\r\n", "p1 NO APPEND [TRYCREATE] failed\r\n", "p1 OK [COPYUID 31  ] done\r\n", "p1 NO a [TRYCREATE]\r\n",
		"* 2 FETCH (UID 1 (ENVELOPE (NIL NIL)) FLAGS ())\r\n", "* 2 FETCH ((ENVELOPE (NIL\r\n", "* 2 FETCH ((ENVELOPE ()))\r\n",
		"* 1 FETCH (ENVELOPE (\"a \\(b\\) \\\"\" \"\xc3\xbc\\(\") BODY[] {3}\r\n", "* LIST () \"/\" \"\\x\"\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var m wire.Message
		r := wire.NewResponses(bytes.NewReader(in), nil)
		if r.Next(&m) != nil || r.Load(&m) != nil {
			return
		}
		for _, w := range allRewrites() {
			if w.Responses == nil || !w.Responses(nil, m.Name) {
				continue
			}
			if verdict, err := w.Down(nil, &m); verdict == Drop || err != nil {
				return
			}
		}
		got := written(t, &m)
		if r := wire.NewResponses(bytes.NewReader(got), nil); r.Next(&m) != nil {
			t.Fatalf("%q became %q", in, got)
		}
	})
}

// written writes a response as the relay does: its first line, and the literals that it holds.
func written(t *testing.T, m *wire.Message) []byte {
	t.Helper()
	var b bytes.Buffer
	w := wire.NewWriter(&b)
	w.Begin()
	switch {
	case m.IsStatus() || m.Continuation():
		w.Text(m.Tag, m.Name, m.Text)
	case m.Num != 0:
		w.Numbered(m.Num, m.Name)
		w.Tokens(m.Tokens)
		w.CRLF()
	default:
		w.Head(m.Tag, m.Name)
		w.Tokens(m.Tokens)
		w.CRLF()
	}
	if err := w.EndFlush(); err != nil {
		t.Fatalf("%+v: %v", m, err)
	}
	return b.Bytes()
}

// FuzzQuirkCommands wants that what a client says is refused or still one command after any rewrite.
func FuzzQuirkCommands(f *testing.F) {
	for _, s := range []string{
		"a SELECT INBOX\r\n", "a RENAME a\\b \"c\\\\d\"\r\n", "a SEARCH CHARSET UTF-8 SUBJECT {3+}\r\nabc\r\n", "a LIST (X) \"\" *\r\n",
		"a CREATE \"x \"\r\n", "a STATUS {2+}\r\n\xc3\xbc (MESSAGES)\r\n", "a SEARCH CHARSET\r\n", "a NAMESPACE\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var m wire.Message
		c := wire.NewCommands(bytes.NewReader(in))
		if c.Next(&m) != nil || c.Collect(&m, 1<<16, func() error { return io.EOF }) != nil {
			return
		}
		up, err := NewDialect(allRewrites()...).Up(nil, &m)
		var refused *Refused
		if errors.As(err, &refused) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		w := wire.NewWriter(&b)
		w.Begin()
		w.Head([]byte("p1"), up.Name)
		for i := range up.Tokens {
			tok := up.Tokens[i]
			tok.NonSync = true
			w.Token(&tok)
		}
		w.CRLF()
		if err := w.EndFlush(); err != nil {
			t.Fatalf("%q: %v", in, err)
		}
		var back wire.Message
		c = wire.NewCommands(&b)
		if err := c.Next(&back); err != nil || back.Name != m.Name {
			t.Fatalf("%q became %q: %v", in, b.Bytes(), err)
		}
	})
}

// TestPieces holds pieces of sets against the set: each number once, and each command within its line.
func TestPieces(t *testing.T) {
	for _, text := range []string{"1:1000000", evens(40_000), evens(3000) + ",99999:*", "*", evens(3000) + ",*"} {
		for _, line := range []int{200, 1000, 10_000} {
			m := wire.Command("UID STORE", wire.Word(text), wire.Word("FLAGS"), wire.String("\\Deleted"))
			set, err := ParseSet(text)
			if err != nil {
				t.Fatal(err)
			}
			var all []Range
			var open uint32
			for _, p := range set.Texts(room(m, 0, line)) {
				if n := len(written(t, &wire.Message{Tag: []byte("pzzzzzzzzzzzzz"), Name: m.Name, Tokens: piece(m, 0, p).Tokens})); n > line {
					t.Errorf("%d octets for a line of %d", n, line)
				}
				part, err := ParseSet(p)
				if err != nil {
					t.Fatal(err)
				}
				all, open = append(all, part.ranges...), max(open, part.open)
			}
			if !slices.Equal(all, set.ranges) || open != set.open {
				t.Errorf("the pieces of %.40s are another set", text)
			}
		}
	}
}

// TestStoreInPieces: the message that "*" names is marked before others can come.
func TestStoreInPieces(t *testing.T) {
	f := newFake(t, plusCaps, 2, 4, 601)
	f.copiedOK[2], f.copiedOK[4], f.copiedOK[601] = true, true, true // so that they may be marked
	f.peers.Quirks.Line = 1000
	f.before[2] = func(f *fake) { f.deliver() }
	m := storeCommand(Chunk{Text: evens(300) + ",*"}, "+FLAGS.SILENT")
	if err := chunk().Run(m, f); err != nil {
		t.Fatal(err)
	}
	for _, s := range f.box {
		if s.has(`\Deleted`) == (s.uid > 601) {
			t.Errorf("%d: %v", s.uid, s.flags)
		}
	}
	if f.step < 2 {
		t.Errorf("%q", f.log)
	}
}

func evens(count int) string {
	uids := make([]uint32, count)
	for i := range uids {
		uids[i] = uint32(2*i + 2)
	}
	return Chunks(uids, 1<<30)[0].Text
}
