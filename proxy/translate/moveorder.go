package translate

import (
	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/wire"
)

const (
	maxOrdered       = 1000    // responses that one MOVE holds back
	maxOrderedOctets = 1 << 20 // and their octets
)

// moveOrder puts COPYUID in front of the removals, for clients that have enabled IMAP4rev2: that is where
// RFC 9051 section 6.4.8 wants it, and some servers put it into the tagged line. Where more comes than may
// be held back, COPYUID stays behind.
func moveOrder() *Translation {
	return &Translation{
		Name:     "move-order",
		Commands: []string{"MOVE", "UID MOVE"},
		Takes:    func(p Peers) bool { return lists(p.Real, imap.CapMove) },
		Wants:    func(_ *wire.Message, st *Memory) bool { return st.speaks2.Load() },
		Run:      runMoveOrder,
	}
}

// Enabled notes what the client has enabled.
func (s *Memory) Enabled(names []imap.Cap) {
	for _, c := range names {
		if c == imap.CapIMAP4rev2 {
			s.speaks2.Store(true)
		}
	}
}

func runMoveOrder(m *wire.Message, x Exchange) error {
	h := &holdBack{x: x}
	s, err := x.Do(m, h.sink)
	if err != nil {
		return err
	}
	if s.OK() && s.Code == "COPYUID" && !h.over {
		if err := x.Info(s); err != nil {
			return err
		}
		s.Code, s.Args = "", ""
	}
	if err := h.release(); err != nil {
		return err
	}
	return x.Reply(s)
}

// A holdBack keeps the responses of a MOVE, from the first removal on, in their order.
type holdBack struct {
	x      Exchange
	held   []*wire.Message
	octets int
	over   bool // nothing is held back any more
}

func (h *holdBack) sink(m *wire.Message) (Verdict, error) {
	_, removal := removed(m)
	switch {
	case h.over || len(h.held) == 0 && !removal:
		h.over = h.over || m.IsStatus() && m.Status().Code == "COPYUID"
		return Pass, nil
	case !h.holds(m):
		return Pass, h.release()
	}
	h.held = append(h.held, m.Clone())
	return Drop, nil
}

// holds reports whether one more may be held back. Responses with literals cannot be, and such with tags
// or capabilities have to be rewritten on their way.
func (h *holdBack) holds(m *wire.Message) bool {
	switch m.Name {
	case "EXPUNGE", "VANISHED", "EXISTS", "RECENT", "FETCH":
	default:
		return false
	}
	for _, t := range m.Tokens {
		h.octets += len(t.Text) + 1
	}
	_, literal := m.Literal()
	return !literal && !m.IsStatus() && len(h.held) < maxOrdered && h.octets <= maxOrderedOctets
}

func (h *holdBack) release() error {
	h.over = true
	for _, m := range h.held {
		if err := h.x.Untagged(m); err != nil {
			return err
		}
	}
	h.held = nil
	return nil
}
