package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

var responseStreams = []string{
	"* OK [CAPABILITY IMAP4rev1 LITERAL+] ready\r\na1 OK [READ-WRITE] done\r\n* BYE\r\n",
	"* 12 EXISTS\r\n* 0 RECENT\r\n* FLAGS (\\Seen \\Deleted)\r\n* OK [UIDVALIDITY 7]\r\n",
	"* OK text ending {10}\r\n* 1 EXPUNGE\r\n",
	"* NO \"quoted {3}\r\n* BAD \\\"{1}\r\n* PREAUTH {1}\r\na NO {2}\r\n+ {3}\r\n* 1 EXPUNGE\r\n",
	"+\r\n+ idling\r\n+idling\r\n+ dGVzdA==\r\n",
	"* 1 FETCH (BODY[] ~{3}\r\n\x00ab)\r\n* 2 FETCH (UID 1)\r\n",
	"* 1 FETCH (BODY[] {0}\r\n BODY[1] {5}\r\n* OK  X {2}\r\n\r\n)\r\n* 2 EXPUNGE\r\n",
	"* LIST () \"/\" \"x {12}\"\r\n* LIST () \"/\" {3}\r\na\r\n\r\n* LIST () \"\\\\\" \"a\\\"{3}\"\r\n",
	"* LIST () \"/\" foo{3}\r\nabc\r\n* 1 FETCH (BODY[]{2}\r\nab)\r\n",
	"* LIST () \"/\" {3+}\r\n* LIST () \"/\" x}\r\n* LIST () \"/\" {}\r\n* LIST {1}}\r\n* LIST {{1}\r\nx\r\n* LIST {-1}\r\n",
	"* SEARCH\n* SEARCH 1 2\n* 1 FETCH (BODY[] {3}\nab\n)\n* 2 EXISTS\r\na OK\n",
	"* LIST () \"/\" a\rb\r\n* LIST \"\r\" {3}\r\n\r\rx\r\r\n* OK a\rb\r\n",
	"* 1 FETCH (X \"a\\\" {3}\r\n* OK not reached\r\n",
	"* search 1\r\n* 3 fetch (flags ())\r\nA1 ok done\r\n",
	"* ESEARCH (TAG {2}\r\np5) COUNT 3\r\n* ESEARCH UID COUNT 3\r\n",
	"* 1 FETCH (ENVELOPE (NIL {1}\r\n\" NIL \"\\\\\") BODY[] {1}\r\n\\)\r\n* 3 EXISTS\r\n",
	"* X-GM-EXT.1_2 foo\r\n* FETCH(1)\r\n* 5 FETCH{1}\r\nx\r\n",
	"* 1 FETCH (BODY[] {9223372036854775807}\r\nab",
	"* 1 FETCH (BODY[] {9223372036854775808}\r\n* 1 EXISTS\r\n",
	"* 1 FETCH " + strings.Repeat("(", 70) + "{1}\r\n(" + strings.Repeat(")", 71) + "\r\n* 2 EXISTS\r\n",
	"* LIST \x00 \x01 {1}\r\nx \x00\r\n* 2 EXISTS\r\n",
	"* 1 EXISTS\r\n\x00\x00\x00* 2 EXISTS\r\n\x00a OK\r\n\x00",
	"* [COPYUID 1 1 1]\r\n* [x {3}\r\np1 + idling {1}\r\np1 +\r\nServer Unavailable. 15\r\nserver UNAVAILABLE.\n* 1 EXISTS\r\n",
}

var badHeads = []string{
	" OK\r\n", "\r\n", "*\r\n", "* \r\n", "*  OK\r\n", "foo\r\n", "a FETCH\r\n", "* 12\r\n", "* 4294967296 EXISTS\r\n", "* 1 [COPYUID 1 1 1]\r\n",
	"* +\r\n", "Server Unavailable\r\n", "Server Unavailable.x\r\n", strings.Repeat("\x00", 1025) + "* 1 EXISTS\r\n",
	"HTTP/1.1 200 OK\r\n", strings.Repeat("t", 65) + " OK\r\n", "* " + strings.Repeat("N", 33) + "\r\n", "a\nb OK\r\n", "a\x00 OK\r\n", "* 1 2 FETCH\r\n",
}

func TestResponsesPass(t *testing.T) {
	for _, in := range responseStreams {
		for _, size := range []func() int{whole, oneByte, cuts([]byte{2, 0, 6})} {
			for _, late := range []bool{false, true} {
				p := func() *peer { return &peer{data: []byte(in), size: size, late: late} }
				checkPassage(t, "pass", drive(p(), passThrough), []byte(in))
				checkPassage(t, "load and pass", drive(p(), loadThenPass), []byte(in))
				if g := drive(p(), skipAll); len(g.out) != 0 || !g.whole {
					t.Errorf("skip: %q passed of %q", g.out, in)
				}
			}
		}
	}
}

func TestResponsesBadHead(t *testing.T) {
	for _, in := range badHeads {
		for _, size := range []func() int{whole, oneByte} {
			g := drive(&peer{data: []byte("* 1 EXISTS\r\n" + in + "* 2 EXISTS\r\n"), size: size}, passThrough)
			var desync *Desync
			if !errors.As(g.err, &desync) || string(g.out) != "* 1 EXISTS\r\n" || !g.whole {
				t.Errorf("%q: %v, passed %q", in, g.err, g.out)
			}
		}
	}
}

func TestResponsesHeads(t *testing.T) {
	in := "* OK [ALERT] hi\r\n* 12 exists\r\n* 0 RECENT\r\nA1 no\r\n+idling\r\n+ \r\n+\r\nx] OK a\rb \r\n* 007 FETCH (UID 1)\r\n* SEARCH\r\n" +
		"* OK  two\r\n* bye(x)\r\n* 3 OK {1}\r\nx\r\n"
	want := []string{`* 0 OK "[ALERT] hi"`, "* 12 EXISTS", "* 0 RECENT", "A1 0 NO", `+ 0  "idling"`, `+ 0  ""`, "+ 0", `x] 0 OK "a b "`,
		"* 7 FETCH |(UID|1)", "* 0 SEARCH", `* 0 OK " two"`, `* 0 BYE "(x)"`, `* 3 OK |L1="x"`}
	for _, size := range []func() int{whole, oneByte, cuts([]byte{3})} {
		g := drive(&peer{data: []byte(in), size: size, late: true}, loadAll)
		equalLogs(t, "log", g.log, want)
	}
}

// TestResponsesLoadAll wants tokens of every part, and nothing but whole messages left.
func TestResponsesLoadAll(t *testing.T) {
	in := "* 1 FETCH (BODY[HEADER.FIELDS (TO)]<0> {3}\r\nabc UID 5 X \"q\\\"\" ~{2}\r\n\x00} {0}\r\n)\r\n" +
		"* LIST (\\HasNoChildren) NIL caf\xc3\xa9&\x01\r\n* LIST () \"/\" \"a\\(b\"\r\n* LIST () \"/\" foo{3}\r\nabc\r\n* LIST {3+}\r\n" +
		"* LIST \"x\r\n* LIST )\r\n* LIST ) {3}\r\nabc)\r\n* LIST \x00\r\n* LIST a\rb\r\n* LIST a b\n"
	want := []string{`* 1 FETCH |(BODY[HEADER.FIELDS|(TO)]<0>|L3="abc"|UID|5|X|"q\\\""|L2~="\x00}"|L0="")`,
		"* 0 LIST |(\\HasNoChildren)|NIL|caf\xc3\xa9&\x01", `* 0 LIST |()|"/"|"a\\(b"`, `* 0 LIST |()|"/"|fooL3="abc"`, `* 0 LIST |{3+}`,
		"* 0 LIST !" + faultQuote.Text, "* 0 LIST !" + faultParen.Text, "* 0 LIST !" + faultParen.Text, "* 0 LIST !" + faultNUL.Text, "* 0 LIST |a|b", "* 0 LIST |a|b"}
	for _, size := range []func() int{whole, oneByte, cuts([]byte{4, 1})} {
		for _, late := range []bool{false, true} {
			g := drive(&peer{data: []byte(in), size: size, late: late}, loadAll)
			equalLogs(t, "log", g.log, want)
			if g.err != io.EOF || len(g.out) != 0 {
				t.Errorf("%v, passed %q", g.err, g.out)
			}
		}
	}
}

// TestResponsesRewrite writes lines anew and wants the same tokens on the other side.
func TestResponsesRewrite(t *testing.T) {
	for _, in := range responseStreams {
		checkRewrite(t, []byte(in), oneByte)
		checkRewrite(t, []byte(in), whole)
	}
	in := "* 1 EXISTS\r\n*  4 FETCH\r\n"
	if g := drive(&peer{data: []byte(in), size: whole}, rewrite); string(g.out) != "* 1 EXISTS\r\n" {
		t.Errorf("wrote %q", g.out)
	}
}

func checkRewrite(t *testing.T, in []byte, size func() int) {
	t.Helper()
	p := &peer{data: bytes.Clone(in), size: size}
	g := drive(p, rewrite)
	var werr *WriteError
	if errors.As(g.err, &werr) {
		t.Fatalf("rewriting %.300q: %v", in, g.err)
	}
	if !g.whole {
		return
	}
	was := drive(&peer{data: bytes.Clone(in), size: whole}, loadAll).log
	is := drive(&peer{data: g.out, size: whole}, loadAll)
	if is.err != io.EOF {
		t.Fatalf("of %.300q\nwrote %.300q\nwhich ends with %v", in, g.out, is.err)
	}
	equalLogs(t, "rewritten", is.log, was[:min(len(is.log), len(was))])
	if len(is.log) != len(g.log) {
		t.Fatalf("of %.300q\nwrote %.300q: %d messages, want %d", in, g.out, len(is.log), len(g.log))
	}
}

// TestResponsesLongLines passes lines longer than the buffer, whose end matters, at every alignment of
// that end to the buffer.
func TestResponsesLongLines(t *testing.T) {
	ends := []struct{ name, end, rest string }{
		{"plain", " 4\r\n", ""},
		{"literal", " {7}\r\n", "* 1 BAD X {3}\r\nabc)\r\n"},
		{"binary literal", " ~{7}\r\n", "* 1 BAD )\r\n"},
		{"quoted brace", " \"{7}\"\r\n", ""},
		{"escaped quote", " \"\\\" \\\\\" {7}\r\n", "* 1 BAD )\r\n"},
		{"brace behind escapes", " \"\\\\\\\\\\\"{7}\"\r\n", ""},
		{"bare LF", " {7}\n", "* 1 BAD\n"},
		{"bare CR", " \r{7}\r\n", "* 1 BAD )\r\n"},
	}
	fill := func(n int) string { return "* SEARCH \"" + strings.Repeat("\\\"\\\\1\r", n/6) + "\"" }
	for _, e := range ends {
		for off := -80; off <= 30; off++ {
			n := smallBuffer + off
			in := fill(n-100) + strings.Repeat("x", n-len(fill(n-100))) + e.end + e.rest + "* 2 EXISTS\r\n"
			for _, size := range []func() int{whole, cuts([]byte{255, 255, 1})} {
				checkPassage(t, fmt.Sprint(e.name, off), drive(&peer{data: []byte(in), size: size}, passThrough), []byte(in))
			}
		}
		in := fill(1<<20) + e.end + e.rest + "* 2 EXISTS\r\n"
		g := drive(&peer{data: []byte(in), size: func() int { return 1448 }, late: true}, passThrough)
		checkPassage(t, e.name, g, []byte(in))
		if g.most > smallBuffer {
			t.Errorf("%s: the buffer grew to %d", e.name, g.most)
		}
	}
}

// TestResponsesBackslashes passes a quoted string of backslashes: no piece may tear an escape.
func TestResponsesBackslashes(t *testing.T) {
	for n := 5*smallBuffer - 3; n < 5*smallBuffer+3; n++ {
		in := "* LIST () \"/\" \"" + strings.Repeat("\\", n) + "\" {4}\r\n* 1 \" {2}\r\n* 5 EXISTS\r\n"
		checkPassage(t, fmt.Sprint(n), drive(&peer{data: []byte(in), size: cuts([]byte{255, 100})}, passThrough), []byte(in))
	}
}

func TestResponsesLiteralSizes(t *testing.T) {
	body := bytes.Repeat([]byte("* 1 EXPUNGE\r\n{3}\r\n\"\\"), 1+3*largeBuffer/20)
	var sizes []int
	for n := range 40 {
		sizes = append(sizes, n, smallBuffer-60+n)
		if n%5 == 0 {
			sizes = append(sizes, largeBuffer-20+n, 2*largeBuffer-20+n)
		}
	}
	for _, n := range sizes {
		in := fmt.Appendf(nil, "* 1 FETCH (BODY[] {%d}\r\n%s UID 5)\r\n* 1 FETCH (BODY[] {%d}\r\n%s)\r\na OK done\r\n", n, body[:n], n, body[:n])
		for _, size := range []func() int{whole, func() int { return 4000 }} {
			checkPassage(t, fmt.Sprint(n), drive(&peer{data: bytes.Clone(in), size: size}, passThrough), in)
			g := drive(&peer{data: bytes.Clone(in), size: size}, loadAll)
			if len(g.log) != 3 || !strings.Contains(g.log[0], fmt.Sprintf("=%q|UID|5", body[:n])) {
				t.Fatalf("literal of %d octets: read %.200q", n, g.log)
			}
			if g.most > max(largeBuffer, smallBuffer) {
				t.Fatalf("literal of %d octets: buffer of %d", n, g.most)
			}
		}
	}
}

// TestResponsesCut ends the stream at every octet: what passed is whole messages, or Whole says that it
// is not.
func TestResponsesCut(t *testing.T) {
	long := "* SEARCH " + strings.Repeat("123456 ", 3000) + "{3}\r\nabc\r\n"
	for _, in := range append(slices.Clone(responseStreams), long) {
		for n := range in {
			if len(in) > 1000 && n > 100 && n < len(in)-100 && n%997 != 0 && (n < smallBuffer-70 || n > smallBuffer+5) {
				continue
			}
			for _, size := range []func() int{whole, cuts([]byte{200, 0})} {
				checkPassage(t, fmt.Sprint("cut at ", n), drive(&peer{data: []byte(in[:n]), size: size}, passThrough), []byte(in[:n]))
				checkPassage(t, fmt.Sprint("cut at ", n), drive(&peer{data: []byte(in[:n]), size: size}, loadThenPass), []byte(in[:n]))
			}
		}
	}
}

func TestResponsesLimits(t *testing.T) {
	line := strings.Repeat("x", 3*smallBuffer)
	tests := []struct {
		in   string
		do   step
		want string
	}{
		{"* LIST " + line + "\r\n", passThrough, ""},
		{"* LIST " + line + "\r\n", loadAll, "response line longer"},
		{"* OK " + line + "\r\n", passThrough, "status line longer"},
		{"+ " + line + "\r\n", passThrough, "status line longer"},
		{"* LIST {3}\r\nabc" + line + "\r\n", loadAll, "response line longer"},
		{"* LIST {2000000}\r\nabc", loadAll, "literal longer"},
		{"* LIST {9223372036854775807}\r\nabc", loadAll, "literal longer"},
	}
	for _, tt := range tests {
		r := NewResponses(&peer{data: []byte(tt.in), size: whole}, NewWriter(io.Discard))
		r.MaxHeld = 2 * smallBuffer
		var m Message
		err := r.Next(&m)
		if err == nil {
			_, err = tt.do(r, &m)
		}
		var desync *Desync
		if tt.want == "" && err != nil || tt.want != "" && (!errors.As(err, &desync) || !strings.Contains(desync.Text, tt.want)) {
			t.Errorf("%.20q: %v, want %q", tt.in, err, tt.want)
		}
		if len(r.b) > max(r.MaxHeld, largeBuffer) {
			t.Errorf("%.20q: buffer of %d", tt.in, len(r.b))
		}
	}
}

// TestResponsesBatch wants messages that are in the buffer already to leave in one write.
func TestResponsesBatch(t *testing.T) {
	w := &writes{}
	out := NewWriter(w)
	r := NewResponses(strings.NewReader(strings.Repeat("* 1 EXPUNGE\r\n", 70)), out)
	var m Message
	for r.Next(&m) == nil {
		if err := r.Pass(); err != nil {
			t.Fatal(err)
		}
	}
	if len(*w) != 1 || len((*w)[0]) != 910 {
		t.Errorf("%d writes", len(*w))
	}
}

type writes [][]byte

func (w *writes) Write(p []byte) (int, error) {
	*w = append(*w, bytes.Clone(p))
	return len(p), nil
}

// TestResponsesHandOver wants a replaced line and the literal behind it under one lock, and the lock free
// as soon as the message has ended.
func TestResponsesHandOver(t *testing.T) {
	pr, pw := io.Pipe()
	var buf bytes.Buffer
	out := NewWriter(&buf)
	r := NewResponses(pr, out)
	half, done := make(chan bool), make(chan bool)
	go func() {
		io.WriteString(pw, "* 1 FETCH (BODY[] {6}\r\nabc")
		<-half
		io.WriteString(pw, "def)\r\n")
	}()
	var m Message
	if err := errors.Join(r.Next(&m), r.Load(&m)); err != nil {
		t.Fatal(err)
	}
	lit, _ := m.Literal()
	if err := r.DropLine(); err != nil {
		t.Fatal(err)
	}
	w := r.Begin()
	go func() {
		close(half)
		out.Begin()
		out.Line("* 2 EXISTS")
		out.End()
		close(done)
	}()
	w.Numbered(1, "FETCH")
	w.Token(&Token{Kind: Open})
	w.Token(&Token{Kind: Atom, Text: []byte("RFC822")})
	w.LiteralHead(lit)
	if err := r.Pass(); err != nil {
		t.Fatal(err)
	}
	<-done
	out.Flush()
	if want := "* 1 FETCH (RFC822 {6}\r\nabcdef)\r\n* 2 EXISTS\r\n"; buf.String() != want {
		t.Errorf("wrote %q", buf.String())
	}
}

// TestResponsesSkipBetween drops messages between others that were passed but not written yet.
func TestResponsesSkipBetween(t *testing.T) {
	in := "* 1 EXISTS\r\n* 1 FETCH (BODY[] {4}\r\n* 9 X)\r\n* 2 EXISTS\r\n* OK drop {3}\r\n* 3 EXISTS\n* 4 FETCH ({2}\nab)\na OK\r\n"
	for _, size := range []func() int{whole, oneByte, cuts([]byte{30})} {
		g := drive(&peer{data: []byte(in), size: size, late: true}, func(r *Responses, m *Message) (string, error) {
			if m.Name == "EXISTS" || m.Name == "OK" && !m.Untagged() {
				return passThrough(r, m)
			}
			return skipAll(r, m)
		})
		if want := "* 1 EXISTS\r\n* 2 EXISTS\r\n* 3 EXISTS\r\na OK\r\n"; string(g.out) != want || !g.whole {
			t.Errorf("passed %q", g.out)
		}
	}
}

// TestResponsesDropLineForgets wants what one message announced never applied to the next.
func TestResponsesDropLineForgets(t *testing.T) {
	r := NewResponses(strings.NewReader("* LIST {3}\r\nabc\r\n* OK x\r\n* 1 EXISTS\r\n* 2 EXISTS\r\n"), nil)
	var m Message
	steps := []func() error{r.Pass, r.DropLine, r.DropLine, r.Skip}
	for _, end := range steps {
		if err := errors.Join(r.Next(&m), r.Load(&m), end(), r.Skip()); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Next(&m); err != io.EOF {
		t.Errorf("%v, read %s %d %s", err, m.Tag, m.Num, m.Name)
	}
}

// TestResponsesNotReadToItsEnd wants a literal never taken for responses, even where the caller forgot it.
func TestResponsesNotReadToItsEnd(t *testing.T) {
	r := NewResponses(strings.NewReader("* LIST {11}\r\na OK [EVIL]\r\n\r\n"), nil)
	var m Message
	if err := errors.Join(r.Next(&m), r.Load(&m), r.DropLine()); err != nil {
		t.Fatal(err)
	}
	var desync *Desync
	if err := r.Next(&m); !errors.As(err, &desync) {
		t.Errorf("%v, read %s %s", err, m.Tag, m.Name)
	}
}

// TestResponsesAbandon wants Whole to stay false once a message was torn, and whole messages that were
// passed before a begun one to reach the client.
func TestResponsesAbandon(t *testing.T) {
	tests := []struct {
		in, want string
		whole    bool
	}{
		{"* 1 EXISTS\r\n* LIST \"x {3}\r\n", "* 1 EXISTS\r\n", true},
		{"* 1 EXISTS\r\n* LIST {1}\r\na \"x {3}\r\n", "* 1 EXISTS\r\n", true},
		{"* 1 EXISTS\r\n* LIST {3}\r\na", "* 1 EXISTS\r\n* LIST {3}\r\n", false},
		{"* 1 EXISTS\r\n* LIST {1}\r\na x", "* 1 EXISTS\r\n* LIST {1}\r\n", false},
		{"* 1 EXISTS\r\n* LIST x", "* 1 EXISTS\r\n", true},
	}
	for _, tt := range tests {
		g := drive(&peer{data: []byte(tt.in), size: whole}, passThrough)
		if !strings.HasPrefix(string(g.out), tt.want) || g.whole != tt.whole || tt.whole && string(g.out) != tt.want {
			t.Errorf("%q: passed %q, whole %v", tt.in, g.out, g.whole)
		}
	}
}

// TestResponsesLoadAgain wants the same answer from every Load of a message.
func TestResponsesLoadAgain(t *testing.T) {
	r := NewResponses(strings.NewReader("* LIST )\r\n* LIST x\r\n"), nil)
	var m Message
	for _, want := range []error{faultParen, nil} {
		if err := r.Next(&m); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			var fault *Fault
			if err := r.Load(&m); errors.As(err, &fault) != (want != nil) || err == nil && len(m.Tokens) != 1 {
				t.Errorf("%v, %d tokens", err, len(m.Tokens))
			}
		}
		if err := r.Skip(); err != nil {
			t.Fatal(err)
		}
	}
}
