package proxy

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Each test here is a bug that once was; the text above it says what a user saw of it. Those of IDLE are in
// regress_idle_test.go.

// rigEach is a backend that lets f answer each command, and answers LOGOUT itself.
func rigEach(f func(p *rigPeer, tag, command string)) func(*rigPeer) {
	return func(p *rigPeer) {
		for {
			tag, command, ok := p.next()
			if !ok {
				return
			}
			if command == "LOGOUT" {
				p.send("* BYE", tag+" OK done")
				return
			}
			f(p, tag, command)
		}
	}
}

// rigOver lets time pass and reports whether the client's stream has ended by then.
func rigOver(c *rigClient, d time.Duration) bool {
	rigPass(d)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err != nil
}

// A rigProbe is the proxy's end of a connection to a client, with an eye on who writes.
type rigProbe struct {
	net.Conn
	wrote func(p []byte)
}

func (c *rigProbe) Write(p []byte) (int, error) {
	c.wrote(p)
	return c.Conn.Write(p)
}

// The goroutine that reads the client held the lock of what is owed and waited for the client's Writer, while
// the one that reads the backend held the Writer and looked a tag up in what is owed. A backend that spoke
// unasked while a client asked for CAPABILITY stopped the session for ever.
func TestOwnAnswerIsWrittenWithoutLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r *rig
		free := 0
		r = rigStart(t, rigSetup{wrapClient: func(c net.Conn) net.Conn {
			return &rigProbe{Conn: c, wrote: func(p []byte) {
				if !bytes.Contains(p, []byte("* CAPABILITY")) {
					return
				}
				if mu := &r.srv.registry.all()[0].pending.mu; mu.TryLock() {
					mu.Unlock()
					free++
				}
			}}
		}})
		answer := make(chan struct{})
		r.backend("IMAP4rev1", func(p *rigPeer) {
			tag := p.want("NOOP")
			<-answer
			p.send(tag + " OK done")
			p.answer()
		})
		c := r.client()
		c.login()
		c.ask("a1", "CAPABILITY", "OK") // written by the goroutine that reads the client
		c.say("a2 NOOP\r\na3 CAPABILITY\r\n")
		synctest.Wait()
		close(answer)
		c.must("a3 OK") // written by the one that reads the backend
		if free != 2 {
			t.Errorf("while the proxy wrote 2 answers of its own, others could look at what is owed %d times", free)
		}
	})
}

// A command that the proxy answers by itself was queued first and got its answer a moment later. Where the
// command before it was answered within that moment, it left the queue, and the client waited for ever.
func TestOwnAnswerThatIsNotKnownYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rigStart(t, rigSetup{})
		r.backend("IMAP4rev1", func(p *rigPeer) { p.want("NOOP"); p.drain() })
		c := r.client()
		c.login()
		c.say("a1 NOOP\r\n")
		synctest.Wait()
		s := r.srv.registry.find(r.session())
		cmd, _ := s.spec("CAPABILITY")
		s.workUp() // it may be parked
		e, err := s.push(held, []byte("a2"), cmd)
		if err != nil {
			t.Fatal(err)
		}
		s.pending.mu.Lock()
		s.pending.answered(s.pending.queue[0], s.writeHeld) // by the goroutine that reads the backend
		e.gets().reply = []byte("a2 OK\r\n")
		s.pending.release(s.writeHeld)
		s.pending.mu.Unlock()
		synctest.Wait()
		if !bytes.HasSuffix(c.got, []byte("\r\na2 OK\r\n")) || len(s.pending.queue) != 0 {
			t.Errorf("a2 is not answered, %d commands are owed:\n%s", len(s.pending.queue), rigTail(c.got))
		}
	})
}

// A client that asked and did not read held the lock of what is owed while the proxy wrote to it. Whoever
// listed the sessions, kicked one or stopped the server waited for the write's timeout with it.
func TestOperatorsDoNotWaitForStuckClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rigStart(t, rigSetup{})
		r.backend("IMAP4rev1", rigEach(func(p *rigPeer, tag, _ string) { p.send(tag + " OK done") }))
		conn := r.dial()
		in := bufio.NewReader(conn)
		in.ReadString('\n')
		io.WriteString(conn, "a0 LOGIN riley firetruck\r\n")
		in.ReadString('\n')
		synctest.Wait() // the session is listed behind its welcome
		id := r.session()
		mu := &r.srv.registry.find(id).pending.mu
		go io.WriteString(conn, strings.Repeat("a1 CAPABILITY\r\n", 4000))
		synctest.Wait()
		if !mu.TryLock() {
			rigPass(2 * time.Minute) // past the timeout, or the test's end would wait for the lock
			t.Fatal("the lock of what is owed is held while the client does not read")
		}
		mu.Unlock()
		began := time.Now()
		if n := len(r.srv.Sessions()[0].Pending); n != 1 {
			t.Errorf("%d commands are under way, want the one that is being answered", n)
		}
		r.srv.Drain(id)
		r.srv.Kick(id)
		r.ended()
		if d := time.Since(began); d > 2*goodbyeTime {
			t.Errorf("the session ends %v after Kick", d)
		}
	})
}

// A backend that said BYE and kept its connection open kept the session too, for minutes where it owed an
// answer and for ever where it did not; some say BYE again and again meanwhile.
func TestByeWithoutClose(t *testing.T) {
	for _, command := range []string{"NOOP", "IDLE", ""} {
		t.Run("during "+command, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := rigStart(t, rigSetup{})
				r.backend("IMAP4rev1", func(p *rigPeer) {
					if command != "" {
						p.want(command)
					}
					for p.send("* BYE going") {
						rigPass(time.Second)
					}
				})
				c := r.client()
				c.login()
				if command != "" {
					c.say("a1 " + command + "\r\n")
				}
				if !rigOver(c, byeTime+lingerTime) {
					t.Errorf("the client still waits:\n%s", rigTail(c.got))
				}
				c.conn.Close()
				rigPass(lingerTime)
				if n := len(r.srv.Sessions()); n != 0 {
					t.Errorf("the client has gone and %d sessions are left", n)
				}
			})
		})
	}
}

// A session whose backend had stopped in the middle of a message could not be drained: the rest of the message
// was waited for, as long as a backend may be silent.
func TestDrainInsideStalledMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rigStart(t, rigSetup{})
		r.backend("IMAP4rev1", func(p *rigPeer) { p.raw("* 1 FETCH (BODY[] {10}\r\nabc"); p.drain() })
		c := r.client()
		c.login()
		synctest.Wait()
		r.srv.Drain(r.session())
		if !rigOver(c, byeTime+goodbyeTime+time.Second) {
			t.Errorf("the client still waits:\n%s", rigTail(c.got))
		}
	})
}

// Our tags in a backend's text are replaced by the client's. What was put in was read again, so that tags like
// "p3.p3" multiplied: a few hundred octets from a client became gigabytes in the proxy.
func TestTagsDoNotGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rigStart(t, rigSetup{})
		r.backend("IMAP4rev1", func(p *rigPeer) {
			tag, _, _ := p.next()
			for range 3 {
				p.next()
			}
			p.send(tag + " NO no such mailbox: p2")
			p.drain()
		})
		c := r.client()
		c.login()
		c.say("a1 DELETE p2\r\np3.p3.p3 NOOP\r\np4.p4.p4 NOOP\r\np5.p5.p5 NOOP\r\n")
		if line := c.must("a1 "); line != "a1 NO no such mailbox: p3.p3.p3" {
			t.Errorf("the client got %q", line)
		}
		r.srv.Kick(r.session())
	})
}

// Kick moves the client's write deadline into the past. Whether the client was told BYE depended on how long
// ago the last line was written.
func TestKickSaysBye(t *testing.T) {
	for _, quiet := range []time.Duration{0, time.Second, 10 * time.Second, 10 * time.Minute} {
		t.Run(quiet.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := rigStart(t, rigSetup{})
				r.backend("IMAP4rev1", (*rigPeer).answer)
				c := r.client()
				c.login()
				rigPass(quiet)
				r.srv.Kick(r.session())
				c.endBye("Disconnected by the administrator")
			})
		})
	}
}

// Lines of more than 1 MiB were taken for an attack and ended the session, but a large mailbox that nobody
// opened for a while has them: VANISHED (EARLIER) and ESEARCH list every UID.
func TestLongUIDLists(t *testing.T) {
	var b strings.Builder
	for i := 100000; b.Len() < 1<<20; i += 2 {
		fmt.Fprintf(&b, "%d,", i)
	}
	set := strings.TrimSuffix(b.String(), ",")
	for _, lists := range []struct{ command, sent, want string }{
		{"SELECT INBOX (QRESYNC (1 2))", "* VANISHED (EARLIER) " + set, "* VANISHED (EARLIER) " + set},
		{"UID SEARCH RETURN (ALL) UNSEEN", "* ESEARCH (TAG \"p1\") UID ALL " + set, "* ESEARCH (TAG \"a1\") UID ALL " + set},
	} {
		t.Run(lists.command, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := rigStart(t, rigSetup{})
				r.backend("IMAP4rev1 ENABLE QRESYNC CONDSTORE ESEARCH", rigEach(func(p *rigPeer, tag, _ string) { p.send(lists.sent, tag+" OK done") }))
				c := r.client()
				c.login()
				c.say("a1 " + lists.command + "\r\n")
				if line, _ := c.hear("* "); line != lists.want {
					t.Errorf("a line of %d octets came as %d octets: %.60q", len(lists.want), len(line), line)
				}
				c.must("a1 OK")
			})
		})
	}
}

// Servers show a command that they did not understand, and what a backend says when it refuses a login is
// logged: so was the password. It came in a BYE as well, and in base64 where AUTHENTICATE was refused.
func TestPasswordInBackendAnswer(t *testing.T) {
	for _, echo := range []struct{ name, caps, answer, want string }{
		{"BAD", "IMAP4rev1", "${tag} BAD error in command ${command}", "answered BAD"},
		{"response code", "IMAP4rev1", "${tag} NO [LIMIT ${command}] x", "answered NO [LIMIT]"},
		{"BYE", "IMAP4rev1", "* BYE no idea what ${command} is", "backend b: login"},
		{"SASL", "IMAP4rev1 AUTH=PLAIN SASL-IR", "${tag} BAD error in command ${command}", "answered BAD"},
	} {
		t.Run(echo.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				r := rigStart(t, rigSetup{options: func(o *Options) {
					o.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
				}})
				r.serve(func(p *rigPeer) {
					p.send("* OK [CAPABILITY " + echo.caps + "] hello")
					tag, command, _ := p.next()
					p.send(strings.NewReplacer("${tag}", tag, "${command}", command).Replace(echo.answer))
				})
				c := r.client()
				c.must("* OK")
				c.ask("a0", "LOGIN riley firetruck", "NO")
				synctest.Wait()
				all := log.String() + string(c.got)
				if strings.Contains(all, "firetruck") || strings.Contains(all, "AHJpbGV5AGZpcmV0cnVjaw") {
					t.Errorf("the password is shown:\n%s", all)
				}
				if !strings.Contains(log.String(), echo.want) || !strings.Contains(log.String(), "repeats the password") {
					t.Errorf("the log does not say %q, and what is left out:\n%s", echo.want, log.String())
				}
			})
		})
	}
}

// A SELECT that is answered BAD was not understood and leaves the mailbox open; one that is answered NO leaves
// none (RFC 3501 section 6.3.1). The proxy forgot the mailbox in both cases, and refused MOVE from then on.
func TestBadSelectKeepsMailbox(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rigStart(t, rigSetup{})
		r.backend("IMAP4rev1 UIDPLUS", rigEach(func(p *rigPeer, tag, command string) {
			switch command {
			case "SELECT INBOX":
				p.send("* 3 EXISTS", tag+" OK done")
			case "SELECT INBOX (FOO)":
				p.send(tag + " BAD parse error")
			default:
				p.send(tag + " NO no such mailbox")
			}
		}))
		c := r.client()
		c.login()
		c.ask("a1", "SELECT INBOX", "OK")
		opened := r.srv.Sessions()[0].Mailbox
		c.ask("a2", "SELECT INBOX (FOO)", "BAD")
		if m := r.srv.Sessions()[0].Mailbox; m != opened || m.Name != "INBOX" || m.Exists != 3 {
			t.Errorf("after BAD the mailbox is %+v, before it was %+v", m, opened)
		}
		c.ask("a3", "SELECT nowhere", "NO")
		if m := r.srv.Sessions()[0].Mailbox; m != (Selected{}) {
			t.Errorf("after NO the mailbox is %+v", m)
		}
	})
}

// What is no capability list by the grammar passed as text, and clients that read less strictly took a
// backend's own capabilities from it.
func TestCapabilityListsThatAreNearlyOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rigStart(t, rigSetup{})
		r.backend("IMAP4rev1", rigEach(func(p *rigPeer, tag, _ string) {
			p.send("* OK  [CAPABILITY IMAP4rev1 XLEAK] x", "* OK [CAPABILITY IMAP4rev1 \"XLEAK] x",
				"* NO [CAPABILITY\tIMAP4rev1 XLEAK] x", "* OK [ CAPABILITY IMAP4rev1 XLEAK] x", "* OK [CAPABILITY IMAP4rev1 XLEAK",
				tag+" OK [capability IMAP4rev1 XLEAK")
		}))
		c := r.client()
		c.login()
		before := len(c.got)
		c.ask("a1", "NOOP", "OK")
		if got := c.got[before:]; bytes.Contains(got, []byte("XLEAK")) || bytes.Count(got, []byte("\r\n")) != 6 {
			t.Errorf("the client got\n%s", got)
		}
	})
}
