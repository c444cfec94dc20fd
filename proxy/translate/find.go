package translate

import (
	"strings"

	"github.com/imapgate/imapgate/proxy/wire"
)

// find answers FIND MAILBOXES and FIND ALL.MAILBOXES of the time before IMAP4 (RFC 1176, RFC 2062) by
// LSUB and LIST.
func find() *Translation {
	return &Translation{
		Name:     "find",
		Polyfill: true,
		Commands: []string{"FIND"},
		Takes:    func(Peers) bool { return true },
		Run:      runFind,
	}
}

func runFind(m *wire.Message, x Exchange) error {
	if len(m.Tokens) != 2 || !m.Tokens[1].IsString() || m.Tokens[1].Glued {
		return bad("FIND takes MAILBOXES or ALL.MAILBOXES and a pattern")
	}
	name := ""
	switch {
	case m.Tokens[0].Is("MAILBOXES"):
		name = "LSUB"
	case m.Tokens[0].Is("ALL.MAILBOXES"):
		name = "LIST"
	default:
		return bad("FIND takes MAILBOXES or ALL.MAILBOXES")
	}
	pattern := m.Tokens[1].Value()
	if strings.ContainsAny(pattern, "%?") {
		// They stand for one character there, and LIST has nothing of the kind.
		return no("CANNOT", "FIND takes no other wildcard than *")
	}
	s, err := x.Do(wire.Command(name, wire.String(""), patternToken(pattern)), func(m *wire.Message) (Verdict, error) {
		if m.Name != name {
			return Pass, nil
		}
		return toMailbox(m), nil
	})
	if err == nil && s.OK() {
		s = completed("FIND " + strings.ToUpper(string(m.Tokens[0].Text)))
	}
	return replyOr(x, s, err)
}

// toMailbox turns a LIST or LSUB response into "* MAILBOX name", where the name is the rest of the line.
// Only what can be selected is a mailbox there.
func toMailbox(m *wire.Message) Verdict {
	line, ok := readListLine(m)
	if !ok || !line.selectable() {
		return Drop
	}
	name := line.name.Value()
	m.Name, m.Tokens = "MAILBOX", []wire.Token{patternToken(name)}
	if name == "" || strings.ContainsAny(name, "\"()\\{\r\n\x00") {
		return Changed
	}
	m.Tokens = nil
	for word := range strings.SplitSeq(name, " ") {
		m.Tokens = append(m.Tokens, wire.Word(word))
	}
	return Changed
}
