package translate

import (
	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/wire"
)

// plainList asks once more without selection options (RFC 5258) when a backend answers BAD to them, and
// selects by itself what has a special use (RFC 6154). Anything else stays BAD.
func plainList() *Translation {
	return &Translation{
		Name:     "plainlist",
		Commands: []string{"LIST"},
		Takes:    func(p Peers) bool { return p.Quirks.PlainList },
		Wants: func(m *wire.Message, _ *Memory) bool {
			return len(m.Tokens) > 2 && m.Tokens[0].Kind == wire.Open
		},
		Run: runPlainList,
	}
}

func runPlainList(m *wire.Message, x Exchange) error {
	s, err := x.Do(wire.Command(m.Name, m.Tokens...), nil)
	if err != nil {
		return err
	}
	rest := m.Tokens[3:]
	if s.Type != "BAD" || !m.Tokens[1].Is("SPECIAL-USE") || m.Tokens[2].Kind != wire.Close || len(rest) < 2 ||
		!rest[0].IsString() || !rest[1].IsString() {
		return x.Reply(s)
	}
	s, err = x.Do(wire.Command(m.Name, rest[:2]...), func(m *wire.Message) (Verdict, error) {
		if m.Name == "LIST" && m.Num == 0 && !hasSpecialUse(m.Tokens) {
			return Drop, nil
		}
		return Pass, nil
	})
	if err != nil {
		return err
	}
	return x.Reply(s)
}

// specialUses are the attributes of RFC 6154 section 2 and RFC 8457 section 3.
var specialUses = [...]imap.MailboxAttr{
	imap.MailboxAttrAll, imap.MailboxAttrArchive, imap.MailboxAttrDrafts, imap.MailboxAttrFlagged,
	imap.MailboxAttrJunk, imap.MailboxAttrSent, imap.MailboxAttrTrash, imap.MailboxAttrImportant,
}

// hasSpecialUse looks into the attributes of a LIST response.
func hasSpecialUse(tokens []wire.Token) bool {
	for _, t := range tokens {
		if t.Kind == wire.Close {
			return false
		}
		for _, use := range specialUses {
			if t.Is(string(use)) {
				return true
			}
		}
	}
	return false
}
