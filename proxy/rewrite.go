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
		s.coded(tag, m.Name, "[CAPABILITY "+s.stack.CapText()+"] ", text)
	case "REFERRAL": // it would lead the client past the proxy (RFC 2221)
		s.coded(tag, m.Name, "", text)
	case "NOUPDATE":
		s.coded(tag, m.Name, "["+code+" "+s.quotedTag(string(args))+"] ", text)
	case "INPROGRESS":
		s.coded(tag, m.Name, "["+code+s.progress(string(args))+"] ", text)
	default:
		if listsCapabilities(m.Text) {
			s.out.Text(tag, m.Name, nil)
			return
		}
		s.out.Text(tag, m.Name, s.plain(m.Text))
	}
}

func (s *session) coded(tag []byte, name, code string, text []byte) {
	s.out.Text(tag, name, append([]byte(code), s.plain(text)...))
}

// listsCapabilities reports text that a client might take for a list of capabilities although it is none
// by the grammar. It must not pass.
func listsCapabilities(text []byte) bool {
	const word = "CAPABILITY"
	for len(text) > 0 && (text[0] == ' ' || text[0] == '\t') {
		text = text[1:]
	}
	if len(text) <= len(word) || text[0] != '[' {
		return false
	}
	text = bytes.TrimLeft(text[1:], " \t")
	return len(text) >= len(word) && bytes.EqualFold(text[:len(word)], []byte(word))
}

// plain is text for people, in which tags of commands that are under way are the client's. It is read
// once: what a client chose for a tag may look like one of ours. Text without tags is returned as it is.
func (s *session) plain(text []byte) []byte {
	var b []byte
	from := 0
	for i := 0; i < len(text); {
		end := i
		for end < len(text) && isWord(text[end]) {
			end++
		}
		if own, ok := parseOwn(text[i:end]); ok {
			if tag, ok := s.underWay(own); ok {
				b = append(append(b, text[from:i]...), tag...)
				from = end
			}
		}
		i = end + 1
	}
	if from == 0 {
		return text
	}
	return append(b, text[from:]...)
}

func (s *session) underWay(own uint64) ([]byte, bool) {
	s.pending.mu.Lock()
	defer s.pending.mu.Unlock()
	for _, e := range s.pending.queue {
		if e.own == own && !e.done && e.kind != held {
			return bytes.Clone(e.tag), true // a translation may answer it now, and its array be used again
		}
	}
	return nil, false
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
	err := s.load(m)
	held := err == nil && !s.edited && listGoesOn(m)
	if held {
		m, err = s.holdLiterals(m, listGoesOn)
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
		return s.pass(m)
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
	s.edited = false
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

// holdLiterals reads on while there is a literal and goesOn says so, and holds the literals.
func (s *session) holdLiterals(m *wire.Message, goesOn func(*wire.Message) bool) (*wire.Message, error) {
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
		if _, more := held.Literal(); !more || !goesOn(held) {
			return held, nil
		}
	}
	return nil, &wire.Desync{Text: "too many literals in a response"}
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
