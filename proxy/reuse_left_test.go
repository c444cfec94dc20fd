package proxy

import (
	"runtime"
	"testing"
	"testing/synctest"
	"weak"

	"github.com/imapgate/imapgate/proxy/backend"
)

// A refused message counts also where the answer to APPEND waits for that of a NOOP.
func TestReuseAfterRefusedAppendWithNews(t *testing.T) {
	for _, answer := range []string{"NO full", "BAD what"} {
		t.Run(answer, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &patient{caps: "IMAP4rev1 LITERAL+ UNSELECT XMAGICTRASH", answer: map[string]string{"APPEND INBOX {2+}": answer}}
				r := rigStart(t, rigSetup{
					options: func(o *Options) { o.Policy.Quirks = choice("courier") },
					backend: func(b *backend.Config) {
						b.Reuse = backend.Reuse{Idle: reuseIdle, Life: reuseLife, Connections: 10, PerUser: 2}
					},
				})
				p.start(r)
				r.page("riley", "firetruck", "SELECT INBOX", "APPEND INBOX {2+}\r\nab")
				r.waiting(0)
				r.wantResults("trace=1")
			})
		})
	}
}

// A connection that waits, or serves the next session, keeps nothing of the session before.
func TestReuseLetsGoOfTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := reusing(t, &patient{})
		before := r.visited("SELECT INBOX")
		r.waiting(1)
		gone(t, "a connection that waits keeps the session before", before)
		second := r.visited("SELECT INBOX")
		r.waiting(1)
		gone(t, "a connection that was used again keeps a session", before, second)
	})
}

// visited is a page, and its session.
func (r *rig) visited(commands ...string) weak.Pointer[session] {
	c := r.client()
	c.login()
	synctest.Wait()
	s := weak.Make(r.srv.registry.find(r.session()))
	for _, cmd := range commands {
		c.ask("b", cmd, "OK")
	}
	c.ask("z", "LOGOUT", "OK")
	c.end()
	c.conn.Close()
	synctest.Wait()
	return s
}

func gone(t *testing.T, what string, all ...weak.Pointer[session]) {
	t.Helper()
	for range 3 { // what pools hold goes with the second
		runtime.GC()
	}
	for i, s := range all {
		if s.Value() != nil {
			t.Errorf("%s: %d", what, i)
		}
	}
}
