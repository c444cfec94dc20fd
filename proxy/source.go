package proxy

import (
	"errors"
	"os"
	"time"
)

// upSource is where a session's commands are read from. Before it waits for the client it lets all leave
// that was written for the backend.
type upSource struct{ s *session }

// errSignal says that a signal is up and the reader stands between commands.
var errSignal = errors.New("signal")

var (
	errIdle    = errors.New("the client was silent for too long")
	errStalled = errors.New("the client stopped in the middle of a command")
	errSilent  = errors.New("the backend was silent for too long while it owed an answer")
	errNoEnd   = errors.New("the backend did not close its connection")
	errKicked  = errors.New("kicked")
)

// Read reads from the client under the session's deadlines and signals.
func (u upSource) Read(p []byte) (int, error) {
	s := u.s
	s.b.Out.Push() // an error is met by whoever writes next, or by the backend's reader
	began := time.Now()
	for left := time.Duration(0); ; {
		boundary := s.in.Boundary()
		wait, stop := s.srv.opts.Timeouts.Response, sigKick|sigStop
		if boundary {
			wait, stop = s.srv.opts.Timeouts.Idle, stop|s.heeds
		}
		if left <= 0 {
			left = wait
		}
		if up := s.up.arm(time.Now(), left, stop); up != 0 {
			return 0, errSignal
		}
		n, err := s.conn.Read(p)
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		if left = u.left(began, wait, boundary); left <= 0 {
			return 0, expired(boundary)
		}
	}
}

func expired(boundary bool) error {
	if boundary {
		return errIdle
	}
	return errStalled
}

// left says how much longer the client may be silent. A client that waits for answers is not idle, and
// its time begins with the last of them.
func (u upSource) left(began time.Time, wait time.Duration, boundary bool) time.Duration {
	if boundary {
		since, quiet := u.s.pending.quiet()
		if !quiet {
			return wait
		}
		if since.After(began) {
			began = since
		}
	}
	return wait - time.Since(began)
}

// downSource is where a session's responses are read from.
type downSource struct{ s *session }

// Read reads from the backend. Silence is a failure only while the backend owes something.
func (d downSource) Read(p []byte) (int, error) {
	s := d.s
	began := time.Now()
	for left := time.Duration(0); ; {
		boundary := s.b.In.Boundary()
		wait, stop := s.srv.opts.Timeouts.Response, sigKick
		if boundary {
			stop |= sigStop
		}
		if left <= 0 {
			left = wait
		}
		switch s.down.arm(time.Now(), left, stop) {
		case 0:
		case sigLimit:
			return 0, errNoEnd
		default:
			return 0, errSignal
		}
		n, err := s.b.Net.Read(p)
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		if left = d.left(began, wait, boundary); left <= 0 {
			return 0, errSilent
		}
	}
}

// left says how much longer the backend may be silent: for as long as it likes where it owes nothing.
func (d downSource) left(began time.Time, wait time.Duration, boundary bool) time.Duration {
	if boundary {
		since, owed := d.s.pending.owed()
		if !owed {
			return wait
		}
		if since.After(began) {
			began = since
		}
	}
	return wait - time.Since(began)
}
