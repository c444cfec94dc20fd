package wire

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"
)

var commandSeeds = []string{
	"a1 CAPABILITY\r\na2 ID (\"name\" \"Thunderbird\" \"version\" \"115.3\")\r\na3 AUTHENTICATE PLAIN AGpkb2UAc2VjcmV0\r\n",
	"a LOGIN {4}\r\nfred {3+}\r\npwd\r\nb LOGOUT\r\n",
	"3 UID FETCH 1:* (FLAGS UID RFC822.SIZE BODY.PEEK[HEADER.FIELDS (From To \"Cc\" {7+}\r\nSubject Date)]<0.2048>)\r\n",
	"A01 APPEND \"Sent Items\" (\\Seen $Forwarded) \"17-Jul-2024 02:44:25 -0700\" {16}\r\nSubject: x\r\n\r\nhi \"Drafts\" ~{3+}\r\n\x00\x01\x02\r\nA02 NOOP\r\n",
	"x].1 UID STORE 5,7:9 +FLAGS.SILENT (\\Deleted)\r\nx].2 UID MOVE n:* INBOX/a\r\n",
	"t SEARCH RETURN (MIN COUNT) CHARSET UTF-8 OR (SUBJECT \"x {12}\" NOT SEEN) TEXT {2+}\r\n\xc3\xa9 LARGER 5\r\n",
	"t SELECT \"a\\\"b\\\\c\" (QRESYNC (67890007 20050715194045000 41,43:211 (1,2 3,4)))\r\nt IDLE\r\nDONE\r\n",
	"a XPIG-LATIN {5+}\r\nhello\r\nb NOOP\r\nc ) {3+}\r\nabc {0+}\r\n\r\nd NOOP\n",
	"a X \"\\\" {3+}\r\nb NOOP\r\n" + strings.Repeat("(", 70) + "{1+}\r\nx\r\n",
	"a " + strings.Repeat("\\\"", 120) + " \" {4+}\r\nb\r\n\r\nc NOOP\r\n",
	"a X " + strings.Repeat("y ", 90) + "{4+}\r\nb\r\n" + strings.Repeat("z", 300) + "\"{2}\"{2+}\r\nab\r\nc NOOP\r\n",
	"a X {501+}\r\n", "0 0 {170000}\r\n", "0 0 {0}\r\n {0}\r\n0\r\n0 0\r\n", "a X ) {501+}\r\nb NOOP\r\n", "a \rX\r\nb \x00\r\n",
}

// FuzzCommands wants the same commands and faults whatever the segmentation and the way of literals, the same commands again
// from what was written anew, and bounded memory.
func FuzzCommands(f *testing.F) {
	for _, s := range commandSeeds {
		f.Add([]byte(s), []byte{0})
		f.Add([]byte(s), []byte{3, 0, 17})
	}
	limits := func(c *Commands) { c.MaxLine, c.MaxDrain = 200, 500 }
	f.Fuzz(func(t *testing.T, in, plan []byte) {
		want := readCommands(&peer{data: in, size: whole}, limits)
		for _, p := range []*peer{
			{data: in, size: cuts(plan)},
			{data: in, size: oneByte, late: true},
		} {
			got := readCommands(p, limits)
			equalLogs(t, "another segmentation", got.log, want.log)
			if !bytes.Equal(got.wrote, want.wrote) {
				t.Fatalf("another segmentation wrote %q, not %q", got.wrote, want.wrote)
			}
			if got.most > largeBuffer { // which is lent while a large literal passes
				t.Fatalf("the buffer grew to %d", got.most)
			}
		}
		pipes := readCommands(piped{&peer{data: in, size: cuts(plan), late: true}}, func(c *Commands) { limits(c); c.MoveFrom = 1 })
		equalLogs(t, "by pipes", pipes.log, want.log)
		if !bytes.Equal(pipes.wrote, want.wrote) {
			t.Fatalf("by pipes it wrote %q, not %q", pipes.wrote, want.wrote)
		}
		back := readCommands(&peer{data: want.wrote, size: whole}, limits)
		equalLogs(t, "read back", back.log, append(slices.Clone(want.good), eof))
		if !bytes.Equal(back.wrote, want.wrote) {
			t.Fatalf("written twice: %q, not %q", back.wrote, want.wrote)
		}
		checkLines(t, want.good, want.wrote)
	})
}

// checkLines wants what is written to hold no octet outside literals that could end or change a line.
func checkLines(t *testing.T, commands []string, wrote []byte) {
	t.Helper()
	c := NewCommands(bytes.NewReader(wrote))
	for range commands {
		var m Message
		if err := c.Next(&m); err != nil {
			t.Fatal(err)
		}
		checkAtoms(t, &m)
		for !c.Complete() {
			if err := c.CopyLiteral(NewWriter(io.Discard)); err != nil {
				t.Fatal(err)
			}
			if err := c.Continue(&m); err != nil {
				t.Fatal(err)
			}
			checkAtoms(t, &m)
		}
	}
}

func checkAtoms(t *testing.T, m *Message) {
	t.Helper()
	for _, tok := range m.Tokens {
		if tok.Kind == Atom && bytes.ContainsAny(tok.Text, "\x00\r\n \"(){\x7f") {
			t.Fatalf("atom %q", tok.Text)
		}
	}
}

// FuzzCollect wants the same tokens and the same rest whether the source is interrupted or not.
func FuzzCollect(f *testing.F) {
	for _, s := range commandSeeds {
		f.Add([]byte(s), []byte{2, 0})
	}
	f.Add([]byte("a NOOP\r\nb NOOP\r\nb X {2+}\r\nb \r\nb X {2+}\r\nb \r\nc X \r\n"), []byte{2, 0})
	f.Fuzz(func(t *testing.T, in, plan []byte) {
		want := collectCommands(&peer{data: in, size: whole})
		got := collectCommands(&peer{data: in, size: cuts(plan), late: true})
		equalLogs(t, "another segmentation", got, want)
	})
}

func collectCommands(p *peer) (log []string) {
	c := NewCommands(p)
	c.MaxLine, c.MaxDrain = 200, 500
	var m Message
	for {
		var b strings.Builder
		var err error
		if !c.Again(&m) {
			err = again(func() error { return c.Next(&m) })
		}
		if err == nil {
			err = again(func() error { return c.Collect(&m, 8, func() error { b.WriteByte('+'); return nil }) })
		}
		b.Write(m.Tag)
		if err == nil {
			show(&b, m.Tokens, 0)
			log = append(log, b.String())
			continue
		}
		log = append(log, b.String()+" !"+err.Error())
		if _, ok := err.(*Fault); !ok {
			return log
		}
		if err := again(c.Discard); err != nil {
			return append(log, err.Error())
		}
	}
}

// FuzzResponses wants the passed octets to be those of the reference whatever the segmentation and way, half a
// message never to be taken for a whole one, and lines that are written anew to mean the same.
func FuzzResponses(f *testing.F) {
	for _, s := range responseStreams {
		f.Add([]byte(s), []byte{5, 0})
	}
	for _, s := range badHeads {
		f.Add([]byte("* 1 EXISTS\r\n"+s), []byte{0})
	}
	f.Add(denseFetch(3), []byte{100, 30})
	f.Add([]byte("* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n* LIST (\\HasNoChildren) \"/\" \"a\\\\b\"\r\n* STATUS \"x\" (MESSAGES 3)\r\n"+
		"* 2 FETCH (BODYSTRUCTURE (\"TEXT\" \"PLAIN\" (\"CHARSET\" \"us-ascii\") NIL NIL \"7BIT\" 2279 48) BODY[TEXT]<0> {3}\r\na\"\r FLAGS ())\r\na OK x\r\n"), []byte{9})
	f.Fuzz(func(t *testing.T, in, plan []byte) {
		checkPassage(t, "whole", drive(&peer{data: bytes.Clone(in), size: whole}, passThrough), in)
		checkPassage(t, "cut", drive(&peer{data: bytes.Clone(in), size: cuts(plan)}, passThrough), in)
		checkPassage(t, "late", drive(&peer{data: bytes.Clone(in), size: oneByte, late: true}, passThrough), in)
		checkPassage(t, "loaded", drive(&peer{data: bytes.Clone(in), size: cuts(plan), late: true}, loadThenPass), in)
		checkPassage(t, "by pipes", drivePiped(&peer{data: bytes.Clone(in), size: cuts(plan), late: true}, passThrough), in)
		checkPassage(t, "loaded, by pipes", drivePiped(&peer{data: bytes.Clone(in), size: cuts(plan)}, loadThenPass), in)
		checkOutput(t, "together", drive(&peer{data: bytes.Clone(in), size: cuts(plan), late: true}, passFetches), in)
		if g := drive(&peer{data: bytes.Clone(in), size: cuts(plan)}, skipAll); len(g.out) > 0 {
			t.Fatalf("skip passed %q", g.out)
		}
		checkRewrite(t, in, cuts(plan))
	})
}

// FuzzLongResponses puts a line of any length before the interesting end, so that it falls anywhere with
// regard to the buffer.
func FuzzLongResponses(f *testing.F) {
	f.Add(uint16(16300), []byte("\\\""), []byte("\" {3}\r\nabc)\r\n"))
	f.Add(uint16(40000), []byte("1 \""), []byte(" ~{3}\r\n\x00\r\n)\r\n* 1 EXISTS\r\n"))
	f.Add(uint16(16320), []byte("{1}"), []byte("\\\"{3}\n* 2 EXISTS\n"))
	f.Fuzz(func(t *testing.T, n uint16, fill, end []byte) {
		if len(fill) == 0 || len(fill) > 100 {
			return
		}
		in := append([]byte("* LIST \""), bytes.Repeat(fill, int(n)/len(fill))...)
		in = append(in, end...)
		checkPassage(t, "whole", drive(&peer{data: bytes.Clone(in), size: whole}, passThrough), in)
		checkPassage(t, "cut", drive(&peer{data: bytes.Clone(in), size: cuts([]byte{255, 255, 3}), late: true}, passThrough), in)
		checkPassage(t, "loaded", drive(&peer{data: bytes.Clone(in), size: cuts([]byte{255, 1})}, loadThenPass), in)
	})
}

// FuzzTrailingLiteral compares the scan for an announcement at a line's end, in one piece and in two,
// with a plain one.
func FuzzTrailingLiteral(f *testing.F) {
	for _, s := range []string{"", "{3}", "~{3+}", "a \"{3}", "a \"\\\" {3}", "\"\\\\\" {3}", "{18446744073709551615}", "{9223372036854775807+}", "~~{1}", "{{1}", "{1}}", "{+}", "\\\"{1}"} {
		f.Add([]byte(s), 1)
	}
	f.Fuzz(func(t *testing.T, line []byte, cut int) {
		want, inside := plainTrailing(string(line))
		got, ok := trailingLiteral(line, outside)
		if s := plainly(got, ok); s != want {
			t.Fatalf("%q: got %q, want %q", line, s, want)
		}
		if q := outside.after(line); (q != outside) != inside {
			t.Fatalf("%q: state %d, want inside %v", line, q, inside)
		}
		if cut < 0 || cut > len(line) {
			return
		}
		if a, b := outside.after(line), outside.after(line[:cut]).after(line[cut:]); a != b {
			t.Fatalf("%q cut at %d: state %d, not %d", line, cut, b, a)
		}
	})
}

func plainly(t Token, ok bool) string {
	if !ok {
		return ""
	}
	var b bytes.Buffer
	w := NewWriter(&b)
	t.Glued = true
	w.LiteralHead(t)
	w.Flush()
	return strings.TrimSuffix(b.String(), "\r\n")
}

func plainTrailing(line string) (announcement string, inside bool) {
	start := -1 // of the last brace that stands outside quotes
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\\' && inside:
			i++
		case c == '"':
			inside = !inside
			start = -1
		case c == '{' && !inside:
			start = i
		}
	}
	if start < 0 || inside || line[len(line)-1] != '}' {
		return "", inside
	}
	digits := strings.TrimSuffix(line[start+1:len(line)-1], "+")
	if digits == "" || len(digits) > 20 || strings.Trim(digits, "0123456789") != "" {
		return "", inside
	}
	digits = strings.TrimLeft(digits, "0")
	if len(digits) > 19 || len(digits) == 19 && digits > "9223372036854775807" {
		return "", inside
	}
	if digits == "" {
		digits = "0"
	}
	announcement = "{" + digits + strings.Repeat("+", strings.Count(line[start:], "+")) + "}"
	if start > 0 && line[start-1] == '~' {
		announcement = "~" + announcement
	}
	return announcement, inside
}
