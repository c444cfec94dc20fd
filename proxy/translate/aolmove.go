package translate

import (
	"slices"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/wire"
)

const capXAOLOption imap.Cap = "XAOL-OPTION"

// aolMove answers AOL's own MOVE, which old Thunderbird sends where XAOL-OPTION is offered. The
// capability promises more than this command, FETCH items above all, so it is offered only where the
// backend itself has it, or the policy adds it.
func aolMove() *Translation {
	return &Translation{
		Name:     "xaol-move",
		Commands: []string{"UID XAOL-MOVE"},
		Offers: func(p Peers) []imap.Cap {
			if lists(p.Real, capXAOLOption) || slices.Contains(p.Policy.Add, capXAOLOption) {
				return []imap.Cap{capXAOLOption}
			}
			return nil
		},
		Takes: func(p Peers) bool { return p.Policy.Move == MoveAuto || !p.Lacks(imap.CapMove) },
		Run:   runAOLMove,
	}
}

func runAOLMove(m *wire.Message, x Exchange) error {
	p := x.Peers()
	if p.Lacks(imap.CapMove) && lists(p.Real, capXAOLOption) {
		return x.Send(m)
	}
	t, err := newTransfer(m, x)
	if err != nil {
		return err
	}
	if p.Lacks(imap.CapMove) {
		return t.mark()
	}
	return t.rename()
}
