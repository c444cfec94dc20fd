//go:build unix

package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/imapgate/imapgate/proxy/imaptest/realpeer"
)

// Logins by connections that were made ahead of them, in front of Dovecot, on each kind of connection: everybody
// has his own mail, a wrong password is judged once, and a server that was killed is found again.
func TestPeersReady(t *testing.T) {
	t.Parallel()
	var users []realpeer.User
	for _, l := range legs() {
		users = append(users, secretUser("first."+string(l)), secretUser("second."+string(l)))
	}
	server := realpeer.Dovecot(t, realpeer.DovecotOptions{Users: users})
	backends := backendLegs(server)
	for i := range backends {
		backends[i].more = ", ready: 2"
	}
	g := startPeerGate(t, users, backends, "")
	visit := func(t *testing.T, u realpeer.User) {
		t.Helper()
		told := strings.Join(page(t, g.at(legImplicit), u, "SELECT INBOX", "FETCH 1 BODY.PEEK[HEADER]"), "\n")
		if !strings.Contains(told, "Subject: of "+u.Name) {
			t.Errorf("%s was told %q", u.Name, told)
		}
	}
	// used visits until so many more logins have gone by connections that were ready.
	used := func(t *testing.T, i, want int) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); want > 0; {
			if time.Now().After(end) {
				t.Fatalf("no login went by a connection that was ready:\n%s", grepped(get(t, g.addresses["metrics"], "/metrics"), "ready"))
			}
			before := readyUsed(t, g, i)
			visit(t, users[2*i+want%2])
			want -= readyUsed(t, g, i) - before
		}
	}
	for _, u := range users {
		server.Deliver(t, u.Name, "INBOX", "Subject: of "+u.Name+"\n\nbody\n")
	}
	for i, l := range legs() {
		t.Run(string(l), func(t *testing.T) {
			used(t, i, 6)
			wrong := users[2*i]
			wrong.Password += "x"
			if answer, _ := g.at(legImplicit).dial(t).command("LOGIN " + wrong.Name + " " + wrong.Password); !strings.HasPrefix(answer, "NO [AUTHENTICATIONFAILED]") {
				t.Errorf("a wrong password: %s", answer)
			}
			visit(t, users[2*i])
		})
	}
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	server.Restart(t)
	for i, l := range legs() {
		t.Run(string(l)+" again", func(t *testing.T) { used(t, i, 3) })
	}
}

// readyUsed is how many logins at a backend went by connections that were ready.
func readyUsed(t *testing.T, g *peerGate, backend int) (n int) {
	t.Helper()
	name := fmt.Sprintf(`imapgate_backend_ready_total{backend="b%d",result="used"} `, backend)
	for line := range strings.Lines(get(t, g.addresses["metrics"], "/metrics")) {
		if value, ok := strings.CutPrefix(line, name); ok {
			fmt.Sscan(value, &n)
		}
	}
	return n
}

// What a login takes in front of Dovecot, from connect to OK with TLS on both legs, with connections made ahead and
// without; go test -v shows it. A moment passes between two of them, as it does between people.
func TestPeersReadyTime(t *testing.T) {
	t.Parallel()
	users := []realpeer.User{secretUser("ready.implicit"), secretUser("anew.implicit")}
	server := realpeer.Dovecot(t, realpeer.DovecotOptions{Users: users})
	ready, anew := backendAt(server, legImplicit, "ready.*"), backendAt(server, legImplicit, "*")
	ready.more = ", ready: 2"
	g := startPeerGate(t, users, []peerBackend{ready, anew}, "")
	const logins = 40
	took := map[string][]time.Duration{}
	visit := func(name string, e endpoint, u realpeer.User) {
		<-time.After(10 * time.Millisecond)
		begin := time.Now()
		c := e.raw(t, u)
		took[name] = append(took[name], time.Since(begin))
		c.must("LOGOUT")
		c.conn.Close()
	}
	for range logins {
		visit("ready", g.at(legImplicit), users[0])
		visit("anew", g.at(legImplicit), users[1])
		visit("direct", at(server, legImplicit), users[1])
	}
	for name := range took {
		slices.Sort(took[name])
	}
	t.Logf("a login takes %v by a connection made ahead, %v by a new one, %v without a proxy (medians of %d); %d were made ahead",
		took["ready"][logins/2], took["anew"][logins/2], took["direct"][logins/2], logins, readyUsed(t, g, 0))
}
