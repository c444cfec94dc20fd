package proxy

import (
	"crypto/tls"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imapgate/imapgate/proxy/imaptest"
)

const rigCapsPlain = "IMAP4rev1 IDLE LITERAL+"

// inTime runs f in a bubble and wants it to take between want and want plus the moments in which ended
// connections are read on.
func inTime(t *testing.T, want time.Duration, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		f(t)
		if took := time.Since(began); took < want || took > want+lingerTime+goodbyeTime+byeTime+time.Second {
			t.Errorf("it took %v, want %v", took, want)
		}
	})
}

func TestSilentClientBeforeLogin(t *testing.T) {
	inTime(t, time.Minute, func(t *testing.T) {
		r := rigStart(t, rigSetup{})
		c := r.client()
		c.endBye("Login took too long")
		c.conn.Close()
		r.ended()
	})
}

// One octet a second keeps no connection open: the time is that of the whole login.
func TestDripBeforeLogin(t *testing.T) {
	inTime(t, time.Minute, func(t *testing.T) {
		r := rigStart(t, rigSetup{})
		c := r.client()
		for c.say("x") {
			rigPass(time.Second)
		}
		c.endBye("")
		r.ended()
	})
}

// A SASL exchange and a literal of LOGIN stand under the same time.
func TestSilentInLogin(t *testing.T) {
	for _, said := range []string{"a AUTHENTICATE PLAIN\r\n", "a LOGIN {5}\r\nab", "a LOGIN riley {5+}\r\n", "a LOG"} {
		inTime(t, time.Minute, func(t *testing.T) {
			r := rigStart(t, rigSetup{})
			c := r.client()
			c.say(said)
			c.endBye("Login took too long")
			r.ended()
		})
	}
}

func TestHandshakeNeverEnds(t *testing.T) {
	cert, _ := imaptest.Certificate(t)
	for _, said := range []string{"", "\x16\x03\x01\x02\x00", "a1 LOGIN u p\r\n"} {
		synctest.Test(t, func(t *testing.T) {
			r := rigStart(t, rigSetup{listener: func(l *Listener) {
				l.TLS, l.TLSConfig = ImplicitTLS, &tls.Config{Certificates: []tls.Certificate{cert}}
			}})
			began := time.Now()
			c := r.client()
			c.say(said)
			c.end()
			r.ended()
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("the handshake was waited for %v", took)
			}
		})
	}
}

func TestIdleClient(t *testing.T) {
	for _, said := range []string{"", "a1 IDLE\r\n", "a1 NOOP\r\na2 NOOP\r\n"} {
		inTime(t, 31*time.Minute, func(t *testing.T) {
			r := rigStart(t, rigSetup{})
			(&imaptest.Backend{Store: rigStore()}).Start(t, r.back)
			c := r.client()
			c.login()
			c.say(said)
			c.endBye("idle for too long")
			r.ended()
		})
	}
}

// A client that waits for its answer is not idle; the backend is not silent.
func TestLongFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rigStart(t, rigSetup{})
		r.backend(rigCapsPlain, func(p *rigPeer) {
			tag := p.want("FETCH 1 BODY[]")
			p.send("* 1 FETCH (BODY[] {60}")
			for range 60 {
				rigPass(time.Minute)
				p.raw("x")
			}
			p.send(")", tag+" OK done")
			p.answer()
		})
		c := r.client()
		c.login()
		c.ask("a1", "FETCH 1 BODY[]", "OK")
		c.ask("a2", "LOGOUT", "OK")
		got, _ := c.end()
		rigParse(t, got).answered(t, false, "a0", "a1", "a2")
		r.ended()
	})
}

// Half of a command never becomes a whole one.
func TestClientStopsInsideCommand(t *testing.T) {
	for _, said := range []string{
		"a1 APPEND x {10}\r\nab", "a1 APPEND x {10+}\r\nab", "a1 APPEND x {2+}\r\nab", "a1 NOO",
		"a1 SELECT {5+}\r\nab", "a1 UID XGWMOVE 1 {5+}\r\na",
	} {
		inTime(t, 5*time.Minute, func(t *testing.T) { stopInside(t, said) })
	}
}

// stopInside says a part of a command, and wants that the backend never had a whole one.
func stopInside(t *testing.T, said string) {
	rest := make(chan string, 1)
	r := rigStart(t, rigSetup{})
	r.backend(rigCapsPlain, func(p *rigPeer) {
		line, _ := p.in.ReadString('\n')
		if strings.HasSuffix(line, "}\r\n") && !strings.HasSuffix(line, "+}\r\n") {
			p.send("+ go on")
		}
		rest <- line + p.drain()
	})
	c := r.client()
	c.login()
	c.say(said)
	c.endBye("")
	c.conn.Close()
	r.back.Close()
	if heard := <-rest; strings.HasSuffix(heard, "ab\r\n") || strings.Count(heard, "\r\n") > 1 {
		t.Errorf("%q became %q", said, heard)
	}
	r.ended()
}

// A client that does not read costs buffers, and a minute.
func TestClientDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rigStart(t, rigSetup{})
		r.backend(rigCapsPlain, func(p *rigPeer) {
			p.want("FETCH 1 BODY[]")
			p.send("* 1 FETCH (BODY[] {100000000}")
			for p.raw(strings.Repeat("x", 1<<16)) {
			}
		})
		c := r.dial()
		io.WriteString(c, "a0 LOGIN u p\r\na1 FETCH 1 BODY[]\r\n")
		began := time.Now()
		synctest.Wait()
		r.ended()
		if took := time.Since(began); took > 70*time.Second {
			t.Errorf("it took %v", took)
		}
		if n := len(r.carried("backend")); n > 1<<20 {
			t.Errorf("%d octets were taken from the backend for a client that takes none", n)
		}
	})
}

// A backend that does not read ends the session as well, and the client is told.
func TestBackendDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rigStart(t, rigSetup{})
		over := make(chan struct{})
		r.backend(rigCapsPlain, func(p *rigPeer) { <-over })
		c := r.client()
		c.login()
		c.say("a1 APPEND x {100000000+}\r\n")
		for c.say(strings.Repeat("x", 1<<16)) {
		}
		c.endBye("")
		r.ended()
		close(over)
		if n := len(r.carried("client")); n > 1<<20+lingerOctets {
			t.Errorf("%d octets were taken from the client for a backend that takes none", n)
		}
	})
}

func TestBackendOwesAnAnswer(t *testing.T) {
	for _, said := range []string{"a1 NOOP\r\n", "a1 APPEND x {3}\r\n", "a1 APPEND x {2+}\r\nab\r\n", "a1 IDLE\r\n"} {
		inTime(t, 5*time.Minute, func(t *testing.T) {
			r := rigStart(t, rigSetup{})
			r.backend("IMAP4rev1 IDLE", func(p *rigPeer) { p.drain() })
			c := r.client()
			c.login()
			c.say(said)
			c.endBye("[UNAVAILABLE]")
			got, _ := c.end()
			if !strings.Contains(said, "IDLE") && !strings.Contains(string(got), "a1 NO [UNAVAILABLE]") {
				t.Errorf("%q was not answered:\n%s", said, got)
			}
			r.ended()
		})
	}
}

// In IDLE, and between commands, a backend may be silent as long as the client wants.
func TestSilentBackendOwesNothing(t *testing.T) {
	for _, between := range []func(c *rigClient){
		func(c *rigClient) { rigPass(30 * time.Minute) },
		func(c *rigClient) {
			c.say("a1 IDLE\r\n")
			c.must("+")
			rigPass(30 * time.Minute)
			c.say("DONE\r\n")
			c.must("a1 OK")
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := rigStart(t, rigSetup{})
			(&imaptest.Backend{Store: rigStore()}).Start(t, r.back)
			c := r.client()
			c.login()
			between(c)
			c.ask("a2", "NOOP", "OK")
			c.ask("a3", "LOGOUT", "OK")
			c.end()
			r.ended()
		})
	}
}

// A backend that does not get as far as a session costs the client an answer, not the connection.
func TestBackendStallsBeforeSession(t *testing.T) {
	for name, stall := range map[string]struct {
		want   time.Duration
		script func(p *rigPeer)
	}{
		"no greeting":   {10 * time.Second, func(p *rigPeer) { p.drain() }},
		"half greeting": {10 * time.Second, func(p *rigPeer) { p.raw("* OK he"); p.drain() }},
		"no capability": {10 * time.Second, func(p *rigPeer) { p.send("* OK"); p.drain() }},
		"no login":      {30 * time.Second, func(p *rigPeer) { p.send("* OK [CAPABILITY IMAP4rev1] hi"); p.drain() }},
		"drip": {10 * time.Second, func(p *rigPeer) {
			for p.raw("* OK still busy\r\n") {
				rigPass(time.Second)
			}
		}},
		"drip in login": {30 * time.Second, func(p *rigPeer) {
			p.send("* OK [CAPABILITY IMAP4rev1] hi")
			for p.raw("* OK still busy\r\n") {
				rigPass(time.Second)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			inTime(t, stall.want, func(t *testing.T) {
				r := rigStart(t, rigSetup{})
				r.serve(stall.script)
				c := r.client()
				c.must("* OK")
				c.ask("a1", "LOGIN riley firetruck", "NO [UNAVAILABLE]")
				(&imaptest.Backend{Store: rigStore()}).Start(t, r.back)
				c.ask("a2", "LOGIN riley firetruck", "OK")
				c.ask("a3", "LOGOUT", "OK")
				c.end()
				r.ended()
			})
		})
	}
}
