package proxy

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/translate"
	"github.com/imapgate/imapgate/proxy/wire"
)

// A rigStream is what a client got, as messages.
type rigStream struct {
	tagged map[string][]string // type of each tagged answer by tag
	ends   []int               // where each message ends
	bye    bool
	torn   bool // the last message is not whole
}

var rigOwnTag = regexp.MustCompile(`(^|[^0-9A-Za-z])p[0-9][0-9a-z]*($|[^0-9A-Za-z])`)

// rigParse reads a client's stream and asserts what holds of every stream: it consists of messages, of
// which only the last may be cut; lines end in CRLF; no tag of the proxy's own is seen; EXISTS does not
// shrink without EXPUNGE; capabilities are those of the table.
func rigParse(t testing.TB, stream []byte) *rigStream {
	t.Helper()
	src := bytes.NewReader(stream)
	in := wire.NewResponses(src, nil)
	s := &rigStream{tagged: map[string][]string{}}
	exists := uint32(0)
	for {
		var m wire.Message
		at := len(stream) - src.Len() - in.Buffered()
		err := in.Next(&m)
		if err == nil && m.Untagged() && !m.IsStatus() {
			err = in.Load(&m)
		}
		var fault *wire.Fault
		if err != nil && !errors.As(err, &fault) {
			s.torn = at < len(stream)
			if !errors.Is(err, io.EOF) {
				t.Errorf("octet %d: %v\n%s", at, err, rigTail(stream))
			}
			return s
		}
		s.message(t, &m, &exists)
		if err := in.Skip(); err != nil {
			s.torn = true
			if !errors.Is(err, io.EOF) {
				t.Errorf("octet %d: %v\n%s", at, err, rigTail(stream))
			}
			return s
		}
		if in.Odd > 0 {
			t.Fatalf("a line does not end in CRLF, or has a CR within:\n%s", rigTail(stream))
		}
		s.ends = append(s.ends, len(stream)-src.Len()-in.Buffered())
	}
}

func (s *rigStream) message(t testing.TB, m *wire.Message, exists *uint32) {
	t.Helper()
	if m.IsStatus() || m.Continuation() {
		if rigOwnTag.Match(m.Text) {
			t.Errorf("a tag of the proxy's own in %q", m.Text)
		}
		if code, args, _ := wire.Code(m.Text); code == "CAPABILITY" {
			rigCaps(t, strings.Fields(string(args)))
		}
	}
	switch {
	case m.Continuation():
	case !m.Untagged():
		if rigOwnTag.Match(m.Tag) {
			t.Errorf("an answer under the proxy's own tag %q", m.Tag)
		}
		s.tagged[string(m.Tag)] = append(s.tagged[string(m.Tag)], m.Name)
	case m.Name == "BYE":
		s.bye = true
	case m.Name == "EXISTS":
		if m.Num < *exists {
			t.Errorf("EXISTS shrinks from %d to %d", *exists, m.Num)
		}
		*exists = m.Num
	case m.Name == "EXPUNGE":
		*exists--
	case m.Name == "FLAGS": // SELECT begins
		*exists = 0
	case m.Name == "CAPABILITY" || m.Name == "ENABLED":
		names := make([]string, len(m.Tokens))
		for i, tok := range m.Tokens {
			names[i] = tok.Value()
		}
		rigCaps(t, names)
	}
}

func rigCaps(t testing.TB, names []string) {
	t.Helper()
	for _, name := range names {
		added := name == "IMAP4rev2" // by the policy
		if row, ok := translate.CapRow(imap.Cap(name)); !ok || row.Fate == translate.Removed && !added {
			t.Errorf("the capability %s is not one to offer", name)
		}
	}
}

// answered wants one tagged answer for each tag and none for any other; fewer only where the stream
// has ended with BYE or was cut.
func (s *rigStream) answered(t testing.TB, over bool, tags ...string) {
	t.Helper()
	known := map[string]bool{}
	for _, tag := range tags {
		known[tag] = true
		if n := len(s.tagged[tag]); n > 1 || n == 0 && !over {
			t.Errorf("%d answers to %s", n, tag)
		}
	}
	for tag := range s.tagged {
		if !known[tag] {
			t.Errorf("an answer to %q, which no command has", tag)
		}
	}
}

// A rigCommand is one command as the backend heard it.
type rigCommand struct{ tag, name string }

// rigHeard reads what the backend heard and asserts what holds of it: whole commands, of which only the
// last may be cut, under tags of the proxy's own, each used once, and DONE.
func rigHeard(t testing.TB, heard []byte) (commands []rigCommand) {
	t.Helper()
	in := wire.NewCommands(bytes.NewReader(heard))
	seen := map[string]bool{}
	for {
		var m wire.Message
		err := in.Next(&m)
		if err == nil {
			c := rigCommand{string(m.Tag), m.Name}
			if seen[c.tag] || !strings.HasPrefix(c.tag, "l") && !strings.HasPrefix(c.tag, "p") {
				t.Errorf("the backend heard %s %s: a tag that is not the proxy's, or not new", c.tag, c.name)
			}
			seen[c.tag] = true
			if err = rigRest(in, &m); err == nil {
				commands = append(commands, c)
			}
		}
		var fault *wire.Fault
		switch {
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			return commands
		case errors.As(err, &fault) && string(m.Tag) == "DONE":
		case err != nil:
			t.Fatalf("the backend heard what is no command: %v\n%s", err, rigTail(heard))
		}
	}
}

// rigRest reads what is left of a command.
func rigRest(in *wire.Commands, m *wire.Message) error {
	for !in.Complete() {
		in.Grant()
		if err := in.CopyLiteral(wire.NewWriter(io.Discard)); err != nil {
			return err
		}
		if err := in.Continue(m); err != nil {
			return err
		}
	}
	return nil
}
