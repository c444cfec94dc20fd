package proxy

import (
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/translate"
	"github.com/imapgate/imapgate/proxy/wire"
)

// stillHere is how often a client that idles is told that the connection is alive: address translators
// forget it otherwise, and a client that is gone would never be noticed.
const stillHere = 2 * time.Minute

// errDue says that something of a vigil is due; the reader stands between messages.
var errDue = errors.New("due")

// A vigil is an IDLE (RFC 2177) in front of a backend that has none: the session asks by NOOP whether there
// is anything new. That a NOOP is answered with EXPUNGE does no harm, because the client's IDLE permits it
// (RFC 9051 section 7.5.1). Like the other IDLE it is a state of the relay, which the up goroutine alone
// is in: it reads the client until something is due.
type vigil struct {
	x    *exchange
	poll time.Time // the backend is asked
	tell time.Time // the client hears that we are here
	end  time.Time // the client was silent for too long
}

// left is how long nothing is due.
func (v *vigil) left() time.Duration {
	next := v.poll
	for _, t := range [...]time.Time{v.tell, v.end} {
		if t.Before(next) {
			next = t
		}
	}
	return max(time.Until(next), 0)
}

// polls reports whether the client was promised an IDLE that the backend does not have.
func (s *session) polls() bool {
	return s.peers.Lacks(imap.CapIdle) && slices.Contains(s.stack.Caps(), imap.CapIdle)
}

// watch answers IDLE, up to DONE.
func (s *session) watch(m *wire.Message, cmd *translate.Command) error {
	e, err := s.push(translated, m.Tag, cmd)
	if err != nil {
		return err
	}
	s.pending.idling(e)
	s.idled = true
	x := &exchange{s: s, e: e, depth: translate.Top}
	if err := x.tell(func(w *wire.Writer) { w.Line("+ idling") }); err != nil {
		s.srv.metrics.translated("idle", "failed")
		return err
	}
	now := time.Now()
	s.vigil = &vigil{x: x, poll: now, tell: now.Add(stillHere), end: now.Add(s.opts.Timeouts.Idle)}
	return nil
}

// keepVigil reads the client until it says DONE, or something else.
func (s *session) keepVigil(m *wire.Message) error {
	s.heeds = heedIdle
	err := s.vigilant(m)
	if errors.Is(err, errQuiet) {
		return err
	}
	x := s.vigil.x
	s.vigil = nil
	if !x.ended {
		x.result = "failed"
	}
	s.srv.metrics.translated("idle", x.result)
	return err
}

func (s *session) vigilant(m *wire.Message) error {
	x := s.vigil.x
	for {
		err := s.in.Next(m)
		fault, isFault := errors.AsType[*wire.Fault](err)
		switch {
		case errors.Is(err, errDue):
			if err := s.due(); err != nil {
				return err
			}
		case errors.Is(err, errSignal) && s.up.get()&sigDrain != 0:
			return errDrained // a client that idles may be told BYE at any time
		case errors.Is(err, errSignal):
			return s.heed()
		case errors.Is(err, io.EOF):
			if err := x.Reply(ok("IDLE completed")); err != nil {
				return err
			}
			return s.finish()
		case err != nil && !isFault:
			return err
		case isFault && isDone(m, fault):
			return x.Reply(ok("IDLE completed"))
		default: // it is not executed: the client is not where we are
			if err := s.in.Discard(); err != nil && !errors.Is(err, io.EOF) { // that comes again
				return err
			}
			return x.Reply(bad("", "Expected DONE"))
		}
	}
}

// due does what the time has come for.
func (s *session) due() error {
	v, now := s.vigil, time.Now()
	if !now.Before(v.end) {
		return errIdle
	}
	if !now.Before(v.tell) {
		v.tell = now.Add(stillHere)
		if err := v.x.Info(ok("Still here")); err != nil {
			return err
		}
	}
	if now.Before(v.poll) {
		return nil
	}
	if s.up.get()&sigPause == 0 {
		if _, err := v.x.Do(wire.Command("NOOP"), nil); err != nil {
			return err
		}
	}
	v.poll = time.Now().Add(jittered(s.peers.Policy.IdlePoll))
	return nil
}

// leastPoll keeps a setting of next to nothing from being a flood.
const leastPoll = time.Second

// jittered is a time of about d, another one each time: clients that began to idle together, as after a
// restart, do not ask together for ever.
func jittered(d time.Duration) time.Duration {
	d = max(d, leastPoll)
	return d - d/8 + rand.N(d/4)
}
