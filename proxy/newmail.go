package proxy

import "github.com/imapgate/imapgate/proxy/wire"

// newMail keeps EXISTS and RECENT back from a client that expects them with the answer to NOOP, CHECK and
// IDLE only. It belongs to the goroutine that reads the backend. What would speak to the client of a
// message that it has not heard of lets them out before.
type newMail struct {
	told   uint32 // what the client believes EXISTS to be
	exists uint32
	recent uint32
	held   bool // exists is news
	rested bool // recent is news
}

// delayed sees each untagged response of a session whose client is such a one. It says whether the
// response passes now.
func (s *session) delayed(m *wire.Message) (pass bool, err error) {
	n := &s.news
	switch m.Name {
	case "EXISTS":
		if n.exists = m.Num; s.mayTell() {
			n.told, n.held = m.Num, false
			return true, nil
		}
		n.held = true
		s.ledger.exists(m.Num)
		return false, s.b.In.Skip()
	case "RECENT":
		if n.recent = m.Num; s.mayTell() {
			n.rested = false
			return true, nil
		}
		n.rested = true
		return false, s.b.In.Skip()
	case "EXPUNGE":
		if m.Num > n.told {
			err = s.tellNews()
		}
		n.told -= min(1, n.told)
		n.exists -= min(1, n.exists)
	case "VANISHED":
		err = s.tellNews()
	case "FETCH":
		if m.Num > n.told {
			err = s.tellNews()
		}
	}
	return true, err
}

// mayTell reports whether the client's oldest command is one with whose answer it expects news.
func (s *session) mayTell() bool {
	s.pending.mu.Lock()
	defer s.pending.mu.Unlock()
	e := s.pending.oldest()
	if e == nil {
		return false
	}
	switch e.cmd.Name {
	case "NOOP", "CHECK", "IDLE", "SELECT", "EXAMINE":
		return true
	}
	return false
}

// tellNews lets out what was kept back.
func (s *session) tellNews() error {
	n := &s.news
	if !n.held && !n.rested {
		return nil
	}
	if err := s.b.In.Settle(); err != nil {
		return err
	}
	s.out.Begin()
	if n.held {
		s.tellNumber(n.exists, "EXISTS")
		n.told = n.exists
	}
	if n.rested {
		s.tellNumber(n.recent, "RECENT")
	}
	n.held, n.rested = false, false
	return s.out.End()
}

// tellNumber writes "* n name", also for 0.
func (s *session) tellNumber(n uint32, name string) {
	s.out.Numbered(n, name)
	s.out.CRLF()
}

// duly lets news out before the answer to a command with which the client expects them.
func (s *session) duly() error {
	if !s.peers.Quirks.DelayNewMail || !s.mayTell() {
		return nil
	}
	return s.tellNews()
}
