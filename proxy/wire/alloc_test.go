//go:build !race

package wire

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

// TestPassingDoesNotAllocate pins what the pass-through path costs. (The race detector makes pools drop
// what they are given.)
func TestPassingDoesNotAllocate(t *testing.T) {
	responses := map[string]string{
		"fetch":         "* 12 FETCH (UID 345 FLAGS (\\Seen))\r\n",
		"exists":        "* 12 EXISTS\r\n",
		"vanished":      "* VANISHED (EARLIER) 1:5\r\n",
		"tagged OK":     "p1 OK [READ-WRITE] done\r\n",
		"literal":       "* 1 FETCH (BODY[] {1000}\r\n" + strings.Repeat("x", 1000) + ")\r\n",
		"large literal": fmt.Sprintf("* 1 FETCH (BODY[] {%d}\r\n%s)\r\n", 3*largeBuffer, strings.Repeat("x", 3*largeBuffer)),
		"long line":     "* SEARCH " + strings.Repeat("123 ", 20000) + "\r\n",
	}
	for name, in := range responses {
		r := NewResponses(&endless{b: []byte(in), rounds: 1 << 30}, NewWriter(io.Discard))
		var m Message
		noAllocs(t, name, func() error {
			if err := r.Next(&m); err != nil {
				return err
			}
			return r.Pass()
		})
	}
}

func TestReadingCommandsDoesNotAllocate(t *testing.T) {
	commands := []string{
		"a1 NOOP\r\n",
		"a2 UID FETCH 1:100 (UID FLAGS BODY.PEEK[HEADER.FIELDS (TO \"CC\")])\r\n",
		"a3 select \"Sent Items\"\r\n",
		"a4 APPEND x (\\Seen) {1000}\r\n" + strings.Repeat("x", 1000) + "\r\n",
		fmt.Sprintf("a5 APPEND x ~{%d+}\r\n%s\r\n", 3*largeBuffer, strings.Repeat("x", 3*largeBuffer)),
		"a6 X )\r\n",
	}
	tag := []byte("p1")
	for _, in := range commands {
		c := NewCommands(&endless{b: []byte(in), rounds: 1 << 30})
		w := NewWriter(io.Discard)
		var m Message
		noAllocs(t, in[:7], func() error {
			err := c.Next(&m)
			if err == faultParen {
				return c.Discard()
			} else if err != nil {
				return err
			}
			w.Begin()
			w.Head(tag, m.Name)
			w.Tokens(m.Tokens)
			for !c.Complete() {
				lit, _ := m.Literal()
				w.LiteralHead(lit)
				if err := c.CopyLiteral(w); err != nil {
					return err
				}
				if err := c.Continue(&m); err != nil {
					return err
				}
				w.Tokens(m.Tokens)
			}
			w.CRLF()
			return w.EndFlush()
		})
	}
}

func TestWritingDoesNotAllocate(t *testing.T) {
	w := NewWriter(io.Discard)
	tag := []byte("a17")
	noAllocs(t, "status", func() error {
		w.Begin()
		w.Numbered(4294967295, "EXISTS")
		w.CRLF()
		w.Status(tag, Status{Type: "OK", Code: "APPENDUID", Args: "38505 3955", Text: "APPEND completed"})
		return w.EndFlush()
	})
	text := []byte("[UIDNEXT 4392] Predicted next UID")
	noAllocs(t, "code", func() error {
		if name, _, _ := Code(text); name != "UIDNEXT" {
			return fmt.Errorf("code %q", name)
		}
		return nil
	})
}

func noAllocs(t *testing.T, name string, f func() error) {
	t.Helper()
	var err error
	n := testing.AllocsPerRun(200, func() {
		if e := f(); e != nil {
			err = e
		}
	})
	if n != 0 || err != nil {
		t.Errorf("%s: %v allocations a message, %v", name, n, err)
	}
}
