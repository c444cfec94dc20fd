package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// A passage is what came of reading a backend's stream to its end.
type passage struct {
	out   []byte   // what was written to the client
	log   []string // heads, and what the step found
	err   error    // never nil
	whole bool
	most  int // the largest buffer
}

// A step does with one message what a session does.
type step func(r *Responses, m *Message) (string, error)

func passThrough(r *Responses, m *Message) (string, error) { return "", again(r.Pass) }

func passFetches(r *Responses, m *Message) (string, error) {
	err := again(r.Pass)
	if err == nil {
		r.PassFetches()
	}
	return "", err
}

func skipAll(r *Responses, m *Message) (string, error) { return "", again(r.Skip) }

func drive(p *peer, do step) *passage {
	w := NewWriter(new(bytes.Buffer))
	return driveOn(NewResponses(p, w), w, do)
}

// drivePiped is drive where every octet of a literal that can pass by a Pipe does.
func drivePiped(p *peer, do step) *passage {
	w := NewWriter(new(hearer))
	r := NewResponses(piped{p}, w)
	r.MoveFrom = 1
	return driveOn(r, w, do)
}

func driveOn(r *Responses, w *Writer, do step) *passage {
	g := &passage{}
	for g.err == nil {
		var m Message
		if g.err = again(func() error { return r.Next(&m) }); g.err != nil {
			break
		}
		line := fmt.Sprintf("%s %d %s ", m.Tag, m.Num, m.Name)
		if m.Text != nil {
			line += fmt.Sprintf("%q ", m.Text)
		}
		var found string
		found, g.err = do(r, &m)
		if g.err == nil {
			g.log = append(g.log, strings.TrimRight(line+found, " "))
		}
		g.most = max(g.most, len(r.b))
	}
	r.Abandon()
	g.whole = r.Whole()
	if err := w.Flush(); errors.Is(err, ErrTorn) == g.whole {
		g.err = fmt.Errorf("whole is %v, and flushing gives %w", g.whole, err)
	}
	g.out = w.dst.(interface{ Bytes() []byte }).Bytes()
	return g
}

// loadThenPass reads the tokens and passes the message all the same.
func loadThenPass(r *Responses, m *Message) (string, error) {
	err := again(func() error { return r.Load(m) })
	var fault *Fault
	if errors.As(err, &fault) {
		return "!" + fault.Text, again(r.Pass)
	} else if err != nil {
		return "", err
	}
	var b strings.Builder
	show(&b, m.Tokens, 0)
	return b.String(), again(r.Pass)
}

// loadAll reads every part of the message.
func loadAll(r *Responses, m *Message) (string, error) {
	var b strings.Builder
	var last Kind
	err := again(func() error { return r.Load(m) })
	for {
		var fault *Fault
		if errors.As(err, &fault) {
			return b.String() + "!" + fault.Text, again(r.Skip)
		} else if err != nil {
			return "", err
		}
		last = show(&b, m.Tokens, last)
		_, more := m.Literal()
		if err := r.DropLine(); err != nil || !more {
			return b.String(), err
		}
		var body []byte
		if err := again(func() (err error) { body, err = r.Literal(1 << 20); return err }); err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "=%q", body)
		err = again(func() error { return r.Continue(m) })
	}
}

// rewrite writes the message's lines anew, its literals pass; a line that does not parse passes too.
func rewrite(r *Responses, m *Message) (string, error) {
	if m.Text != nil || m.IsStatus() || m.Continuation() {
		if err := again(r.Pass); err != nil {
			return "", err
		}
		return "", nil
	}
	err := again(func() error { return r.Load(m) })
	var fault *Fault
	if errors.As(err, &fault) {
		return "!" + fault.Text, again(r.Pass)
	} else if err != nil {
		return "", err
	}
	m = m.Clone()
	if err := r.DropLine(); err != nil {
		return "", err
	}
	w := r.Begin()
	if m.Num != 0 {
		w.Numbered(m.Num, m.Name)
	} else {
		w.Head(m.Tag, m.Name)
	}
	w.Tokens(m.Tokens)
	if t, ok := m.Literal(); ok {
		w.LiteralHead(t)
	} else {
		w.CRLF()
	}
	return "", again(r.Pass)
}

var refHead = regexp.MustCompile(`(?s)^(?:\+|[^\x00- ]{1,64} (?:OK|NO|BAD|BYE|PREAUTH)[^A-Z0-9._-]|(?:[^*\x00- ]|[^\x00- ]{2,64}) \+|\* \[|SERVER UNAVAILABLE\.[^A-Z0-9._-]|\* (?:([0-9]{1,20}) )?[A-Z._-][A-Z0-9._-]{0,31}[^A-Z0-9._-])`)
var refText = regexp.MustCompile(`(?s)^(?:\+|\* \[|(?:[^*\x00- ]|[^\x00- ]{2,64}) \+|SERVER UNAVAILABLE\.[^A-Z0-9._-]|[^\x00- ]{1,64} (?:OK|NO|BAD|BYE|PREAUTH)[^A-Z0-9._-])`)
var refLiteral = regexp.MustCompile(`\{([0-9]+)\}$`)

// reference reads a stream as plainly as can be and returns what must reach the client, message by
// message, and how it ends: "" at a boundary, else within a message or out of sync.
func reference(in []byte) (messages []string, end string) {
	for len(in) > 0 {
		padding := len(in) - len(bytes.TrimLeft(in, "\x00"))
		if padding > 1024 {
			return messages, "desync"
		}
		if in = in[padding:]; len(in) == 0 {
			break
		}
		n := bytes.IndexByte(in, '\n')
		if n < 0 {
			return messages, "partial"
		}
		upper := bytes.ToUpper(in[:n+1])
		head := refHead.FindSubmatch(upper)
		if head == nil {
			return messages, "desync"
		}
		if num, err := strconv.ParseUint("0"+string(head[1]), 10, 64); err != nil || num >= 1<<32 {
			return messages, "desync"
		}
		text := refText.Match(upper)
		var msg []byte
		for {
			if n = bytes.IndexByte(in, '\n'); n < 0 {
				return messages, "partial"
			}
			line := bytes.ReplaceAll(bytes.TrimSuffix(in[:n], []byte("\r")), []byte("\r"), []byte(" "))
			in = in[n+1:]
			msg = append(append(msg, line...), "\r\n"...)
			size := refLiteral.FindSubmatch(line)
			if text || !bytes.HasSuffix(line, []byte("}")) {
				break
			}
			quoted := false
			for i := 0; i < len(line); i++ {
				if line[i] == '\\' && quoted {
					i++
				} else if line[i] == '"' {
					quoted = !quoted
				}
			}
			if quoted {
				return messages, "desync"
			}
			if size == nil {
				break
			}
			literal, err := strconv.ParseInt(string(size[1]), 10, 64)
			if err != nil || len(size[1]) > 20 {
				return messages, "desync"
			}
			if literal > int64(len(in)) {
				return messages, "partial"
			}
			msg = append(msg, in[:literal]...)
			in = in[literal:]
		}
		messages = append(messages, string(msg))
	}
	return messages, ""
}

// checkPassage compares a passage with the reference: whole messages pass unchanged but for repaired
// line ends, and half a message is never taken for a whole one.
func checkPassage(t *testing.T, what string, g *passage, in []byte) {
	t.Helper()
	if messages := checkOutput(t, what, g, in); len(g.log) != len(messages) {
		t.Fatalf("%s: of %.200q\n%d messages, want %d", what, in, len(g.log), len(messages))
	}
}

// checkOutput wants the same of a step that may take several messages at once.
func checkOutput(t *testing.T, what string, g *passage, in []byte) (messages []string) {
	t.Helper()
	messages, end := reference(in)
	want := strings.Join(messages, "")
	if !strings.HasPrefix(string(g.out), want) {
		t.Fatalf("%s: of %.200q\npassed %.300q\n  want %.300q", what, in, g.out, want)
	}
	if g.whole != (len(g.out) == len(want)) {
		t.Fatalf("%s: %.200q: whole is %v with %d octets behind the last message", what, in, g.whole, len(g.out)-len(want))
	}
	var desync *Desync
	if end == "desync" && !errors.As(g.err, &desync) || end == "" && g.err != io.EOF {
		t.Fatalf("%s: of %.200q\nended with %v, want %q", what, in, g.err, end)
	}
	return messages
}
