package translate

import (
	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/wire"
)

// uidNext tells UIDNEXT at SELECT where the backend tells it in STATUS only (RFC 3501 section 6.3.1 wants
// it in both). STATUS comes first, because a mailbox that is selected is not to be asked for it (RFC 3501
// section 6.3.10): mail that comes in between makes the number too small, which is what it may be.
func uidNext() *Translation {
	return &Translation{
		Name:     "uidnext",
		Commands: []string{"SELECT", "EXAMINE"},
		Takes:    func(p Peers) bool { return p.Quirks.AskUIDNext },
		Run:      runUIDNext,
	}
}

func runUIDNext(m *wire.Message, x Exchange) error {
	if len(m.Tokens) == 0 || !m.Tokens[0].IsString() {
		return x.Send(m)
	}
	next := ""
	ask := wire.Command("STATUS", append([]wire.Token{m.Tokens[0]}, wire.List(wire.Word("UIDNEXT"))...)...)
	if _, err := x.Do(ask, func(m *wire.Message) (Verdict, error) {
		if m.Name != "STATUS" || m.Num != 0 {
			return Pass, nil
		}
		next = statusNumber(m.Tokens, "UIDNEXT")
		return Drop, nil
	}); err != nil && !asRefused(err, new(*Refused)) { // SELECT is not refused before the backend leaves its mailbox
		return err
	}
	told := false
	s, err := x.Do(m, func(m *wire.Message) (Verdict, error) {
		if code, _, _ := wire.Code(m.Text); m.IsStatus() && code == "UIDNEXT" {
			told = true
		}
		return Pass, nil
	})
	if err != nil {
		return err
	}
	if s.OK() && !told && next != "" {
		if err := x.Info(wire.Status{Type: "OK", Code: "UIDNEXT", Args: next, Text: "Predicted next UID"}); err != nil {
			return err
		}
	}
	return x.Reply(s)
}

// statusNumber finds the number behind a name in a STATUS response; "" where there is none.
func statusNumber(tokens []wire.Token, name string) string {
	for i := range tokens {
		if !tokens[i].Is(name) || i+1 == len(tokens) {
			continue
		}
		if n, ok := tokens[i+1].Number(); ok && n > 0 {
			return string(tokens[i+1].Text)
		}
	}
	return ""
}

// closed tells that the mailbox before is closed (RFC 7162 section 3.2.11), for backends that never do. All
// is answered by then, and SELECT leaves the mailbox before it does anything else (RFC 3501 section
// 6.3.1), so whatever comes later is of the new one.
func closed() *Translation {
	return &Translation{
		Name:     "closed",
		Commands: []string{"SELECT", "EXAMINE"},
		Takes:    func(p Peers) bool { return p.Quirks.NeverClosed },
		Run: func(m *wire.Message, x Exchange) error {
			if x.Mailbox().Name != "" && wantsClosed(x.Peers().Enabled) {
				if err := x.Info(wire.Status{Type: "OK", Code: "CLOSED", Text: "Previous mailbox is closed"}); err != nil {
					return err
				}
			}
			return x.Send(m)
		},
	}
}

func wantsClosed(enabled imap.CapSet) bool {
	return lists(enabled, imap.CapQResync) || lists(enabled, imap.CapIMAP4rev2)
}
