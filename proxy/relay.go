package proxy

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/imapgate/imapgate/proxy/wire"
)

// lingerTime is how long an ended connection is read on, so that unread data does not reset it and take
// the last lines with it; goodbyeTime is what a backend gets for its answer to LOGOUT.
const (
	lingerTime   = 2 * time.Second
	goodbyeTime  = 2 * time.Second
	lingerOctets = 16 << 20 // a peer that only sends ends it sooner
)

// An ending says how a session ended and what is still to be told to whom.
type ending struct {
	reason string      // for the log: a fixed word
	err    error       // the cause
	bye    wire.Status // for the client; Type is empty where nothing is to be told
	cut    bool        // the client must see that its stream is not whole
	polite bool        // the backend stands between messages and gets LOGOUT
}

// runUp is the goroutine that reads the client, or the one that goes on where a parked one was. When the
// conversation is over it waits for the other direction, and ends the session.
func (s *session) runUp() {
	defer s.recovered()
	up := s.carry(&s.up, s.relayUp, s.restUp)
	if errors.Is(up, errQuiet) {
		return
	}
	s.stopDown(up)
	s.reading.Wait()
	e := s.judge(up, s.downErr)
	s.close(e)
	s.finished(e)
	if e.cut {
		s.conn.Abort()
	}
	if e.polite && !e.cut && s.reuse == nil { // else the connection may be somebody else's by now
		s.layDown()
	}
	s.release() // the last, for what panics before it releases
}

// runDown is the goroutine that reads the backend, or the one that goes on where a parked one was. When the
// conversation is over, the other one is told.
func (s *session) runDown() {
	err := s.carry(&s.down, s.relayDown, s.restDown)
	if errors.Is(err, errQuiet) {
		return
	}
	s.b.In.Abandon()
	if !errors.Is(err, errSignal) {
		s.pending.end()
		s.up.raise(sigStop)
		s.toBackend.shut()
	}
	s.downErr = err
	s.reading.Done()
}

// carry relays in one direction until that is over. errQuiet says that it goes on on another goroutine, or
// does so already.
func (s *session) carry(c *control, relay func() error, release func()) error {
	for {
		err := s.guarded(relay, release)
		if !errors.Is(err, errQuiet) {
			return err
		}
		if c.park() {
			return err
		}
	}
}

// stopDown ends the other direction: at once where nobody would read the rest, else at a message's end.
// Where the backend cannot be written to, what it said before it went is still read.
func (s *session) stopDown(up error) {
	if errors.Is(up, errKicked) || isGone(up) && !backendFailed(up) {
		s.down.raise(sigKick)
		return
	}
	s.down.limit(byeTime)
	if !backendFailed(up) {
		s.upEnded.Store(true)
		s.down.raise(sigStop)
	}
}

// guarded relays, and lets go where that is to be parked. It turns a panic into an error, so that it ends one
// session and not all.
func (s *session) guarded(relay func() error, release func()) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("internal error: %v", v)
			s.srv.logPanic(s.client, v)
		}
	}()
	if err = relay(); errors.Is(err, errQuiet) {
		release()
	}
	return err
}

func backendFailed(err error) bool {
	var w *wire.WriteError
	return errors.As(err, &w) && !errors.Is(err, errOver)
}

// judge finds the one reason why a session ended. What the client did comes first, then what the backend
// did, for the other side only follows.
func (s *session) judge(up, down error) *ending {
	var desync *wire.Desync
	stuck := s.out.Err() != nil && !errors.Is(s.out.Err(), wire.ErrTorn)
	if errors.Is(up, errSignal) || errors.Is(up, errOver) {
		up = errOver // the backend went while a command was being read
	}
	if s.up.get()&sigKick != 0 && !errors.Is(up, errLogout) {
		up = errKicked
		s.toClient.reopen(goodbyeTime)
	}
	lost := bye("UNAVAILABLE", "The mail server ended the connection, try again later")
	e := &ending{err: up, cut: s.out.Err() != nil}
	switch {
	case errors.Is(up, errLogout):
		e.reason, e.polite = "logout", true
	case errors.Is(up, errClientLeft):
		e.reason, e.polite = "client_left", s.partial == nil
	case errors.Is(up, errDrained):
		e.reason, e.polite = "drained", true
		e.bye = bye("UNAVAILABLE", "This server is going down for maintenance, please reconnect")
	case errors.Is(up, errIdle):
		e.reason, e.polite = "idle", true
		e.bye = bye("", "Autologout, idle for too long")
	case errors.Is(up, errStalled):
		e.reason, e.bye = "stalled", bye("", "Autologout, command was not completed in time")
	case errors.Is(up, errCut):
		e.reason, e.bye = "bad_command", bye("", "Invalid command cannot be undone, please reconnect")
	case errors.Is(up, errEarly):
		e.reason, e.bye = "compress_injection", bye("", "Commands came before compression began")
	case errors.Is(up, wire.ErrDeflate):
		e.reason, e.bye = "bad_compression", bye("", "Compressed data does not decode")
	case errors.Is(up, wire.ErrBomb):
		e.reason, e.bye = "compression_bomb", bye("TOOBIG", "Compressed data grows too much")
	case errors.Is(up, wire.ErrTooMuch):
		e.reason, e.bye = "too_much", bye("TOOBIG", "Too much data")
	case errors.Is(up, errKicked):
		e.reason, e.bye = "kicked", bye("UNAVAILABLE", "Disconnected by the administrator, please reconnect")
	case isGone(up) && !backendFailed(up):
		e.reason, e.cut = "client_left", true
	case stuck:
		e.reason, e.err, e.cut = "client_stuck", s.out.Err(), true
	case errors.As(down, &desync):
		e.reason, e.err, e.bye = "out_of_sync", down, lost
		s.violation("out_of_sync")
	case errors.Is(down, errSilent):
		e.reason, e.err, e.bye = "backend_silent", down, lost
	case s.byed != "":
		e.reason, e.err, e.bye = "backend_bye", errors.New(s.byed), lost
	case down != nil && !errors.Is(down, errSignal):
		e.reason, e.err, e.bye = "backend_lost", down, lost
	default:
		e.reason, e.bye = "failed", lost
	}
	return e
}

// close tells both sides what is to be told. Both directions have ended. The connections themselves are
// closed by release.
func (s *session) close(e *ending) {
	s.conn.SetWriteDeadline(time.Now().Add(lingerTime)) // a kick has moved it into the past
	told := !e.cut && s.conclude(e)
	for _, p := range s.pending.queue { // those that got an answer in the end are gone from it
		if !p.done && p.kind != ours && p.kind != held {
			s.metrics.answered(p, resultLost, s.pending.clock.reading())
		}
	}
	switch {
	case s.keep(e):
	case e.polite && s.logoutBackend():
		defer awaitEnd(s.b.Net, goodbyeTime)
	default:
		s.b.Net.Abort()
	}
	if told {
		linger(s.conn)
	}
}

// conclude gives every command that is still open its tagged answer, in order, and then says BYE.
func (s *session) conclude(e *ending) (told bool) {
	s.out.Begin()
	farewell := e.bye
	for _, p := range s.pending.queue {
		switch {
		case p.done || p.kind == ours || e.bye.Type == "":
		case p.kind == held:
			s.out.Write(p.has().reply)
			if p.has().reply == nil {
				s.out.Write(p.has().later)
			}
			if p.cmd.Name == "LOGOUT" { // BYE stands in its answer
				farewell.Type = ""
			}
		case p.has().override.Type != "":
			s.out.Status(p.tag, p.has().override)
		case p.idle && e.polite: // BYE says it all
		default:
			s.out.Status(p.tag, no("UNAVAILABLE", "The command was interrupted, its result is not known"))
		}
	}
	if farewell.Type != "" {
		s.out.Status([]byte("*"), farewell)
	}
	return s.out.EndFlush() == nil
}

// linger ends our direction and reads on for a moment: closing with unread data would reset the
// connection, and a reset may overtake the last lines.
func linger(c *wire.Conn) {
	if c.CloseWrite() != nil {
		return
	}
	awaitEnd(c, lingerTime)
}

// awaitEnd reads what the peer still sends, until it ends its direction, or the time is over, or it is
// too much.
func awaitEnd(c *wire.Conn, d time.Duration) {
	c.SetReadDeadline(time.Now().Add(d))
	io.CopyN(io.Discard, c, lingerOctets)
}

// logoutBackend says LOGOUT to the backend, which gets a moment for its answer.
func (s *session) logoutBackend() bool {
	s.b.Net.SetWriteDeadline(time.Now().Add(goodbyeTime))
	if q := s.pending.queue; len(q) > 0 && q[len(q)-1].idle && q[len(q)-1].kind == passed {
		s.b.Out.Line("DONE")
	}
	s.b.Out.Head(ownTag(nil, s.pending.last+1), "LOGOUT")
	s.b.Out.CRLF()
	return s.b.Out.Push() == nil
}

// isGone reports the ordinary ways in which a peer's connection ends.
func isGone(err error) bool {
	return errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrUnexpectedEOF)
}
