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

// page is what a webmail does for one page: log in, commands, LOGOUT; the connection waits when the end comes.
func page(t *testing.T, e endpoint, u realpeer.User, commands ...string) (told []string) {
	t.Helper()
	c := e.raw(t, u)
	for _, cmd := range commands {
		told = append(told, c.must(cmd)...)
	}
	c.must("LOGOUT")
	if lines, _ := c.rest(); len(lines) != 0 {
		t.Errorf("behind LOGOUT: %q", lines)
	}
	c.conn.Close()
	return told
}

// Pages of a webmail in front of Dovecot, on each kind of connection: one login for all, the mail of the moment
// for each, marks of \Deleted left alone, and a new login after what UNSELECT does not undo. Once as it is, and
// once with sessions that are parked wherever they wait.
func TestPeersReuse(t *testing.T) {
	t.Parallel()
	for name, more := range map[string]string{"as it is": "", "parked": "timeouts: {park: 1ns}\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			peersReuse(t, more)
		})
	}
}

func peersReuse(t *testing.T, more string) {
	var users []realpeer.User
	for _, l := range legs() {
		users = append(users, secretUser("webmail."+string(l)), secretUser("other."+string(l)))
	}
	server := realpeer.Dovecot(t, realpeer.DovecotOptions{Users: users})
	backends := backendLegs(server)
	for i := range backends {
		backends[i].more = ", reuse: {idle: 60s}"
	}
	g := startPeerGate(t, users, backends, more)
	for i, l := range legs() {
		t.Run(string(l), func(t *testing.T) {
			u, other, e := users[2*i], users[2*i+1], g.at(legImplicit)
			logins := func(want int) {
				t.Helper()
				expectLogins(t, server, u, want)
			}
			for n := range 5 {
				server.Deliver(t, u.Name, "INBOX", fmt.Sprintf("Subject: m%d\n\nbody\n", n))
				told := page(t, e, u, `LIST "" *`, "STATUS INBOX (MESSAGES UNSEEN)", "SELECT INBOX", fmt.Sprintf("UID FETCH %d BODY.PEEK[]", n+1), "UID SEARCH ALL")
				if all := strings.Join(told, "\n"); !strings.Contains(all, fmt.Sprintf("Subject: m%d", n)) || !strings.Contains(all, fmt.Sprintf("(MESSAGES %d ", n+1)) {
					t.Errorf("page %d was told %q", n, told)
				}
			}
			logins(1)
			page(t, e, u, "SELECT INBOX", `STORE 1 +FLAGS.SILENT (\Deleted)`)
			if told := page(t, e, u, "EXAMINE INBOX", "FETCH 1:* FLAGS"); !strings.Contains(strings.Join(told, "\n"), `\Deleted`) || !strings.Contains(strings.Join(told, "\n"), "* 5 EXISTS") {
				t.Errorf("the message that was marked is gone: %q", told)
			}
			logins(1)
			if told := page(t, e, other, "SELECT INBOX"); !strings.Contains(strings.Join(told, "\n"), "* 0 EXISTS") {
				t.Errorf("another user sees %q", told)
			}
			if answer, _ := e.dial(t).command("LOGIN " + u.Name + " wrong" + u.Password); !strings.HasPrefix(answer, "NO [AUTHENTICATIONFAILED]") {
				t.Errorf("a wrong password: %s", answer)
			}
			page(t, e, u, "ENABLE CONDSTORE", "SELECT INBOX")
			logins(1)
			if told := page(t, e, u, "SELECT INBOX", `STORE 2 +FLAGS (\Flagged)`); strings.Contains(strings.Join(told, "\n"), "MODSEQ (") {
				t.Errorf("CONDSTORE is enabled: %q", told)
			}
			logins(2)
			page(t, e, u)
			logins(2)
			want := fmt.Sprintf(`imapgate_backend_reuse_total{backend="b%d",result="reused"} 8`, i)
			if text := get(t, g.addresses["metrics"], "/metrics"); !strings.Contains(text, want) {
				t.Errorf("%s is not among the metrics:\n%s", want, grepped(text, "reuse"))
			}
		})
	}
}

// What a page takes in front of Dovecot, with a login for each and without; go test -v shows it. That the login is
// saved is no matter of time, so nothing is compared.
func TestPeersReuseTime(t *testing.T) {
	t.Parallel()
	users := []realpeer.User{secretUser("kept.implicit"), secretUser("anew.implicit")}
	server := realpeer.Dovecot(t, realpeer.DovecotOptions{Users: users})
	kept, anew := backendAt(server, legImplicit, "kept.*"), backendAt(server, legImplicit, "*")
	kept.more = ", reuse: {idle: 60s}"
	e := startPeerGate(t, users, []peerBackend{kept, anew}, "").at(legNone)
	const pages = 40
	var took [2][]time.Duration
	for range pages {
		for i, u := range users {
			begin := time.Now()
			page(t, e, u, `LIST "" *`, "SELECT INBOX", "UID SEARCH ALL")
			took[i] = append(took[i], time.Since(begin))
		}
	}
	for i := range took {
		slices.Sort(took[i])
	}
	t.Logf("a page takes %v with the connection of the one before, %v with a login (medians of %d)", took[0][pages/2], took[1][pages/2], pages)
	expectLogins(t, server, users[0], 1)
}

// grepped are the lines that hold a word.
func grepped(text, word string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.Contains(line, word) {
			b.WriteString(line)
		}
	}
	return b.String()
}

// expectLogins counts the logins that Dovecot has seen. A process of its own writes them down, late.
func expectLogins(t *testing.T, server *realpeer.Server, u realpeer.User, want int) {
	t.Helper()
	seen := func() string { return strings.Repeat("+", strings.Count(server.Log(), "Login: user=<"+u.Name+">")) }
	awaitText(t, seen, strings.Repeat("+", want))
	if n := len(seen()); n != want {
		t.Errorf("Dovecot has seen %d logins, want %d", n, want)
	}
}
