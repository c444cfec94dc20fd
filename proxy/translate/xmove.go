package translate

import (
	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/wire"
)

const capXMove imap.Cap = "XMOVE"

// xMove answers XMOVE, MOVE under the name that it had while it was a draft, by MOVE of a layer below or
// of the backend. Its capability is offered only where the policy adds it.
func xMove() *Translation {
	return &Translation{
		Name:     "xmove",
		Commands: []string{"XMOVE", "UID XMOVE"},
		Offers:   func(Peers) []imap.Cap { return []imap.Cap{capXMove} },
		Takes:    func(p Peers) bool { return !p.Lacks(imap.CapMove) },
		Run: func(m *wire.Message, x Exchange) error {
			t, err := newTransfer(m, x)
			if err != nil {
				return err
			}
			return t.rename()
		},
	}
}

// rename runs MOVE under the same form. What it says passes as it is.
func (t *transfer) rename() error {
	name := "MOVE"
	if t.byUID {
		name = "UID MOVE"
	}
	s, err := t.x.Do(wire.Command(name, t.setToken, t.mailbox), nil)
	if err != nil {
		return err
	}
	if s.OK() {
		s.Text = completed(t.head).Text
	}
	return t.x.Reply(s)
}
