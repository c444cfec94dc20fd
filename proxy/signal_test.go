package proxy

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imapgate/imapgate/proxy/imaptest"
	"github.com/imapgate/imapgate/proxy/wire"
)

// rigPaused logs in and pauses the session.
func rigPaused(t *testing.T, before func(c *rigClient)) (*rig, *rigClient) {
	r := rigStart(t, rigSetup{})
	(&imaptest.Backend{Store: rigStore()}).Start(t, r.back)
	c := r.client()
	c.login()
	before(c)
	synctest.Wait()
	if !r.srv.Pause(r.session()) {
		t.Fatal("there is no session to pause")
	}
	synctest.Wait()
	return r, c
}

// quiet wants the client to get nothing for a time.
func (c *rigClient) quiet(t *testing.T, d time.Duration) {
	t.Helper()
	before := len(c.got)
	rigPass(d)
	synctest.Wait()
	if len(c.got) != before {
		t.Errorf("the client got %q", c.got[before:])
	}
}

func noTalk(*rigClient) {}

// Commands wait while a session is paused, for as long as it takes, and then go on in order.
func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, c := rigPaused(t, noTalk)
		c.say("a1 NOOP\r\na2 SELECT INBOX\r\n")
		c.quiet(t, 2*time.Hour)
		if strings.Contains(string(r.heard()), "NOOP") {
			t.Error("a command went up")
		}
		r.srv.Resume(r.session())
		c.must("a1 OK")
		c.must("a2 OK")
		c.ask("a3", "LOGOUT", "OK")
		c.end()
		r.ended()
	})
}

// Commands that came in one packet with the one under way wait as well.
func TestPauseWithCommandsInTheBuffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rigStart(t, rigSetup{})
		r.backend(rigCapsPlain, func(p *rigPeer) {
			tag := p.want("APPEND x {3}")
			rigPass(time.Second)
			p.send(tag + " NO not now")
			p.answer()
		})
		c := r.client()
		c.login()
		c.say("a1 APPEND x {3}\r\na2 NOOP\r\na3 NOOP\r\n")
		synctest.Wait()
		r.srv.Pause(r.session())
		c.must("a1 NO")
		c.quiet(t, time.Hour)
		r.srv.Resume(r.session())
		c.must("a2 OK")
		c.must("a3 OK")
		c.ask("a4", "LOGOUT", "OK")
		r.ended()
	})
}

// An idle session that is paused and resumed twice works on.
func TestPauseAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, c := rigPaused(t, noTalk)
		for range 2 {
			r.srv.Resume(r.session())
			synctest.Wait()
			r.srv.Resume(r.session()) // one too many
			c.ask("a1", "NOOP", "OK")
			r.srv.Pause(r.session())
			c.say("a2 NOOP\r\n")
			c.quiet(t, time.Hour)
			r.srv.Resume(r.session())
			c.must("a2 OK")
			r.srv.Pause(r.session())
		}
		r.srv.Resume(r.session())
		c.ask("a3", "LOGOUT", "OK")
		r.ended()
	})
}

// DONE ends an IDLE also while the session is paused; what stands behind it waits.
func TestPauseInIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, c := rigPaused(t, func(c *rigClient) { c.say("a1 IDLE\r\n"); c.must("+") })
		c.say("DONE\r\na2 NOOP\r\n")
		c.must("a1 OK")
		c.quiet(t, time.Hour)
		r.srv.Resume(r.session())
		c.must("a2 OK")
		c.ask("a3", "LOGOUT", "OK")
		r.ended()
	})
}

// A client that leaves is noticed where nothing lies before its end; otherwise when it is read.
func TestPauseAndLeave(t *testing.T) {
	for _, said := range []string{"", "a1 NOOP\r\n"} {
		synctest.Test(t, func(t *testing.T) {
			r, c := rigPaused(t, noTalk)
			c.say(said)
			c.conn.Close()
			if said != "" {
				rigPass(time.Hour)
				r.srv.Resume(r.session())
			}
			r.ended()
		})
	}
}

func TestPauseAndEnd(t *testing.T) {
	for name, end := range map[string]func(s *Server, id string) bool{"drain": (*Server).Drain, "kick": (*Server).Kick} {
		for _, said := range []string{"", "a1 NOOP\r\n"} {
			t.Run(name+said, func(t *testing.T) {
				inTime(t, time.Hour, func(t *testing.T) {
					r, c := rigPaused(t, noTalk)
					c.say(said)
					rigPass(time.Hour)
					end(r.srv, r.session())
					c.endBye("[UNAVAILABLE]")
					c.conn.Close()
					r.ended()
				})
			})
		}
	}
}

// A backend that goes while the session is paused ends the pause.
func TestPauseAndBackendGoes(t *testing.T) {
	for _, said := range []string{"", "a1 NOOP\r\n"} {
		inTime(t, time.Hour, func(t *testing.T) {
			r := rigStart(t, rigSetup{})
			gone := make(chan struct{})
			r.backend(rigCapsPlain, func(p *rigPeer) { <-gone })
			c := r.client()
			c.login()
			r.srv.Pause(r.session())
			c.say(said)
			rigPass(time.Hour)
			close(gone)
			c.endBye("[UNAVAILABLE]")
			c.conn.Close()
			r.ended()
		})
	}
}

// Kick ends a session at once: with BYE where that is no part of a message.
func TestKick(t *testing.T) {
	for name, talk := range map[string]struct {
		until func(c *rigClient)
		bye   bool
	}{
		"idle":                        {func(c *rigClient) { rigPass(time.Hour / 4) }, true},
		"just logged in":              {noTalk, true},
		"IDLE":                        {func(c *rigClient) { c.say("a1 IDLE\r\n"); c.must("+") }, true},
		"command under way":           {func(c *rigClient) { c.say("a1 APPEND x {5+}\r\nabcde\r\n") }, true},
		"inside a literal up":         {func(c *rigClient) { c.say("a1 APPEND x {5+}\r\nab") }, true},
		"inside a line up":            {func(c *rigClient) { c.say("a1 APPEND x {5+") }, true},
		"waits for the literal":       {func(c *rigClient) { c.say("a1 APPEND x {5}\r\n") }, true},
		"inside a literal down":       {func(c *rigClient) { c.say("a1 FETCH 1 BODY[]\r\n"); c.must("* 1") }, false},
		"inside a literal and a line": {func(c *rigClient) { c.say("a1 FETCH 1 BODY[]\r\na2 NO"); c.must("* 1") }, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := rigStart(t, rigSetup{})
				r.backend(rigCapsPlain, func(p *rigPeer) {
					_, rest, _ := p.next()
					switch {
					case rest == "IDLE":
						p.send("+ idling")
					case strings.HasPrefix(rest, "FETCH"):
						p.raw("* 1 FETCH (BODY[] {5}\r\nab")
					}
					p.drain()
				})
				c := r.client()
				c.login()
				talk.until(c)
				synctest.Wait()
				began := time.Now()
				if !r.srv.Kick(r.session()) {
					t.Fatal("there is no session to kick")
				}
				got, _ := c.end()
				c.conn.Close()
				r.ended()
				if s := rigParse(t, got); s.bye != talk.bye || s.torn == talk.bye {
					t.Errorf("the stream ends with\n%s", rigTail(got))
				}
				if took := time.Since(began); took > lingerTime+goodbyeTime {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

// Kick does not wait for a client that does not read.
func TestKickStuckClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rigStart(t, rigSetup{})
		r.backend(rigCapsPlain, func(p *rigPeer) { p.drain() })
		c := r.dial()
		go c.Write([]byte("a1 LOGIN u p\r\n" + strings.Repeat("a2 CAPABILITY\r\n", 10_000)))
		synctest.Wait()
		began := time.Now()
		r.srv.Kick(r.session())
		r.ended()
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// An answer of the proxy's own that comes due before its lines are known is given when they are.
func TestHeldAnswerWaitsForItsLines(t *testing.T) {
	var p pending
	p.attend(new(staging))
	before, e := p.push(passed, []byte("a1"), other), p.push(held, []byte("a2"), other)
	p.mu.Lock()
	defer p.mu.Unlock()
	var wrote []string
	write := func(e *entry) { wrote = append(wrote, string(e.has().reply)) }
	p.answered(before, write)
	e.gets().reply = []byte("a2 OK\r\n")
	p.release(write)
	if !slices.Equal(wrote, []string{"a2 OK\r\n"}) || len(p.queue) != 0 {
		t.Errorf("written: %q; %d in the queue", wrote, len(p.queue))
	}
}

// Who is shut stays shut, also for a Write that sets its own deadline; a last word is possible.
func TestShutSink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := imaptest.PipeSize(4)
		defer near.Close()
		defer far.Close()
		k := &sink{conn: wire.NewConn(near), timeout: time.Minute}
		k.shut()
		if _, err := k.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a write to a shut connection: %v", err)
		}
		k.reopen(time.Second)
		began := time.Now()
		if n, err := k.Write([]byte("12345")); n != 4 || !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("the last word: %d octets in %v, %v", n, time.Since(began), err)
		}
	})
}
