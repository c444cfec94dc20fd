package translate

import (
	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/wire"
)

const capXGWExtensions imap.Cap = "XGWEXTENSIONS"

// xgwExtensions answers GroupWise's list of extensions. Its clients send XGWEXTENSIONS when the
// capability of that name is announced, and XGWMOVE when the answer names it.
func xgwExtensions() *Translation {
	return &Translation{
		Name:     "xgwextensions",
		Commands: []string{"XGWEXTENSIONS"},
		Offers: func(p Peers) []imap.Cap {
			if p.Policy.XGWMove == XGWMoveAnnounce {
				return []imap.Cap{capXGWExtensions}
			}
			return nil
		},
		Takes: takesXGW,
		Run:   runXGWExtensions,
	}
}

func takesXGW(p Peers) bool {
	return p.Policy.XGWMove == XGWMoveAccept || p.Policy.XGWMove == XGWMoveAnnounce
}

// runXGWExtensions names only what the proxy carries, whatever a GroupWise backend has.
func runXGWExtensions(m *wire.Message, x Exchange) error {
	if len(m.Tokens) != 0 {
		return bad("XGWEXTENSIONS takes no arguments")
	}
	if err := x.Untagged(wire.Data("XGWEXTENSIONS", wire.Word("XGWMOVE"))); err != nil {
		return err
	}
	return x.Reply(completed(m.Name))
}

// xgwMove answers GroupWise's own MOVE. Moved messages are reported as EXPUNGE or VANISHED and never
// as "* n XGWMOVE": every known client of XGWMOVE treats both alike.
func xgwMove() *Translation {
	return &Translation{
		Name:     "xgwmove",
		Commands: []string{"XGWMOVE", "UID XGWMOVE"},
		Takes:    takesXGW,
		Run:      runXGWMove,
	}
}

func runXGWMove(m *wire.Message, x Exchange) error {
	t, err := newTransfer(m, x)
	if err != nil {
		return err
	}
	switch p := x.Peers(); {
	case !p.Lacks(imap.CapMove):
		return t.rename()
	case lists(p.Backend, imap.CapUIDPlus): // policy move: off
		return t.moveByUID()
	}
	return t.mark()
}

// mark is for backends where the originals cannot be removed without removing what others have
// marked: it copies, marks the originals \Deleted in the open and leaves the expunge to the user. The
// known clients of XGWMOVE mark their originals too, and those of XAOL-MOVE know the flag.
func (t *transfer) mark() error {
	done, err := t.gather(func() error { return nil })
	if done || err != nil {
		return err
	}
	for _, chunk := range Chunks(t.copied, setOctets) {
		s, err := t.x.Do(storeCommand(chunk, "+FLAGS"), nil)
		if err != nil {
			return err
		}
		if !s.OK() {
			return t.refuse("partial", unremoved(s, "copied, but the originals could not be marked"))
		}
	}
	s := completed(t.head)
	s.Text += " (originals marked deleted)"
	return t.finish(s)
}
