package wire

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestWriterTokens(t *testing.T) {
	glued := func(t Token) Token { t.Glued = true; return t }
	tests := []struct {
		name   string
		tokens []Token
		want   string
	}{
		{"none", nil, ""},
		{"atoms", []Token{Word("1:*"), Word("\\Seen"), Word("BODY[]<0.9>")}, " 1:* \\Seen BODY[]<0.9>"},
		{"list", List(Word("UID"), Word("FLAGS")), " (UID FLAGS)"},
		{"empty list", List(), " ()"},
		{"nested lists", List(append(List(Word("a")), List()...)...), " ((a) ())"},
		{"glued lists", []Token{{Kind: Open}, {Kind: Close}, {Kind: Open, Glued: true}, {Kind: Close}}, " ()()"},
		{"quoted", []Token{String(`a "b" \c`), String("")}, ` "a \"b\" \\c" ""`},
		{"held literal", []Token{String("caf\xe9"), glued(Word("]<0>")), Word("x")}, " {4}\r\ncaf\xe9]<0> x"},
		{"literal of CRLF", []Token{String("\r\n")}, " {2}\r\n\r\n"},
		{"streamed literal ends it", []Token{Word("x"), {Kind: Literal, Size: 3}, Word("never")}, " x"},
		{"8-bit and control atoms, as servers send them", []Token{Word("caf\xe9"), Word("\x01")}, " caf\xe9 \x01"},
	}
	for _, tt := range tests {
		var b bytes.Buffer
		w := NewWriter(&b)
		w.Begin()
		w.Head([]byte("a1"), "X")
		w.Tokens(tt.tokens)
		if err := w.EndFlush(); err != nil || b.String() != "a1 X"+tt.want {
			t.Errorf("%s: wrote %q, %v", tt.name, b.String(), err)
		}
	}
}

func TestWriterLiteralHead(t *testing.T) {
	tests := []struct {
		t    Token
		want string
	}{
		{Token{Size: 0}, " {0}\r\n"},
		{Token{Size: 1<<63 - 1, NonSync: true}, " {9223372036854775807+}\r\n"},
		{Token{Size: 5, Binary: true}, " ~{5}\r\n"},
		{Token{Size: 5, Binary: true, NonSync: true, Glued: true}, "~{5+}\r\n"},
	}
	for _, tt := range tests {
		var b bytes.Buffer
		w := NewWriter(&b)
		tt.t.Kind = Literal
		w.LiteralHead(tt.t)
		if w.Flush(); b.String() != tt.want {
			t.Errorf("wrote %q, want %q", b.String(), tt.want)
		}
	}
}

// TestWriterRefuses wants no text to become more than one element, and nothing to leave after it.
func TestWriterRefuses(t *testing.T) {
	atom := func(s string) func(*Writer) { return func(w *Writer) { w.Token(&Token{Kind: Atom, Text: []byte(s)}) } }
	quoted := func(s string) func(*Writer) {
		return func(w *Writer) { w.Token(&Token{Kind: Quoted, Text: []byte(s)}) }
	}
	line := func(s string) func(*Writer) { return func(w *Writer) { w.Line(s) } }
	tests := map[string]func(*Writer){
		"atom with space": atom("a b"), "atom with CR": atom("a\rb"), "atom with LF": atom("a\nb"), "atom with NUL": atom("\x00"),
		"atom with paren": atom("a)"), "atom with quote": atom(`a"`), "atom with open paren": atom("("),
		"quoted with CR": quoted("\r"), "quoted with LF": quoted("\n"), "quoted with NUL": quoted("\x00"),
		"quoted that ends": quoted(`a" b`), "quoted that does not end": quoted(`a\`), "quoted that ends behind escapes": quoted(`\\"`),
		"line with CR": line("a\r"), "line with LF": line("a\nb"), "line with NUL": line("\x00"),
	}
	for name, f := range tests {
		var b bytes.Buffer
		w := NewWriter(&b)
		w.Begin()
		w.Head([]byte("a"), "X")
		f(w)
		w.CRLF()
		err := w.EndFlush()
		var werr *WriteError
		if !errors.Is(err, errUnsafe) || !errors.As(err, &werr) || b.Len() != 0 {
			t.Errorf("%s: %v, wrote %q", name, err, b.String())
		}
		w.Begin()
		w.Line("a NOOP")
		if again := w.EndFlush(); again != err || b.Len() != 0 {
			t.Errorf("%s: the error does not stick: %v, wrote %q", name, again, b.String())
		}
	}
}

func TestWriterMessage(t *testing.T) {
	tests := []struct {
		m    *Message
		want string
	}{
		{Data("SEARCH"), "* SEARCH\r\n"},
		{Data("LIST", append(List(Word("\\Noselect")), String("/"), String("a b"))...), "* LIST (\\Noselect) \"/\" \"a b\"\r\n"},
		{Numbered(3, "EXPUNGE"), "* 3 EXPUNGE\r\n"},
		{Numbered(4294967295, "FETCH", List(Word("UID"), Word("5"))...), "* 4294967295 FETCH (UID 5)\r\n"},
		{&Message{Tag: []byte("*"), Name: "OK", Text: []byte("[ALERT] a\rb")}, "* OK [ALERT] a b\r\n"},
		{&Message{Tag: []byte("a1"), Name: "NO"}, "a1 NO NO\r\n"},
		{&Message{Tag: []byte("+"), Text: []byte("idling")}, "+ idling\r\n"},
		{&Message{Tag: []byte("+")}, "+ \r\n"},
	}
	for _, tt := range tests {
		var b bytes.Buffer
		w := NewWriter(&b)
		w.Begin()
		w.Message(tt.m)
		if err := w.EndFlush(); err != nil || b.String() != tt.want {
			t.Errorf("wrote %q, want %q, %v", b.String(), tt.want, err)
		}
	}
}

func TestWriterBuffers(t *testing.T) {
	for _, sizes := range [][]int{{1, smallBuffer - 1}, {smallBuffer}, {5, smallBuffer}, {smallBuffer + 1, 1}, {100, 3 * smallBuffer, 100}, {0}} {
		var want []byte
		dst := &writes{}
		w := NewWriter(dst)
		w.Begin()
		for i, n := range sizes {
			p := bytes.Repeat([]byte{'a' + byte(i)}, n)
			want = append(want, p...)
			if i%2 == 0 {
				w.Write(p)
			} else {
				w.text(string(p))
			}
		}
		if err := w.EndFlush(); err != nil || !bytes.Equal(slices.Concat(*dst...), want) {
			t.Errorf("%v: wrote %d octets of %d, %v", sizes, len(slices.Concat(*dst...)), len(want), err)
		}
		if w.b != nil || w.n != 0 {
			t.Errorf("%v: still holds a buffer", sizes)
		}
	}
}

func TestWriterErrorSticks(t *testing.T) {
	w := NewWriter(failing{io.ErrClosedPipe})
	w.Begin()
	w.Line("* 1 EXISTS")
	err := w.EndFlush()
	var werr *WriteError
	if !errors.As(err, &werr) || !errors.Is(err, io.ErrClosedPipe) {
		t.Fatalf("flush: %v", err)
	}
	w.Begin()
	if _, werr := w.Write([]byte("x")); werr != err || w.Push() != err || w.End() != err {
		t.Error("the error does not stick")
	}
}

func TestStatus(t *testing.T) {
	tests := []struct {
		text string
		want Status
		back string
	}{
		{"done", Status{Text: "done"}, "done"},
		{"", Status{}, "OK"},
		{"[READ-WRITE] done", Status{Code: "READ-WRITE", Text: "done"}, "[READ-WRITE] done"},
		{"[copyuid 1 2,3 4:5] done", Status{Code: "COPYUID", Args: "1 2,3 4:5", Text: "done"}, "[COPYUID 1 2,3 4:5] done"},
		{"[ALERT]glued", Status{Code: "ALERT", Text: "glued"}, "[ALERT] glued"},
		{"[ALERT]", Status{Code: "ALERT"}, "[ALERT] OK"},
		{"[ALERT", Status{Text: "[ALERT"}, "[ALERT"},
		{`[BADCHARSET ("a]b" "\"]")] x`, Status{Code: "BADCHARSET", Args: `("a]b" "\"]")`, Text: "x"}, `[BADCHARSET ("a]b" "\"]")] x`},
		{`[X "not ended] x`, Status{Text: `[X "not ended] x`}, `[X "not ended] x`},
		{"text [ALERT] x", Status{Text: "text [ALERT] x"}, "text [ALERT] x"},
		{"[A] [B] c", Status{Code: "A", Text: "[B] c"}, "[A] [B] c"},
		{"ends in {10}", Status{Text: "ends in {10}"}, "ends in {10}"},
	}
	for _, tt := range tests {
		tt.want.Type = "OK"
		got := ParseStatus("OK", []byte(tt.text))
		if got != tt.want {
			t.Errorf("%q: got %+v", tt.text, got)
		}
		if got.String() != "OK "+tt.back {
			t.Errorf("%q: written %q", tt.text, got.String())
		}
		name, args, rest := Code([]byte(tt.text))
		if name != tt.want.Code || string(args) != tt.want.Args || string(rest) != tt.want.Text {
			t.Errorf("%q: code %q, args %q, rest %q", tt.text, name, args, rest)
		}
	}
}

func TestStatusCannotBecomeALine(t *testing.T) {
	s := Status{Type: "NO", Code: "ALERT\r\n", Args: "x\ny", Text: "a\r\n* BYE\x00"}
	if got := s.String(); strings.ContainsAny(got, "\r\n\x00") || got != "NO [ALERT   x y] a  * BYE " {
		t.Errorf("written %q", got)
	}
}

func TestTokenValues(t *testing.T) {
	for _, s := range []string{"", "a", `a"b\c`, "caf\xe9", "a\r\nb", "\x00", strings.Repeat("x", 2000), "\x7f", `\`, `"`} {
		if got := String(s).Value(); got != s {
			t.Errorf("%q comes back as %q", s, got)
		}
	}
	numbers := map[string]bool{"0": true, "007": true, "4294967295": true, "4294967296": false, "99999999999999999999": false, "": false, "-1": false, "1a": false, "18446744073709551617": false}
	for s, want := range numbers {
		if _, ok := Word(s).Number(); ok != want {
			t.Errorf("%q is a number: %v", s, ok)
		}
	}
	if _, ok := String("1").Number(); ok || !Word("nIl").Is("NIL") || String("NIL").Is("NIL") || Word("NILL").Is("NIL") {
		t.Error("kinds are mixed up")
	}
}

func TestWriterText(t *testing.T) {
	var b bytes.Buffer
	w := NewWriter(&b)
	w.Begin()
	w.Text([]byte("a"), "OK", []byte("[ALERT] x\r\ny\x00"))
	w.Text([]byte("a"), "NO", nil)
	w.Text([]byte("+"), "", nil)
	w.EndFlush()
	if want := "a OK [ALERT] x  y \r\na NO NO\r\n+ \r\n"; b.String() != want {
		t.Errorf("wrote %q", b.String())
	}
}

// TestWriterAgain wants a message that is written again to be what it was but for its tag, wherever the buffer ends;
// where that cannot be, nothing is written.
func TestWriterAgain(t *testing.T) {
	write := map[string]func(*Writer, []byte){
		"command": func(w *Writer, tag []byte) {
			w.Head(tag, "STORE")
			w.Tokens([]Token{{Kind: Atom, Text: []byte("1:3")}, {Kind: Open}, {Kind: Atom, Text: []byte("\\Seen")}, {Kind: Close}})
			w.CRLF()
		},
		"answer":       func(w *Writer, tag []byte) { w.Text(tag, "OK", []byte("done")) },
		"empty answer": func(w *Writer, tag []byte) { w.Text(tag, "OK", nil) },
		"long answer":  func(w *Writer, tag []byte) { w.Text(tag, "NO", bytes.Repeat([]byte("x"), smallBuffer/2)) },
	}
	for name, write := range write {
		var got, want bytes.Buffer
		w, plain := NewWriter(&got), NewWriter(&want)
		w.Begin()
		plain.Begin()
		if w.Again([]byte("a")) {
			t.Errorf("%s: nothing was written again", name)
		}
		again := 0
		for i := 0; want.Len() < 9*smallBuffer; i++ {
			tag := strconv.AppendInt([]byte("t"), int64(i*i), 10)
			write(plain, tag)
			if i == 0 || !w.Again(tag) {
				write(w, tag)
				continue
			}
			again++
		}
		w.EndFlush()
		plain.EndFlush()
		if !bytes.Equal(got.Bytes(), want.Bytes()) || again == 0 == (name == "command" || name == "answer") {
			t.Errorf("%s: %d of it again, and all of it as it should be: %v", name, again, bytes.Equal(got.Bytes(), want.Bytes()))
		}
	}
}
