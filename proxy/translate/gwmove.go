package translate

import (
	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/wire"
)

const capXGWMove imap.Cap = "XGWMOVE"

// gwMove answers MOVE in front of GroupWise, by its own UID XGWMOVE: one operation, which leaves the
// marks of other messages alone. It gives no COPYUID. It is there only where this very backend has said,
// in answer to XGWEXTENSIONS, that it has XGWMOVE: see Conn.Login of package backend.
func gwMove() *Translation {
	return &Translation{
		Name:     "gwmove",
		Commands: []string{"MOVE", "UID MOVE"},
		Offers:   func(Peers) []imap.Cap { return []imap.Cap{imap.CapMove} },
		Takes: func(p Peers) bool {
			return p.Policy.Move == MoveAuto && lists(p.Real, capXGWMove) && p.Lacks(imap.CapMove) && p.Lacks(imap.CapUIDPlus)
		},
		Run: func(m *wire.Message, x Exchange) error {
			t, err := newTransfer(m, x)
			if err != nil {
				return err
			}
			return t.moveByGroupWise()
		},
	}
}

// gwExpunged gives "* n XGWMOVE" the name of what it means. Nobody but the clients of XGWMOVE knows it.
func gwExpunged() Rewrite {
	return Rewrite{
		Name:      "groupwise",
		Responses: only("XGWMOVE"),
		Down: func(_ *Memory, m *wire.Message) (Verdict, error) {
			if m.Num == 0 {
				return Drop, nil
			}
			m.Name, m.Tokens = "EXPUNGE", nil
			return Changed, nil
		},
	}
}

// GroupWise returns how the conversation with a backend of these capabilities differs; nothing where it is
// no GroupWise.
func GroupWise(caps imap.CapSet) []Rewrite {
	if !lists(caps, capXGWMove) && !lists(caps, capXGWExtensions) {
		return nil
	}
	return []Rewrite{gwExpunged()}
}

// moveByGroupWise turns numbers into UIDs first: how XGWMOVE takes numbers is not documented. The NOOP
// behind it brings what has left the mailbox, which GroupWise may tell behind its answer.
func (t *transfer) moveByGroupWise() error {
	sets := []string{string(t.setToken.Text)}
	if !t.byUID || t.saved {
		if err := t.resolve(); err != nil {
			return err
		}
		sets = nil
		for _, chunk := range Chunks(sortedKeys(t.marked), setOctets) {
			sets = append(sets, chunk.Text)
		}
	}
	s := wire.Status{Type: "OK", Text: "No matching messages"}
	for i, set := range sets {
		var err error
		if s, err = t.x.Do(wire.Command("UID XGWMOVE", wire.Word(set), t.mailbox), nil); err != nil {
			return err
		}
		if !s.OK() {
			if i > 0 {
				t.x.Result("partial")
			}
			break
		}
	}
	if len(sets) > 0 {
		if _, err := t.x.Do(wire.Command("NOOP"), nil); err != nil {
			return err
		}
	}
	if s.OK() && len(sets) > 0 {
		s = completed(t.head)
	}
	return t.x.Reply(s)
}
