//go:build unix

package main

import (
	"strings"
	"testing"

	"github.com/imapgate/imapgate/proxy/imaptest/realpeer"
)

// UNSELECT at servers that do not have it: nothing is expunged, nothing is heard of the mailbox any more,
// and it can be deleted.
func TestPeersUnselect(t *testing.T) {
	t.Parallel()
	for _, f := range []moveForm{
		{name: "dovecot", start: func(t testing.TB, users []realpeer.User) *realpeer.Server {
			return realpeer.Dovecot(t, realpeer.DovecotOptions{Users: users, Capability: realpeer.Without(realpeer.DovecotCapability, "UNSELECT")})
		}},
		{name: "courier", prefix: "INBOX.", start: func(t testing.TB, users []realpeer.User) *realpeer.Server {
			return realpeer.Courier(t, realpeer.CourierOptions{Users: users, Capability: realpeer.Without(realpeer.CourierCapability, "UNSELECT")})
		}},
	} {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			u := secretUser("leaver.none")
			server := f.start(t, []realpeer.User{u})
			g := startPeerGate(t, server.Users, backendLegs(server), "")
			m := newMoved(t, g, server, u, f.prefix, "box")
			if offered := " " + strings.Join(m.c.must("CAPABILITY"), " ") + " "; !strings.Contains(offered, " UNSELECT ") {
				t.Fatalf("offered: %q", offered)
			}
			m.c.must("UNSELECT")
			server.Deliver(t, u.Name, m.box, "Subject: m7\n\nbody\n")
			if got := m.c.must("NOOP"); len(got) != 0 {
				t.Errorf("after UNSELECT: %q", got)
			}
			if answer, _ := m.c.command("FETCH 1 FLAGS"); !strings.HasPrefix(answer, "BAD") {
				t.Errorf("FETCH: %s", answer)
			}
			m.c.must("SELECT " + m.to)
			m.c.must("UNSELECT")
			if got := strings.Join(m.witness.marks(m.box), " "); got != "m1! m2 m3! m4 m5 m6 m7" {
				t.Errorf("in the mailbox: %q", got)
			}
			m.c.must("DELETE " + m.to)
			m.c.must("NOOP")
			if got := m.c.must("SELECT " + m.box); len(got) == 0 {
				t.Error("SELECT tells nothing")
			}
			if got := m.c.must("FETCH 1:* (UID)"); len(got) != 7 {
				t.Errorf("got %q", got)
			}
		})
	}
}
