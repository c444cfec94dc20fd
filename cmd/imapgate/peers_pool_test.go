//go:build unix

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/imapgate/imapgate/proxy/imaptest/realpeer"
)

// poolUsers is how many users a pool's test has. Their names are fixed, so user_hash sends some to each server.
const poolUsers = 8

// A twoServers is a gate in front of a pool of two Dovecots.
type twoServers struct {
	*peerGate
	users   []realpeer.User
	servers [2]*realpeer.Server
}

// startPool makes two servers; when the pool is shared, over the same mail.
func startPool(t *testing.T, pool string) *twoServers {
	t.Helper()
	p := &twoServers{}
	for i := range poolUsers {
		p.users = append(p.users, secretUser(fmt.Sprintf("pool%d", i)))
	}
	for i := range p.servers {
		p.servers[i] = realpeer.Dovecot(t, realpeer.DovecotOptions{Users: p.users, Config: "auth_verbose = yes"})
	}
	a, b := p.servers[0], p.servers[1]
	if strings.Contains(pool, "shared_store: true") {
		shareMail(t, a, b)
	}
	for _, u := range p.users {
		a.Deliver(t, u.Name, "INBOX", "Subject: "+u.Name+"\n\nhello\n")
		if !strings.Contains(pool, "shared_store: true") {
			b.Deliver(t, u.Name, "INBOX", "Subject: "+u.Name+"\n\nhello\n")
		}
	}
	p.peerGate = startGateOn(t, p.users, fmt.Sprintf(`
listeners: [{name: imaps, address: "127.0.0.1:0", tls: implicit}]
backends:
  b0: {address: %q, tls: none}
  b1: {address: %q, tls_verify: {ca_file: %q, server_name: localhost}}
pools: {both: {backends: [b0, b1], %s}}
routes: [{pool: both}]
`, a.Addr, b.TLSAddr, b.CAFile, pool))
	return p
}

// shareMail lets the second server keep its mail where the first does.
func shareMail(t *testing.T, first, second *realpeer.Server) {
	t.Helper()
	folder := func(s *realpeer.Server) string {
		return filepath.Dir(filepath.Dir(s.Mailbox(t, s.Users[0].Name, "INBOX")))
	}
	if err := os.RemoveAll(folder(second)); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(folder(first), folder(second)); err != nil {
		t.Fatal(err)
	}
}

func (p *twoServers) endpoint() endpoint {
	return endpoint{p.addresses["imaps"], legImplicit, p.ca}
}

// open are the sessions on each backend.
func (p *twoServers) open(t *testing.T) (sessions [2]int) {
	t.Helper()
	body := get(t, p.addresses["metrics"], "/metrics")
	for i := range sessions {
		part := fmt.Sprintf(`imapgate_backend_sessions{backend="b%d"} `, i)
		if _, rest, found := strings.Cut(body, part); found {
			fmt.Sscan(rest, &sessions[i])
		}
	}
	return sessions
}

// where logs the user in, works, logs out, and returns the backend; or the answer that refused the login.
func (p *twoServers) where(t *testing.T, u realpeer.User) (backend, refused string) {
	t.Helper()
	c := p.endpoint().dial(t)
	defer c.conn.Close()
	if answer, _ := c.command("LOGIN " + u.Name + " " + u.Password); !strings.HasPrefix(answer, "OK") {
		return "", answer
	}
	if got := c.subjects("INBOX"); len(got) == 0 || got[0] != u.Name {
		t.Errorf("%s sees %q", u.Name, got)
	}
	c.must("LOGOUT")
	c.conn.Close() // the proxy waits a while for that
	line := p.log.await(t, "the end of "+u.Name, func(line logLine) bool {
		return line["msg"] == "session ended" && line["client"] == c.conn.LocalAddr().String()
	})
	if line["user"] != u.Name {
		t.Errorf("%s has the session of %v", u.Name, line)
	}
	backend, _ = line["backend"].(string)
	return backend, ""
}

// homes logs every user in once.
func (p *twoServers) homes(t *testing.T) map[string]string {
	t.Helper()
	homes := map[string]string{}
	for _, u := range p.users {
		backend, refused := p.where(t, u)
		if refused != "" {
			t.Errorf("%s: %s", u.Name, refused)
		}
		homes[u.Name] = backend
	}
	return homes
}

// In a pool over the same mail nobody notices for longer than a login that a server is away, and it is used
// again when it is back.
func TestPeersSharedPool(t *testing.T) {
	t.Parallel()
	for _, balance := range []string{"user_hash", "round_robin"} {
		t.Run(balance, func(t *testing.T) {
			t.Parallel()
			p := startPool(t, "balance: "+balance+", shared_store: true")
			p.askOneServer(t)
			homes := p.homes(t)
			p.expectBalance(t, balance, homes)
			var open []*rawClient
			for _, u := range p.users {
				c := p.endpoint().raw(t, u)
				c.must("SELECT INBOX")
				c.must("APPEND INBOX {16+}\r\nSubject: later\r\n")
				open = append(open, c)
			}
			if got := p.open(t); got[0]+got[1] != poolUsers || got[0] == 0 || got[1] == 0 {
				t.Fatalf("sessions on the servers: %v", got)
			}
			p.killFirst(t, open)
			for user, backend := range p.homes(t) {
				if backend != "b1" {
					t.Errorf("%s is on %q while b0 is away", user, backend)
				}
			}
			p.servers[0].Restart(t)
			p.awaitReturn(t, homes)
		})
	}
}

// expectBalance: user_hash sends a user where he was before, round_robin sends half of the logins to each server.
func (p *twoServers) expectBalance(t *testing.T, balance string, homes map[string]string) {
	t.Helper()
	counts := map[string]int{}
	for _, backend := range homes {
		counts[backend]++
	}
	if counts["b0"] == 0 || counts["b1"] == 0 {
		t.Fatalf("users on the servers: %v", counts)
	}
	if balance == "round_robin" && counts["b0"] != counts["b1"] {
		t.Errorf("logins on the servers: %v", counts)
	}
	if balance != "user_hash" {
		return
	}
	for user, backend := range p.homes(t) {
		if backend != homes[user] {
			t.Errorf("%s moved from %s to %s", user, homes[user], backend)
		}
	}
}

// killFirst kills b0: its sessions get BYE, those on b1 stay.
func (p *twoServers) killFirst(t *testing.T, open []*rawClient) {
	t.Helper()
	on := p.open(t)
	if err := p.servers[0].Kill(); err != nil {
		t.Fatal(err)
	}
	stayed := 0
	for i, c := range open {
		line, err := c.lineAfterNoop()
		switch {
		case err == nil && strings.HasPrefix(line, "last OK"):
			stayed++
		case err == nil && strings.HasPrefix(line, "* BYE [UNAVAILABLE]"):
		default:
			t.Errorf("%s: %q, %v", p.users[i].Name, line, err)
		}
	}
	if stayed != on[1] {
		t.Errorf("%d sessions stayed, want the %d of b1", stayed, on[1])
	}
}

// lineAfterNoop returns the answer to a NOOP or the BYE that came instead.
func (c *rawClient) lineAfterNoop() (line string, err error) {
	fmt.Fprintf(c.conn, "last NOOP\r\n") // an error would hide the BYE
	for {
		line, err = c.line()
		if err != nil || strings.HasPrefix(line, "last ") && !strings.HasPrefix(line, "last NO ") || strings.HasPrefix(line, "* BYE") {
			return line, err
		}
	}
}

// awaitReturn logs in until b0 is used again, by one who was there before.
func (p *twoServers) awaitReturn(t *testing.T, homes map[string]string) {
	t.Helper()
	var user realpeer.User
	for _, u := range p.users {
		if homes[u.Name] == "b0" {
			user = u
		}
	}
	again, deadline := time.NewTicker(50*time.Millisecond), time.After(patience)
	defer again.Stop()
	for {
		backend, refused := p.where(t, user)
		if refused != "" {
			t.Fatal(refused)
		}
		if backend == "b0" {
			return
		}
		select {
		case <-again.C:
		case <-deadline:
			t.Fatal("b0 is back and not used")
		}
	}
}

// askOneServer tries a wrong password for each user; the servers' logs must have one failure for each.
func (p *twoServers) askOneServer(t *testing.T) {
	t.Helper()
	for _, u := range p.users[1:] {
		c := p.endpoint().dial(t)
		if answer, _ := c.command("LOGIN " + u.Name + " wrong"); !strings.HasPrefix(answer, "NO [AUTHENTICATIONFAILED]") {
			t.Errorf("%s: %s", u.Name, answer)
		}
		c.conn.Close()
	}
	// The same process writes these later, so what is not in the log then does not come any more.
	for _, server := range p.servers {
		c := at(server, legNone).dial(t)
		c.command("LOGIN " + p.users[0].Name + " wrong")
		c.conn.Close()
		awaitText(t, server.Log, "passwd-file("+p.users[0].Name+",")
	}
	for _, u := range p.users[1:] {
		part, failures := "passwd-file("+u.Name+",", [2]int{}
		for i, server := range p.servers {
			failures[i] = strings.Count(server.Log(), part)
		}
		if failures[0]+failures[1] != 1 {
			t.Errorf("%s: the servers have seen %v wrong passwords, want one", u.Name, failures)
		}
	}
}

// Where each user has one home, nobody is shown another one's while it is away.
func TestPeersPoolWithoutSharedStore(t *testing.T) {
	t.Parallel()
	p := startPool(t, "balance: user_hash")
	homes := p.homes(t)
	p.expectBalance(t, "user_hash", homes)
	if err := p.servers[0].Kill(); err != nil {
		t.Fatal(err)
	}
	var waiting []*rawClient
	for _, u := range p.users {
		if homes[u.Name] == "b1" {
			if backend, refused := p.where(t, u); backend != "b1" {
				t.Errorf("%s: %s %s", u.Name, backend, refused)
			}
			continue
		}
		c := p.endpoint().dial(t)
		if answer, _ := c.command("LOGIN " + u.Name + " " + u.Password); !strings.HasPrefix(answer, "NO [UNAVAILABLE]") {
			t.Errorf("%s: %s", u.Name, answer)
		}
		waiting = append(waiting, c)
		if strings.Contains(p.servers[1].Log(), "user=<"+u.Name+">") {
			t.Errorf("%s was sent to the other server", u.Name)
		}
	}
	p.servers[0].Restart(t)
	for _, c := range waiting {
		if answer, _ := c.command("NOOP"); !strings.HasPrefix(answer, "OK") {
			t.Errorf("after the refusal: %s", answer)
		}
	}
	for user, backend := range p.homes(t) {
		if backend != homes[user] {
			t.Errorf("%s moved from %s to %s", user, homes[user], backend)
		}
	}
}

// A drain in the middle of traffic: half of the sessions are inside an APPEND, which is finished and answered,
// half send one command after the other, none of which fails. A whole BYE is the last that each gets.
func TestPeersPoolDrains(t *testing.T) {
	t.Parallel()
	p := startPool(t, "balance: round_robin, shared_store: true")
	var busy, done sync.WaitGroup
	var inside []*rawClient
	for i, u := range p.users {
		c := p.endpoint().raw(t, u)
		c.must("SELECT INBOX")
		if i%4 < 2 { // round_robin: on both servers
			c.begin("APPEND INBOX {30000}")
			c.until("+")
			c.say(strings.Repeat("x", 10_000))
			inside = append(inside, c)
			continue
		}
		busy.Add(1)
		done.Go(func() {
			if err := c.hammer(busy.Done); err != nil {
				t.Errorf("%s: %v", u.Name, err)
			}
		})
	}
	busy.Wait()
	stop := p.stop
	p.stop = nil // the metrics are gone when the test ends
	stop()
	p.log.await(t, "the drain", func(line logLine) bool { return line["msg"] == "draining" })
	for _, c := range inside {
		c.say(strings.Repeat("x", 30_000-10_002)) // the CRLF of the first part counts, this one ends the command
		line, _ := c.until(fmt.Sprintf("t%d ", c.n))
		if !strings.Contains(line, " OK ") {
			t.Errorf("APPEND: %s", line)
		}
		expectGoodbye(t, "inside APPEND", c, "")
	}
	done.Wait()
	for _, u := range p.users {
		if line := p.log.ended(t, u.Name); line["reason"] != "drained" {
			t.Errorf("%s: the reason is %v", u.Name, line["reason"])
		}
	}
	select {
	case code := <-p.code:
		if code != exitOK {
			t.Errorf("serve ended with %d", code)
		}
	case <-time.After(patience):
		t.Error("serve does not end")
	}
}

// hammer sends commands until BYE, calling warm after some. A command that crosses the BYE stays without an answer.
func (c *rawClient) hammer(warm func()) error {
	for n := 0; ; n++ {
		if n == 20 {
			warm()
		}
		c.n++
		tag := fmt.Sprintf("t%d ", c.n)
		fmt.Fprintf(c.conn, "%s%s\r\n", tag, []string{"NOOP", "SELECT INBOX", "FETCH 1 (FLAGS BODY[])"}[n%3])
		for {
			line, err := c.line()
			if err != nil {
				return fmt.Errorf("no BYE: %q, %w", line, err)
			}
			if strings.HasPrefix(line, "* BYE [UNAVAILABLE] ") {
				if after, _ := c.rest(); len(after) > 0 {
					return fmt.Errorf("after BYE: %q", after)
				}
				return nil
			}
			if answer, ok := strings.CutPrefix(line, tag); ok {
				if !strings.HasPrefix(answer, "OK ") {
					return fmt.Errorf("a command failed: %s", answer)
				}
				break
			}
		}
	}
}
