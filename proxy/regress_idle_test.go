package proxy

import (
	"bytes"
	"io"
	"net"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// refuseIdle answers NO to IDLE and OK to everything else.
func refuseIdle(p *rigPeer, tag, command string) {
	if command == "IDLE" {
		p.send(tag + " NO not here")
		return
	}
	p.send(tag + " OK done")
}

// A rigDepth is the proxy's end of a connection to a client, and how deep the stack was at the last read.
type rigDepth struct {
	net.Conn
	last int
}

func (c *rigDepth) Read(p []byte) (int, error) {
	var frames [1000]uintptr
	c.last = runtime.Callers(0, frames[:])
	return c.Conn.Read(p)
}

// The command behind a refused IDLE was dispatched from within that IDLE. Where it was an IDLE again, as with
// clients that try on and on, the stack grew until the whole server fell.
func TestRefusedIdlesDoNotNest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		probe := &rigDepth{}
		r := rigStart(t, rigSetup{wrapClient: func(c net.Conn) net.Conn { probe.Conn = c; return probe }})
		r.backend("IMAP4rev1", rigEach(refuseIdle))
		c := r.client()
		c.login()
		var first int
		for i := range 20 {
			c.ask("a1", "IDLE", "NO")
			synctest.Wait() // the proxy reads the next command
			if i == 0 {
				first = probe.last
			}
		}
		if probe.last != first {
			t.Errorf("the proxy reads %d calls deep after one refused IDLE and %d after 20", first, probe.last)
		}
		c.ask("a2", "NOOP", "OK")
	})
}

// The "+" that an IDLE waits for was still owed when the IDLE was refused: a few minutes later a healthy
// session was cut, because its backend seemed to be silent.
func TestRefusedIdleOwesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rigStart(t, rigSetup{})
		r.backend("IMAP4rev1", rigEach(refuseIdle))
		c := r.client()
		c.login()
		c.ask("a1", "IDLE", "NO")
		c.ask("a2", "NOOP", "OK")
		if rigOver(c, 3*r.srv.options().Timeouts.Response) {
			t.Errorf("the session was cut:\n%s", rigTail(c.got))
		}
	})
}

// A client in IDLE is told BYE at once when the server stops. A command that it had sent before IDLE, and that
// the backend was still at, lost its answer by that.
func TestDrainWaitsForCommandBeforeIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rigStart(t, rigSetup{})
		r.backend("IMAP4rev1 LITERAL+", func(p *rigPeer) {
			tag := p.want("APPEND INBOX {5+}")
			io.CopyN(io.Discard, p.in, int64(len("hello\r\n")))
			p.want("IDLE")
			p.send("+ idling")
			rigPass(3 * time.Second)
			p.send(tag + " OK appended")
			p.drain()
		})
		c := r.client()
		c.login()
		c.say("a1 APPEND INBOX {5+}\r\nhello\r\na2 IDLE\r\n")
		rigPass(time.Second)
		r.srv.Drain(r.session())
		c.endBye("maintenance")
		if !bytes.Contains(c.got, []byte("\r\na1 OK appended\r\n")) {
			t.Errorf("APPEND has no answer:\n%s", rigTail(c.got))
		}
	})
}

// A client that vanished in the middle of something else than DONE left its session behind: nobody read the
// client any more, and an IDLE is never late.
func TestClientVanishesInsideIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rigStart(t, rigSetup{})
		r.backend("IMAP4rev1 IDLE", rigEach(func(p *rigPeer, tag, command string) {
			if command == "IDLE" {
				p.send("+ idling")
				p.next()
			}
			p.send(tag + " OK done")
		}))
		c := r.client()
		c.login()
		c.say("a1 IDLE\r\n")
		c.must("+ ")
		c.say("a2 FOO {10+}\r\nabc")
		c.conn.Close()
		rigPass(rigForever)
		if n := len(r.srv.Sessions()); n != 0 {
			t.Errorf("%d sessions are left, the commands under way are %v", n, r.srv.Sessions()[0].Pending)
			r.srv.Kick(r.session())
		}
	})
}
