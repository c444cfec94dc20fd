package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

const eof = "end: EOF"

func TestCommands(t *testing.T) {
	tests := []struct {
		name string
		in   string
		want []string
		back string // what is written anew; "" means as in
	}{
		{"plain", "a NOOP\r\nb CAPABILITY\r\n", []string{"a NOOP ", "b CAPABILITY "}, ""},
		{"name in lower case", "a noop\r\n", []string{"a NOOP "}, "a NOOP\r\n"},
		{"uid joined", "a uid fetch 1:* flags\r\n", []string{"a UID FETCH |1:*|flags"}, "a UID FETCH 1:* flags\r\n"},
		{"uid, many spaces", "a  UID   FETCH  1 (  FLAGS UID )  \r\n", []string{"a UID FETCH |1|(FLAGS|UID)"}, "a UID FETCH 1 (FLAGS UID)\r\n"},
		{"unknown uid name", "a UID xFoo 1\r\n", []string{"a UID XFOO |1"}, "a UID XFOO 1\r\n"},
		{"uid alone", "a UID\r\n", []string{"a !" + faultName.Text}, "-"},
		{"tag with odd characters", "x].-9! NOOP\r\n", []string{"x].-9! NOOP "}, ""},
		{"tag of 64", strings.Repeat("t", 64) + " NOOP\r\n", []string{strings.Repeat("t", 64) + " NOOP "}, ""},
		{"tag of 65", strings.Repeat("t", 65) + " NOOP\r\n", []string{" !" + faultTag.Text}, "-"},
		{"tag with plus", "a+ NOOP\r\n", []string{" !" + faultTag.Text}, "-"},
		{"tag star", "* NOOP\r\n", []string{" !" + faultTag.Text}, "-"},
		{"tag percent", "a% NOOP\r\n", []string{" !" + faultTag.Text}, "-"},
		{"tag backslash", "\\a NOOP\r\n", []string{" !" + faultTag.Text}, "-"},
		{"tag quoted", "\"a\" NOOP\r\n", []string{" !" + faultTag.Text}, "-"},
		{"tag 8-bit", "\xe9 NOOP\r\n", []string{" !" + faultTag.Text}, "-"},
		{"empty line", "\r\nb NOOP\r\n", []string{" !" + faultTag.Text, "b NOOP "}, "b NOOP\r\n"},
		{"space first", " a NOOP\r\n", []string{" !" + faultTag.Text}, "-"},
		{"tag alone", "a\r\n", []string{"a !" + faultName.Text}, "-"},
		{"DONE", "DONE\r\n", []string{"DONE !" + faultName.Text}, "-"},
		{"name of 32", "a " + strings.Repeat("N", 32) + "\r\n", []string{"a " + strings.Repeat("N", 32) + " "}, ""},
		{"name of 33", "a " + strings.Repeat("N", 33) + "\r\n", []string{"a !" + faultName.Text}, "-"},
		{"name glued to paren", "a FETCH(1)\r\n", []string{"a !" + faultName.Text}, "-"},
		{"quoted", `a LOGIN "j\"d\\" ""` + "\r\n", []string{`a LOGIN |"j\\\"d\\\\"|""`}, ""},
		{"quoted, bad escape", `a LOGIN "j\x" y` + "\r\n", []string{"a LOGIN !" + faultQuote.Text}, "-"},
		{"quoted, not ended", `a LOGIN "j` + "\r\n", []string{"a LOGIN !" + faultQuote.Text}, "-"},
		{"quoted, ends in escape", `a LOGIN "j\` + "\r\n", []string{"a LOGIN !" + faultQuote.Text}, "-"},
		{"quoted, 8-bit", "a SELECT \"caf\xc3\xa9\"\r\n", []string{"a SELECT |\"caf\u00e9\""}, ""},
		{"atom, 8-bit", "a SELECT caf\xc3\xa9\r\n", []string{"a SELECT !" + faultChar.Text}, "-"},
		{"literal", "a LOGIN {4}\r\nfred {3+}\r\npwd\r\nb NOOP\r\n", []string{`a LOGIN |L4="fred"|L3+="pwd"`, "b NOOP "}, ""},
		{"literals of every form", "a X {1}\r\na {1+}\r\nb ~{1}\r\n\x00 ~{1+}\r\nd\r\n", []string{`a X |L1="a"|L1+="b"|L1~="\x00"|L1+~="d"`}, ""},
		{"literal of nothing", "a X {0}\r\n\r\nb X {0+}\r\n {0}\r\n)\r\n", []string{`a X |L0=""`, `b X |L0+=""|L0="" !` + faultParen.Text}, "a X {0}\r\n\r\n"},
		{"leading zeros", "a X {003+}\r\nabc\r\n", []string{`a X |L3+="abc"`}, "a X {3+}\r\nabc\r\n"},
		{"literal with lines", "a X {8+}\r\nb NOOP\r\n\r\n", []string{`a X |L8+="b NOOP\r\n"`}, ""},
		{"literal in list", "a APPEND x UTF8 (~{3+}\r\nabc)\r\n", []string{`a APPEND |x|UTF8|(L3+~="abc")`}, ""},
		{"in quotes", "a SEARCH SUBJECT \"x {12}\"\r\nb NOOP\r\n", []string{`a SEARCH |SUBJECT|"x {12}"`, "b NOOP "}, ""},
		{"line ends within quotes", "a SEARCH SUBJECT \"x {3}\r\nb NOOP\r\n", []string{"a SEARCH !" + faultQuote.Text, "b NOOP "}, "b NOOP\r\n"},
		{"behind an escaped quote", "a X \"\\\" {3+}\r\nb NOOP\r\n", []string{"a X !" + faultQuote.Text, "b NOOP "}, "b NOOP\r\n"},
		{"glued", "a FETCH 1 BODY[HEADER.FIELDS (TO \"X\" {3+}\r\nabc)]<0.9>\r\n",
			[]string{`a FETCH |1|BODY[HEADER.FIELDS|(TO|"X"|L3+="abc")]<0.9>`}, ""},
		{"glued list", "a FETCH 1 (BODY.PEEK[1.MIME] BODY[HEADER.FIELDS.NOT (A B)])\r\n",
			[]string{`a FETCH |1|(BODY.PEEK[1.MIME]|BODY[HEADER.FIELDS.NOT|(A|B)])`}, ""},
		{"lists side by side", "a SORT (DATE)(X) UTF-8 ALL\r\n", []string{"a SORT |(DATE)(X)|UTF-8|ALL"}, ""},
		{"flags and sets", "a STORE 1,3:* +FLAGS.SILENT (\\Seen $Junk)\r\n", []string{`a STORE |1,3:*|+FLAGS.SILENT|(\Seen|$Junk)`}, ""},
		{"brace in atom", "a X foo{3+}\r\nabc\r\nb NOOP\r\n", []string{"a X !" + faultChar.Text, "b NOOP "}, "b NOOP\r\n"},
		{"literal not at the end", "a X {3} x\r\nb NOOP\r\n", []string{"a X !" + faultLiteral.Text, "b NOOP "}, "b NOOP\r\n"},
		{"literal with sign", "a X {-3}\r\n", []string{"a X !" + faultLiteral.Text}, "-"},
		{"literal beyond 63 bits", "a X {9223372036854775808}\r\n", []string{"a X !" + faultLiteral.Text}, "-"},
		{"literal of a hundred digits", "a X {" + strings.Repeat("9", 100) + "}\r\n", []string{"a X !" + faultLiteral.Text}, "-"},
		{"rejected, literal drained", "XPIG+ LATIN {5+}\r\nhello\r\nb NOOP\r\n", []string{" !" + faultTag.Text, "b NOOP "}, "b NOOP\r\n"},
		{"rejected, chain drained", "a X ) {5+}\r\nb NO\n {3+}\r\nabc ~{2+}\r\nxy\r\nb NOOP\r\n", []string{"a X !" + faultParen.Text, "b NOOP "}, "b NOOP\r\n"},
		{"rejected, sync literal not sent", "a X ) {5}\r\nb NOOP\r\n", []string{"a X !" + faultParen.Text, "b NOOP "}, "b NOOP\r\n"},
		{"rejected, chain ends in sync", "a X ) {1+}\r\nx {5}\r\nb NOOP\r\n", []string{"a X !" + faultParen.Text, "b NOOP "}, "b NOOP\r\n"},
		{"rejected later", "a X {1+}\r\nx ) {5+}\r\nhello\r\nb NOOP\r\n", []string{`a X |L1+="x" !` + faultParen.Text, "b NOOP "}, "b NOOP\r\n"},
		{"bare LF", "a NOOP\nb NOOP\r\n", []string{"a !" + faultBareLF.Text, "b NOOP "}, "b NOOP\r\n"},
		{"bare LF, literal drained", "a X {3+}\nabc\r\nb NOOP\r\n", []string{"a !" + faultBareLF.Text, "b NOOP "}, "b NOOP\r\n"},
		{"bare CR", "a NO\rOP\r\n", []string{"a !" + faultBareCR.Text}, "-"},
		{"bare CR in quotes", "a X \"\r\"\r\n", []string{"a !" + faultBareCR.Text}, "-"},
		{"two CR", "a NOOP\r\r\n", []string{"a !" + faultBareCR.Text}, "-"},
		{"NUL", "a X \x00\r\n", []string{"a !" + faultNUL.Text}, "-"},
		{"control character", "a X \x01\r\n", []string{"a X !" + faultChar.Text}, "-"},
		{"tab", "a\tNOOP\r\n", []string{" !" + faultTag.Text}, "-"},
		{"paren not closed", "a X (a\r\nb NOOP\r\n", []string{"a X !" + faultNotEnded.Text, "b NOOP "}, "b NOOP\r\n"},
		{"paren closed behind the literal", "a X ({1+}\r\nx))\r\n", []string{`a X |(L1+="x" !` + faultParen.Text}, "-"},
		{"nesting 64", "a X " + strings.Repeat("(", 64) + strings.Repeat(")", 64) + "\r\n",
			[]string{"a X |" + strings.Repeat("(", 64) + strings.Repeat(")", 64)}, ""},
		{"nesting 65", "a X " + strings.Repeat("(", 65) + strings.Repeat(")", 65) + "\r\nb NOOP\r\n",
			[]string{"a X !" + faultNesting.Text, "b NOOP "}, "b NOOP\r\n"},
		{"nesting over a literal", "a X " + strings.Repeat("(", 64) + "{1+}\r\nx(\r\n", []string{"a X |" + strings.Repeat("(", 64) + `L1+="x" !` + faultNesting.Text}, "-"},
		{"100,000 parentheses", "a X " + strings.Repeat("(", 100000) + "{3+}\r\nabc\r\nb NOOP\r\n", []string{"a !" + faultLength.Text, "b NOOP "}, "b NOOP\r\n"},
		{"again", "a NOOP\r\nbc NOOP\r\nd noop\r\ne noop\r\nf NOOP \r\ng NOOPS\r\n",
			[]string{"a NOOP ", "bc NOOP ", "d NOOP ", "e NOOP ", "f NOOP ", "g NOOPS "}, "a NOOP\r\nbc NOOP\r\nd NOOP\r\ne NOOP\r\nf NOOP\r\ng NOOPS\r\n"},
		{"again, with arguments", "a STORE 1 +FLAGS (x)\r\nb STORE 1 +FLAGS (x)\r\nc STORE 1 +FLAGS (y)\r\n",
			[]string{"a STORE |1|+FLAGS|(x)", "b STORE |1|+FLAGS|(x)", "c STORE |1|+FLAGS|(y)"}, ""},
		{"again, with a bad tag", "a NOOP\r\nb+ NOOP\r\n NOOP\r\nc NOOP\r\nc NOOP\r\n", []string{"a NOOP ", " !" + faultTag.Text, " !" + faultTag.Text, "c NOOP ", "c NOOP "},
			"a NOOP\r\nc NOOP\r\nc NOOP\r\n"},
		{"again, with a tag that is too long", "a NOOP\r\n" + strings.Repeat("t", 65) + " NOOP\r\n", []string{"a NOOP ", " !" + faultTag.Text}, "a NOOP\r\n"},
		{"again, with a line that is too long", "a X " + strings.Repeat("y", 64<<10-4) + "\r\nbc X " + strings.Repeat("y", 64<<10-4) + "\r\nd NOOP\r\n",
			[]string{"a X |" + strings.Repeat("y", 64<<10-4), "bc !" + faultLength.Text, "d NOOP "}, "a X " + strings.Repeat("y", 64<<10-4) + "\r\nd NOOP\r\n"},
		{"again, with a literal", "a X {2+}\r\nb \r\nb X {2+}\r\nb \r\n", []string{`a X |L2+="b "`, `b X |L2+="b "`}, ""},
		{"again, cut short", "a NOOP\r\nb NOOP\r\nc NOO", []string{"a NOOP ", "b NOOP "}, "a NOOP\r\nb NOOP\r\n"},
		{"end within a command", "a NOOP\r\nb NO", []string{"a NOOP "}, "a NOOP\r\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := append(tt.want, eof)
			for _, p := range []*peer{
				{data: []byte(tt.in), size: whole},
				{data: []byte(tt.in), size: oneByte},
				{data: []byte(tt.in), size: oneByte, late: true},
				{data: []byte(tt.in), size: cuts([]byte{2, 0, 6})},
			} {
				got := readCommands(p, nil)
				equalLogs(t, "log", got.log, want)
				back := tt.back
				switch back {
				case "":
					back = tt.in
				case "-":
					back = ""
				}
				if string(got.wrote) != back {
					t.Errorf("written anew:\n got %q\nwant %q", got.wrote, back)
				}
			}
		})
	}
}

// TestCommandsOverlong wants every over-long line refused under its own tag, and the literal at its end
// read past (RFC 7888 section 3), wherever it falls with regard to the buffer.
func TestCommandsOverlong(t *testing.T) {
	fill := []string{"a", "\"", "\\", "\\\\\"", "((", "\" \\", "{3}", "{3+}"}
	for _, limit := range []int{100, 16 << 10, 64 << 10} {
		for _, f := range fill {
			for _, n := range []int{limit + 1, limit + 2, limit + 63, limit + 64, limit + 65, limit + 16<<10, 5*limit + 7} {
				body := strings.Repeat(f, n/len(f)+1)[:n]
				quoted := "\"" + strings.ReplaceAll(strings.ReplaceAll(body, `\`, `\\`), `"`, `\"`) + "\" "
				in := "t1 X " + quoted + "{9+}\r\nx NOOP\r\ny {2+}\r\nab\r\nb NOOP\r\n" + // drained
					"t2 X " + quoted + "{9}\r\nc NOOP\r\n" + // not sent by its client
					"t3 X " + quoted[:len(quoted)-2] + "{9+}\r\nd NOOP\r\n" // within quotes
				want := []string{"t1 !" + faultLength.Text, "b NOOP ", "t2 !" + faultLength.Text, "c NOOP ", "t3 !" + faultLength.Text, "d NOOP ", eof}
				for _, size := range []func() int{whole, cuts([]byte{255, 3}), cuts([]byte{0, 100})} {
					got := readCommands(&peer{data: []byte(in), size: size, late: n%2 == 0}, func(c *Commands) { c.MaxLine = limit })
					equalLogs(t, fmt.Sprintf("limit %d, %d times %q", limit, n, f), got.log, want)
					if got.most > max(limit+2, smallBuffer) {
						t.Fatalf("limit %d: the buffer grew to %d", limit, got.most)
					}
				}
			}
		}
	}
}

func TestCommandsLimitIsExact(t *testing.T) {
	for _, limit := range []int{100, 16 << 10, 40000} {
		for n := limit - 1; n <= limit+1; n++ {
			in := "a X " + strings.Repeat("y", n-4) + "\r\nb NOOP\r\n"
			want := []string{"a X |" + strings.Repeat("y", n-4), "b NOOP ", eof}
			if n > limit {
				want[0] = "a !" + faultLength.Text
			}
			for _, size := range []func() int{whole, cuts([]byte{200, 1})} {
				got := readCommands(&peer{data: []byte(in), size: size}, func(c *Commands) { c.MaxLine = limit })
				equalLogs(t, fmt.Sprintf("%d of %d", n, limit), got.log, want)
			}
		}
	}
}

func TestCommandsTooMuch(t *testing.T) {
	tests := []struct{ name, in string }{
		{"one literal", "a ) {101+}\r\n"},
		{"largest literal", "a ) {9223372036854775807+}\r\n"},
		{"larger than any", "a X {99999999999999999999+}\r\n"},
		{"chain of literals", "a ) " + strings.Repeat("{20+}\r\n"+strings.Repeat("x", 20), 6)},
		{"chain of empty literals", "a )" + strings.Repeat(" {0+}\r\n", 30)},
		{"chain of lines", "a ) {0+}\r\n" + strings.Repeat("y", 110) + " {0+}\r\n {0+}\r\n"},
		{"line without end", "a " + strings.Repeat("x", 3<<20)},
	}
	for _, tt := range tests {
		for _, size := range []func() int{whole, cuts([]byte{99, 7})} {
			got := readCommands(&peer{data: []byte(tt.in + "\r\nb NOOP\r\n"), size: size}, func(c *Commands) { c.MaxDrain = 100 })
			if last := got.log[len(got.log)-1]; last != "end: "+ErrTooMuch.Error() {
				t.Errorf("%s: ends with %q", tt.name, last)
			}
		}
	}
}

func TestCommandsCollect(t *testing.T) {
	tests := []struct {
		name   string
		in     string
		max    int64
		want   string
		grants int
		fault  *Fault
	}{
		{"none", "a LOGIN u p\r\n", 10, `|u|p`, 0, nil},
		{"two", "a LOGIN {3}\r\nfoo {3+}\r\nbar\r\n", 10, `|L3="foo"|L3+="bar"`, 1, nil},
		{"empty", "a LOGIN {0} \r\n", 10, "", 0, faultLiteral},
		{"two empty", "a LOGIN {0}\r\n {0}\r\n\r\n", 10, `|L0=""|L0=""`, 2, nil},
		{"too large", "a LOGIN {3}\r\nfoo {11+}\r\nhello world\r\n", 10, "", 1, faultSize},
		{"too many", "a X" + strings.Repeat(" {1+}\r\nx", 33) + "\r\n", 40, "", 0, faultSize},
		{"as many as may be", "a X" + strings.Repeat(" {1+}\r\nx", 32) + "\r\n", 32, strings.Repeat(`|L1+="x"`, 32), 0, nil},
		{"too large together", "a LOGIN {6+}\r\nabcdef {5+}\r\nhello\r\n", 10, "", 0, faultSize},
		{"fault behind a literal", "a X {1}\r\nx ) {3+}\r\nabc\r\n", 10, "", 1, faultParen},
		{"lines too long together", "a X {1}\r\nx " + strings.Repeat("y", 392) + "\r\n", 10, "", 1, faultLength},
		{"over-long line", "a X {1}\r\nzz " + strings.Repeat("y", 500) + " {3+}\r\nabc\r\n", 10, "", 1, faultLength},
	}
	for _, tt := range tests {
		for _, late := range []bool{false, true} {
			p := &peer{data: []byte(tt.in + "b NOOP\r\n"), size: oneByte, late: late}
			c := NewCommands(p)
			c.MaxLine = 400
			var m Message
			grants := 0
			err := again(func() error { return c.Next(&m) })
			if err == nil {
				err = again(func() error {
					return c.Collect(&m, tt.max, func() error { grants++; return nil })
				})
			}
			var fault *Fault
			if errors.As(err, &fault); fault != tt.fault || fault == nil && err != nil {
				t.Errorf("%s: error %v, want %v", tt.name, err, tt.fault)
				continue
			}
			if string(m.Tag) != "a" || grants != tt.grants {
				t.Errorf("%s: tag %q, %d grants, want a and %d", tt.name, m.Tag, grants, tt.grants)
			}
			if err == nil {
				var b strings.Builder
				show(&b, m.Tokens, 0)
				if b.String() != tt.want || !c.Complete() {
					t.Errorf("%s: got %s, want %s", tt.name, b.String(), tt.want)
				}
			}
			if err := again(c.Discard); err != nil {
				t.Errorf("%s: discard: %v", tt.name, err)
			}
			if err := again(func() error { return c.Next(&m) }); err != nil || string(m.Tag) != "b" {
				t.Errorf("%s: then %q, %v", tt.name, m.Tag, err)
			}
		}
	}
}

// TestCommandsNextDiscards wants a literal never to be taken for a command, even where the caller forgot
// to read or discard it.
func TestCommandsNextDiscards(t *testing.T) {
	c := NewCommands(strings.NewReader("a X {8+}\r\nb NOOP\r\n\r\nc NOOP\r\n"))
	var m Message
	if err := c.Next(&m); err != nil {
		t.Fatal(err)
	}
	if err := c.Next(&m); err != nil || string(m.Tag) != "c" {
		t.Fatalf("read %q, %v", m.Tag, err)
	}
}

func TestCommandsReadLine(t *testing.T) {
	c := NewCommands(&peer{data: []byte("dGVzdA==\r\n*\r\n\r\nx\ny\x00\r\n" + strings.Repeat("z", 300) + " {5+}\r\nb NOOP\r\n"), size: oneByte, late: true})
	c.MaxLine = 200
	for _, want := range []string{"dGVzdA==", "*", "", faultBareLF.Text, faultNUL.Text, faultLength.Text} {
		var got []byte
		err := again(func() (err error) { got, err = c.ReadLine(); return err })
		if err != nil {
			got = []byte(err.Error())
		}
		if string(got) != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	var m Message
	if err := again(func() error { return c.Next(&m) }); err != nil || string(m.Tag) != "b" {
		t.Errorf("then %q, %v", m.Tag, err)
	}
}

func TestCommandsBoundary(t *testing.T) {
	p := &peer{data: []byte("a X {3+}\r\nabc\r\n"), size: oneByte}
	c := NewCommands(p)
	if !c.Boundary() {
		t.Error("no boundary at the start")
	}
	var m Message
	if err := c.Next(&m); err != nil || c.Boundary() || c.Complete() {
		t.Errorf("boundary within a command, %v", err)
	}
	if err := c.Discard(); err != nil || !c.Boundary() || !c.Complete() {
		t.Errorf("no boundary behind the command, %v", err)
	}
	p.data, p.late = []byte("b"), true
	for range 3 {
		if err := c.Next(&m); err == nil {
			t.Fatal("read a command out of nothing")
		}
	}
	if c.Boundary() {
		t.Error("boundary behind the first octet of a command")
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// TestCommandsCopyFails wants the reader usable after the other side failed.
func TestCommandsCopyFails(t *testing.T) {
	in := "a APPEND x {300000+}\r\n" + strings.Repeat("b NOOP\r\n", 37500) + " (\\Seen {2+}\r\nab\r\nb NOOP\r\n"
	c := NewCommands(&peer{data: []byte(in), size: cuts([]byte{250})})
	var m Message
	if err := c.Next(&m); err != nil {
		t.Fatal(err)
	}
	var werr *WriteError
	err := c.CopyLiteral(NewWriter(failing{io.ErrClosedPipe}))
	if !errors.As(err, &werr) || !errors.Is(err, io.ErrClosedPipe) {
		t.Fatalf("copy: %v", err)
	}
	if err := c.Discard(); err != nil {
		t.Fatal(err)
	}
	if err := c.Next(&m); err != nil || string(m.Tag) != "b" || !c.Complete() {
		t.Fatalf("then %q, %v", m.Tag, err)
	}
}

// TestCommandsLiteralMemory passes a large literal and wants the buffers bounded and given back.
func TestCommandsLiteralMemory(t *testing.T) {
	body := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	in := fmt.Sprintf("a APPEND x {%d}\r\n%s\r\nb NOOP\r\n", len(body), body)
	got := readCommands(&peer{data: []byte(in), size: whole}, nil)
	if got.most > largeBuffer || len(got.log) != 3 || !bytes.Contains(got.wrote, body) {
		t.Errorf("buffer of %d, %d lines", got.most, len(got.log))
	}
	c := NewCommands(strings.NewReader(in))
	var m Message
	for range 2 {
		if err := c.Next(&m); err != nil {
			t.Fatal(err)
		}
		if !c.Complete() {
			if err := c.CopyLiteral(NewWriter(io.Discard)); err != nil {
				t.Fatal(err)
			}
			if err := c.Continue(&m); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := c.Next(&m); err != io.EOF || len(c.b) > smallBuffer {
		t.Errorf("%v; %d octets of buffer at the end", err, len(c.b))
	}
}

// TestCommandsInterrupted stops the source at every octet and reads on.
func TestCommandsInterrupted(t *testing.T) {
	in := []byte("a LOGIN {3}\r\nfoo \"b\\\"r\"\r\nb ) {5+}\r\nhello {2+}\r\nxx\r\n" +
		"c X \"" + strings.Repeat("\\", 250) + "\" {3+}\r\nabc\r\nd FETCH 1 (BODY[HEADER.FIELDS ({1+}\r\nx)])\r\ne NOOP\n")
	want := readCommands(&peer{data: in, size: whole}, func(c *Commands) { c.MaxLine = 200 })
	for at := range in {
		n := 0
		size := func() int {
			if n++; n == 1 {
				return at
			}
			return whole()
		}
		got := readCommands(&peer{data: in, size: size, late: true}, func(c *Commands) { c.MaxLine = 200 })
		equalLogs(t, fmt.Sprintf("cut at %d", at), got.log, want.log)
		if !bytes.Equal(got.wrote, want.wrote) {
			t.Fatalf("cut at %d: wrote %q", at, got.wrote)
		}
	}
	if len(want.log) != 6 {
		t.Fatalf("read %d lines: %q", len(want.log), want.log)
	}
}
