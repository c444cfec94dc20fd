package proxy

import (
	"errors"
	"os"
	"time"
)

// errSignal says that a signal is up and the reader stands between messages.
var errSignal = errors.New("signal")

var (
	errIdle    = errors.New("the client was silent for too long")
	errStalled = errors.New("the client stopped in the middle of a command")
	errSilent  = errors.New("the backend was silent for too long while it owed an answer")
	errNoEnd   = errors.New("the backend did not close its connection")
	errKicked  = errors.New("kicked")
)

// A patience says how long a peer may be silent, and what interrupts waiting for it.
type patience struct {
	wait time.Duration
	stop signal
	late error // what it is when the time is over
	// since says from when silence counts, where that is after the wait began; false: it does not count
	// now. nil is from the beginning.
	since func() (time.Time, bool)
}

// left says how much longer the peer may be silent.
func (p patience) left(began time.Time) time.Duration {
	if p.since != nil {
		since, counts := p.since()
		if !counts {
			return p.wait
		}
		if since.After(began) {
			began = since
		}
	}
	return p.wait - time.Since(began)
}

// read reads from the connection with patience.
func (c *control) read(b []byte, p patience) (int, error) {
	began := time.Now()
	now := began
	for left := p.wait; ; now = time.Now() {
		switch c.arm(now, left, p.stop) {
		case 0:
		case sigLimit:
			return 0, errNoEnd
		default:
			return 0, errSignal
		}
		n, err := c.conn.Read(b)
		if c.clock != nil {
			c.clock.tell()
		}
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		if left = p.left(began); left <= 0 {
			return 0, p.late
		}
	}
}

// upSource is where a session's commands are read from. Before it waits for the client it lets all leave
// that was written for the backend.
type upSource struct{ s *session }

// Read reads from the client. One that waits for answers is not idle, and its time begins with the last
// of them.
func (u upSource) Read(b []byte) (int, error) {
	s := u.s
	s.b.Out.Push() // an error is met by whoever writes next, or by the backend's reader
	switch {
	case !s.in.Boundary():
	case s.vigil != nil:
		return s.up.read(b, patience{s.vigil.left(), sigKick | sigStop | s.heeds, errDue, nil})
	default:
		return s.up.read(b, patience{s.opts.Timeouts.Idle, sigKick | sigStop | s.heeds, errIdle, s.quiet})
	}
	return s.up.read(b, patience{s.opts.Timeouts.Response, sigKick | sigStop, errStalled, nil})
}

// downSource is where a session's responses are read from.
type downSource struct{ s *session }

// Read reads from the backend. Between messages silence is a failure only while it owes something.
func (d downSource) Read(b []byte) (int, error) {
	s := d.s
	wait := s.opts.Timeouts.Response
	if s.b.In.Boundary() {
		return s.down.read(b, patience{wait, sigKick | sigStop, errSilent, s.owed})
	}
	return s.down.read(b, patience{wait, sigKick, errSilent, nil})
}
