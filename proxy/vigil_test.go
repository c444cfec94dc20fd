package proxy

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imapgate/imapgate/proxy/imaptest"
	"github.com/imapgate/imapgate/proxy/translate"
)

// withVigil lets a server answer IDLE by itself.
func withVigil(o *Options) { o.Policy.Polyfills = translate.Choice{Names: []string{"idle"}} }

// inVigil is a client in an IDLE that the proxy answers.
func inVigil(t *testing.T, answer func(p *rigPeer, tag, command string)) (*rig, *rigClient) {
	t.Helper()
	r := rigStart(t, rigSetup{options: withVigil})
	r.backend("IMAP4rev1", rigEach(answer))
	c := r.client()
	c.login()
	c.say("a1 IDLE\r\n")
	c.must("+ idling")
	synctest.Wait()
	return r, c
}

func saysOK(p *rigPeer, tag, _ string) { p.send(tag + " OK done") }

// asked counts the NOOPs that the backend heard.
func (r *rig) asked() int { return bytes.Count(r.heard(), []byte(" NOOP\r\n")) }

// The backend is asked at about the interval of the policy, and never in step with others.
func TestVigilPolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, c := inVigil(t, saysOK)
		if r.asked() != 1 {
			t.Errorf("the backend was asked %d times at the beginning", r.asked())
		}
		rigPass(25 * time.Minute)
		if n := r.asked(); n < 20 || n > 30 {
			t.Errorf("the backend was asked %d times in 25 minutes", n)
		}
		c.say("DONE\r\n")
		c.must("a1 OK")
		before := r.asked()
		rigPass(25 * time.Minute)
		if r.asked() != before {
			t.Error("the backend is asked behind DONE")
		}
		c.ask("a2", "LOGOUT", "OK")
	})
	seen := map[time.Duration]bool{}
	for range 1000 {
		d := jittered(time.Minute)
		seen[d] = true
		if d < 52500*time.Millisecond || d >= 67500*time.Millisecond {
			t.Errorf("a minute became %v", d)
		}
	}
	if len(seen) < 900 {
		t.Errorf("%d different intervals", len(seen))
	}
	for _, d := range []time.Duration{0, -time.Hour, 1} {
		if got := jittered(d); got < leastPoll*7/8 {
			t.Errorf("%v became %v", d, got)
		}
	}
}

// An operator's orders end a vigil as they end an IDLE; the backend, which knows of none, hears no DONE.
func TestVigilEnds(t *testing.T) {
	for name, end := range map[string]struct {
		raise func(*Server, string) bool
		bye   string
	}{"drain": {(*Server).Drain, "maintenance"}, "kick": {(*Server).Kick, "administrator"}} {
		for _, asking := range []string{"between polls", "while the backend is asked"} {
			t.Run(name+" "+asking, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					slow := 0 * time.Second
					if asking != "between polls" {
						slow = time.Minute
					}
					r, c := inVigil(t, func(p *rigPeer, tag, _ string) {
						rigPass(slow)
						p.send("* 3 EXISTS", tag+" OK done")
					})
					end.raise(r.srv, r.session())
					c.endBye(end.bye)
					c.conn.Close()
					r.ended()
					if bytes.Contains(r.heard(), []byte("DONE")) {
						t.Errorf("the backend heard %q", r.heard())
					}
				})
			})
		}
	}
}

// A session that is paused asks nothing; DONE is heard, and what stands behind it waits.
func TestVigilPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, c := inVigil(t, saysOK)
		r.srv.Pause(r.session())
		before := r.asked()
		rigPass(10 * time.Minute)
		if r.asked() != before {
			t.Error("the backend is asked while the session is paused")
		}
		r.srv.Resume(r.session())
		rigPass(2 * time.Minute)
		if r.asked() == before {
			t.Error("the backend is not asked behind a pause")
		}
		r.srv.Pause(r.session())
		before = r.asked()
		c.say("DONE\r\na2 NOOP\r\n")
		c.must("a1 OK")
		rigPass(time.Hour)
		if r.asked() != before {
			t.Error("a command goes up while the session is paused")
		}
		r.srv.Resume(r.session())
		c.must("a2 OK")
		c.ask("a3", "LOGOUT", "OK")
		r.ended()
	})
}

// A client that is gone is noticed at the latest when it is told that we are there.
func TestVigilAndClientGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := inVigil(t, saysOK)
		for _, e := range r.all() {
			if e.peer == "client" {
				e.Conn.(*imaptest.Conn).Abort()
			}
		}
		rigPass(2 * stillHere)
		if n := len(r.srv.Sessions()); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
	})
}

// Vigils one after the other leave nothing behind.
func TestVigilsDoNotNest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, c := inVigil(t, saysOK)
		for range 200 {
			c.say("DONE\r\na1 IDLE\r\n")
			c.must("a1 OK")
			c.must("+ idling")
		}
		c.say("DONE\r\nDONE\r\nDONE\r\n")
		c.must("a1 OK")
		c.ask("a2", "NOOP", "OK")
		c.ask("a3", "LOGOUT", "OK")
		r.ended()
	})
}
