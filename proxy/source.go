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

// errQuiet says that the reader stands between messages, that nothing was there to read for a while, and
// that nothing is held of what its peer has sent: it can be parked, and goes on as if it had been waiting
// all the time.
var errQuiet = errors.New("quiet")

// A patience says how long a peer may be silent, and what interrupts waiting for it.
type patience struct {
	wait time.Duration
	stop signal
	late error // what it is when the time is over
	// since says from when silence counts, where that is after the wait began; false: it does not count
	// now. nil is from the beginning.
	since func(*pending) (time.Time, bool)
	of    *pending      // is asked by since
	park  time.Duration // silence after which it is errQuiet; 0 for never
}

// left says how much longer the peer may be silent.
func (p patience) left(began time.Time) time.Duration {
	if p.since != nil {
		since, counts := p.since(p.of)
		if !counts {
			return p.wait
		}
		if since.After(began) {
			began = since
		}
	}
	return p.wait - time.Since(began)
}

// resumeTime is how long a reader that was parked waits at least before it parks again: what woke it is
// there, or was meant for somebody else.
const resumeTime = time.Millisecond

// read reads from the connection with patience.
func (c *control) read(b []byte, p patience) (int, error) {
	n, err := c.await(b, p)
	if !errors.Is(err, errQuiet) {
		c.began, c.resumed = 0, false
	}
	return n, err
}

func (c *control) await(b []byte, p patience) (int, error) {
	now, left := time.Now(), p.wait
	if c.began == 0 {
		c.began = momentOf(now)
	} else if left = p.left(c.began.time()); left <= 0 {
		return 0, p.late
	}
	for ; ; now = time.Now() {
		switch c.arm(now, p.attempt(left, c.resumed), p.stop) {
		case 0:
		case sigLimit:
			return 0, errNoEnd
		default:
			return 0, errSignal
		}
		n, err := c.take(b)
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		if left = p.left(c.began.time()); left <= 0 {
			return 0, p.late
		}
		if p.park > 0 && c.mayPark() {
			c.due, c.stop = momentOf(time.Now().Add(left)), p.stop
			return 0, errQuiet
		}
		p.park = 0 // a part of something is there: more of it comes soon
	}
}

// attempt is how long one read may wait. The shortest time to park, a nanosecond, is none: nothing is read
// that was not waited for in the lot.
func (p patience) attempt(left time.Duration, resumed bool) time.Duration {
	switch {
	case p.park <= 0:
		return left
	case resumed:
		return min(left, max(p.park, resumeTime))
	}
	return min(left, p.park-1)
}

// mayPark reports whether all that the peer has sent was handed out, as far as it was read. A reader whose
// end is near stays.
func (c *control) mayPark() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lot != nil && c.final == 0 && c.conn.Drained()
}

// upSource is where a session's commands are read from. Before it waits for the client it lets all leave
// that was written for the backend.
type upSource struct{ s *session }

func (u upSource) run() { u.s.runUp() }

// Read reads from the client.
func (u upSource) Read(b []byte) (int, error) {
	u.s.b.Out.Push() // an error is met by whoever writes next, or by the backend's reader
	n, err := u.s.up.read(b, u.patience())
	u.s.pending.clock.tell()
	return n, err
}

// patience is that with the client. One that waits for answers is not idle, and its time begins with the last of
// them.
func (u upSource) patience() patience {
	s := u.s
	stop := sigKick | sigStop | s.heeds
	switch {
	case !s.in.Boundary():
		return patience{wait: s.opts.Timeouts.Response, stop: sigKick | sigStop, late: errStalled}
	case s.heeds == heedWait: // whoever is paused is soon resumed
		return patience{wait: s.opts.Timeouts.Idle, stop: stop, late: errIdle, since: (*pending).quiet, of: &s.pending}
	case s.vigil != nil:
		s.up.began = 0 // it goes by times that do not begin with a wait
		return patience{wait: s.vigil.left(), stop: stop, late: errDue, park: s.parkTime(idles)}
	}
	return patience{wait: s.opts.Timeouts.Idle, stop: stop, late: errIdle, since: (*pending).quiet, of: &s.pending, park: s.parkTime(pace(s.idling != nil))}
}

// downSource is where a session's responses are read from.
type downSource struct{ s *session }

func (d downSource) run() { d.s.runDown() }

// Read reads from the backend.
func (d downSource) Read(b []byte) (int, error) {
	n, err := d.s.down.read(b, d.patience())
	d.s.pending.clock.tell()
	return n, err
}

// patience is that with the backend. Between messages silence is a failure only while it owes something.
func (d downSource) patience() patience {
	s := d.s
	wait := s.opts.Timeouts.Response
	if s.b.In.Boundary() {
		return patience{wait: wait, stop: sigKick | sigStop, late: errSilent, since: (*pending).owed, of: &s.pending, park: s.parkTime(s.pace)}
	}
	return patience{wait: wait, stop: sigKick, late: errSilent}
}

// A pace says how soon a peer is going to send something.
type pace bool

const (
	talks pace = false
	idles pace = true // in IDLE
)

// parkTime is how long a reader waits on its goroutine; 0 where it always does. In IDLE the next message may be
// hours away, also behind one that has just come: a nanosecond is no time at all.
func (s *session) parkTime(p pace) time.Duration {
	t := max(s.opts.Timeouts.Park, 0)
	if p == idles {
		return min(t, 1)
	}
	return t
}
