package proxy

import (
	"bytes"
	"errors"
	"io"

	"github.com/imapgate/imapgate/proxy/translate"
	"github.com/imapgate/imapgate/proxy/wire"
)

// idle is the state of the relay between IDLE and DONE (RFC 2177). Nothing behind DONE goes up before
// DONE, and DONE only after the backend's "+".
func (s *session) idle(m *wire.Message, cmd *translate.Command) error {
	if ok, err := s.bare(m); !ok {
		s.idled = true // its DONE is still to come
		return err
	}
	if s.polls() {
		return s.watch(m, cmd)
	}
	e, err := s.push(passed, m.Tag, cmd)
	if err != nil {
		return err
	}
	s.pending.idling(e)
	s.pending.expect(forwardGrant) // before the last octet, with which the buffer may be full and leave
	s.head(e, "IDLE")
	s.b.Out.CRLF()
	s.idled, s.idling = true, e
	return nil
}

// untilDone reads what a client says that idles.
func (s *session) untilDone(m *wire.Message) error {
	e := s.idling
	s.heeds = heedIdle
	err := s.in.Next(m)
	if errors.Is(err, errQuiet) {
		return err
	}
	s.idling = nil
	fault, _ := errors.AsType[*wire.Fault](err)
	over := s.pending.isDone(e)
	switch {
	case errors.Is(err, errSignal):
		if s.up.get()&sigDrain != 0 {
			if err := s.before(e); err != nil {
				return err
			}
			return errDrained // a client that idles may be told BYE at any time
		}
		return s.heed()
	case errors.Is(err, io.EOF):
		if err := s.endIdle(e); err != nil {
			return err
		}
		return s.finish()
	case err != nil && fault == nil:
		return err
	case fault != nil && isDone(m, fault):
		return s.endIdle(e)
	case over && fault != nil:
		return s.faulty(m, fault)
	case over: // it was refused, or ended by itself, and the client goes on
		s.again = true
		return nil
	}
	return s.interrupted(e)
}

// interrupted ends an IDLE in which something else than DONE came. It is not executed: the client
// believes that it is talking of something that we do not know.
func (s *session) interrupted(e *entry) error {
	if err := s.in.Discard(); err != nil && !errors.Is(err, io.EOF) { // that comes again
		return err
	}
	s.pending.instead(e, bad("", "Expected DONE"))
	return s.endIdle(e)
}

// endIdle sends DONE when the backend is idling, and nothing when it refused or has ended by itself.
func (s *session) endIdle(e *entry) error {
	s.b.Out.Push()
	granted, err := s.pending.granted(e)
	if err != nil || !granted || !s.pending.leaveIdle(e) {
		return err
	}
	s.b.Out.Line("DONE")
	return s.b.Out.Err()
}

// isDone reports whether a faulty line is the line DONE.
func isDone(m *wire.Message, f *wire.Fault) bool {
	return f.Kind == wire.FaultSyntax && m.Name == "" && bytes.EqualFold(m.Tag, []byte("DONE"))
}

func (p *pending) idling(e *entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e.idle = true
}

// leaveIdle notes that DONE is sent and that the backend owes the answer; false when it was given.
func (p *pending) leaveIdle(e *entry) bool {
	p.mu.Lock()
	if e.done {
		p.mu.Unlock()
		return false
	}
	e.idle = false
	p.mu.Unlock()
	p.sentNow(e)
	return true
}

func (p *pending) isDone(e *entry) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return e.done
}

// instead sets what the client is told in place of the backend's answer.
func (p *pending) instead(e *entry, s wire.Status) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e.gets().override = s
}
