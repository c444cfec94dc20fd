package proxy

import (
	"bytes"
	"errors"
	"strings"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/translate"
	"github.com/imapgate/imapgate/proxy/wire"
)

// rewritten passes a status response or a continuation request under tag, with the capabilities and the
// tags in it replaced. The places are those of RFC 3501 section 7.1, RFC 5267 section 4.3.1, RFC 9585.
func (s *session) rewritten(tag []byte, m *wire.Message) error {
	if err := s.b.In.Settle(); err != nil {
		return err
	}
	s.out.Begin()
	s.writeStatus(tag, m)
	if err := s.out.End(); err != nil {
		return err
	}
	return s.b.In.DropLine()
}

func (s *session) writeStatus(tag []byte, m *wire.Message) {
	code, args, text := wire.Code(m.Text)
	switch code {
	case "CAPABILITY":
		s.out.Text(tag, m.Name, []byte("[CAPABILITY "+s.capText+"] "+s.plain(text)))
	case "REFERRAL": // it would lead the client past the proxy (RFC 2221)
		s.out.Text(tag, m.Name, []byte(s.plain(text)))
	case "NOUPDATE":
		s.out.Text(tag, m.Name, []byte("["+code+" "+s.quotedTag(string(args))+"] "+s.plain(text)))
	case "INPROGRESS":
		s.out.Text(tag, m.Name, []byte("["+code+s.progress(string(args))+"] "+s.plain(text)))
	default:
		if m.Name != "OK" && bytes.IndexByte(m.Text, 'p') >= 0 {
			s.out.Text(tag, m.Name, []byte(s.plain(m.Text)))
			return
		}
		s.out.Text(tag, m.Name, m.Text)
	}
}

// plain is text for people, in which tags of commands that are under way are the client's.
func (s *session) plain(text []byte) string {
	t := string(text)
	s.pending.mu.Lock()
	defer s.pending.mu.Unlock()
	for _, e := range s.pending.queue {
		if !e.done && e.kind != held {
			t = replaceWord(t, string(ownTag(nil, e.own)), string(e.tag))
		}
	}
	return t
}

// replaceWord replaces word where no letter or digit stands beside it.
func replaceWord(text, word, by string) string {
	var b strings.Builder
	for {
		i := strings.Index(text, word)
		if i < 0 {
			b.WriteString(text)
			return b.String()
		}
		end := i + len(word)
		whole := (i == 0 || !isWord(text[i-1])) && (end == len(text) || !isWord(text[end]))
		b.WriteString(text[:i])
		if whole {
			b.WriteString(by)
		} else {
			b.WriteString(word)
		}
		text = text[end:]
	}
}

func isWord(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// clientTag finds the client's tag for one of ours: of a command under way, or of a search that goes on.
func (s *session) clientTag(tag string) (string, bool) {
	own, ok := parseOwn([]byte(tag))
	if !ok {
		return "", false
	}
	s.pending.mu.Lock()
	defer s.pending.mu.Unlock()
	for _, e := range s.pending.queue {
		if e.own == own {
			return string(e.tag), true
		}
	}
	return s.updates.client(own)
}

// quotedTag renders the client's tag for one of ours, which may come quoted or not.
func (s *session) quotedTag(arg string) string {
	tag, ok := s.clientTag(strings.Trim(arg, `"`))
	if !ok {
		return `""`
	}
	return `"` + tag + `"`
}

// progress rewrites the tag in the arguments of INPROGRESS: ("tag" done goal). A tag with "]" cannot
// stand in a response code, so it becomes NIL (RFC 9585 section 4).
func (s *session) progress(args string) string {
	inner, found := strings.CutPrefix(args, `("`)
	if !found {
		return spaced(args)
	}
	own, rest, found := strings.Cut(inner, `"`)
	if !found {
		return ""
	}
	tag, known := s.clientTag(own)
	if !known || strings.Contains(tag, "]") {
		return " (NIL" + rest
	}
	return ` ("` + tag + `"` + rest
}

func spaced(args string) string {
	if args == "" {
		return ""
	}
	return " " + args
}

// correlated passes a response that begins with a list which holds the tag of its command: (TAG "p5").
// Its order is free (RFC 7377 section 2.1), and the tag may be a literal. Without a tag no command caused
// it (RFC 4466 section 2.6.2); one with a tag that is not ours to give is dropped.
func (s *session) correlated(m *wire.Message) error {
	in := s.b.In
	err := in.Load(m)
	held := err == nil && listGoesOn(m)
	if held {
		m, err = s.holdList(m)
	}
	var fault *wire.Fault
	switch {
	case errors.As(err, &fault):
		s.violation("correlator")
		return in.Skip()
	case err != nil:
		return err
	}
	at := tagPlace(m.Tokens)
	switch {
	case at < 0 && held:
		return s.replaceLine(m)
	case at < 0:
		return in.Pass()
	}
	tag, ok := s.clientTag(m.Tokens[at].Value())
	if !ok {
		s.violation("correlator")
		return in.Skip()
	}
	m.Tokens[at] = wire.String(tag)
	return s.replaceLine(m)
}

// replaceLine writes m in the place of the loaded line, and passes what follows.
func (s *session) replaceLine(m *wire.Message) error {
	if err := s.b.In.DropLine(); err != nil {
		return err
	}
	w := s.b.In.Begin()
	if m.Num != 0 {
		w.Numbered(m.Num, m.Name)
	} else {
		w.Head([]byte("*"), m.Name)
	}
	w.Tokens(m.Tokens)
	if t, more := m.Literal(); more {
		w.LiteralHead(t)
	} else {
		w.CRLF()
	}
	return s.b.In.Pass()
}

const (
	maxListLiteral  = 64 << 10 // octets of a mailbox name or a tag in a literal
	maxListLiterals = 8
)

// holdList reads on to the end of the list that m begins with, and holds the literals in it.
func (s *session) holdList(m *wire.Message) (*wire.Message, error) {
	in, held := s.b.In, m.Clone()
	for range maxListLiterals {
		if err := in.DropLine(); err != nil {
			return nil, err
		}
		text, err := in.Literal(maxListLiteral)
		if err != nil {
			return nil, err
		}
		held.Tokens[len(held.Tokens)-1].Text = text
		if err := in.Continue(m); err != nil {
			return nil, err
		}
		for _, t := range m.Tokens {
			held.Tokens = append(held.Tokens, t.Clone())
		}
		if !listGoesOn(held) {
			return held, nil
		}
	}
	return nil, &wire.Desync{Text: "too many literals in the list of a response"}
}

// listGoesOn reports whether the list that m begins with goes on behind a literal.
func listGoesOn(m *wire.Message) bool {
	if _, more := m.Literal(); !more {
		return false
	}
	depth := 0
	for _, t := range m.Tokens {
		switch t.Kind {
		case wire.Open:
			depth++
		case wire.Close:
			depth--
		}
		if depth == 0 {
			return false
		}
	}
	return true
}

// tagPlace finds the value of TAG in the list of names and values that a response begins with; -1 where
// there is none.
func tagPlace(tokens []wire.Token) int {
	if len(tokens) == 0 || tokens[0].Kind != wire.Open {
		return -1
	}
	depth, name := 1, true
	for i := 1; i < len(tokens) && depth > 0; i++ {
		t := tokens[i]
		switch {
		case t.Kind == wire.Open:
			depth++
		case t.Kind == wire.Close:
			depth--
			name = true
		case depth > 1:
		case name && t.Is("TAG") && i+1 < len(tokens):
			return i + 1
		default:
			name = !name
		}
	}
	return -1
}

func capsOf(tokens []wire.Token) []imap.Cap {
	caps := make([]imap.Cap, 0, len(tokens))
	for c := range translate.CapsOf(tokens) {
		caps = append(caps, c)
	}
	return caps
}
