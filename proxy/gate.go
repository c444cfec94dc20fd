package proxy

import (
	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/translate"
	"github.com/imapgate/imapgate/proxy/wire"
)

// barred answers a command of the client that uses what was taken away. done is false where it may pass.
func (s *session) barred(m *wire.Message, cmd *translate.Command) (done bool, err error) {
	if m.Name == "ENABLE" {
		s.countEnabling(m.Tokens)
	}
	gate := s.stack.Gate()
	if gate == nil {
		return false, nil
	}
	if _, literal := m.Literal(); literal && gate.Walks(m.Name) {
		if ok, err := s.holdArguments(m, cmd); !ok {
			return true, err
		}
	}
	c, refused := gate.Refuses(m)
	if !refused {
		return false, nil
	}
	s.used(c)
	s.idled = m.Name == "IDLE" // its DONE may be on the way
	return true, s.reject(m, notOffered(c))
}

// barredMore looks at a line behind a message of APPEND. Its beginning is up, so it can only be cut.
func (s *session) barredMore(e *entry, m *wire.Message) error {
	if e.cmd.Data == 0 || !s.stack.Gate().Walks(e.cmd.Name) {
		return nil
	}
	c, refused := s.stack.Gate().RefusesMore(m.Tokens)
	if !refused {
		return nil
	}
	s.used(c)
	s.pending.instead(e, notOffered(c))
	return errCut
}

// countEnabling counts what a client wants to enable that was taken away; it is not enabled.
func (s *session) countEnabling(args []wire.Token) {
	for c := range translate.CapsOf(args) {
		if s.stack.Removed(c) {
			s.used(c)
		}
	}
}

func notOffered(c imap.Cap) wire.Status { return bad("", string(c)+" is not offered here") }

// unknown answers a command that nobody takes; one of a capability that is not offered is counted.
func (s *session) unknown(m *wire.Message) error {
	if c, ok := translate.UsedBy(m.Name, s.stack.Caps()); ok {
		s.used(c)
	}
	return s.reject(m, bad("", "Unknown command"))
}

// used counts the use of a capability that was not offered.
func (s *session) used(c imap.Cap) {
	s.srv.metrics.filtered.WithLabelValues(translate.Used(c)).Inc()
}
