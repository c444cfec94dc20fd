//go:build unix

package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/imapgate/imapgate/proxy/imaptest/realpeer"
)

// A lost server: whoever waits for an answer gets NO, everybody gets BYE; who comes while it is away gets
// NO and may try again on the same connection; and all is well when it is back.
func TestPeersServerDies(t *testing.T) {
	t.Parallel()
	onRealKinds(t, func(t *testing.T, k realKind) {
		server, g, u := onePeer(t, k)
		calm, idling, waiting := g.at(legNone).raw(t, u), g.at(legNone).raw(t, u), g.at(legImplicit).raw(t, u)
		calm.must("SELECT INBOX")
		idling.must("SELECT INBOX")
		idling.begin("IDLE")
		idling.until("+")
		upload := waiting.begin("APPEND INBOX {100000}")
		waiting.until("+")
		waiting.say(strings.Repeat("x", 50_000))
		if err := server.Kill(); err != nil {
			t.Fatal(err)
		}
		expectGoodbye(t, "calm", calm, "")
		expectGoodbye(t, "idling", idling, "")
		expectGoodbye(t, "waiting", waiting, upload+" NO [UNAVAILABLE]")

		late := g.at(legNone).dial(t)
		login := fmt.Sprintf("LOGIN %s %s", u.Name, u.Password)
		if answer, _ := late.command(login); !strings.HasPrefix(answer, "NO [UNAVAILABLE]") {
			t.Errorf("the server is away: %s", answer)
		}
		server.Restart(t)
		late.must(login)
		late.must("SELECT INBOX")
		late.must("NOOP")
	})
}

// expectGoodbye reads to the end: an answer, where one is due, and a whole BYE.
func expectGoodbye(t *testing.T, who string, c *rawClient, answer string) {
	t.Helper()
	lines, _ := c.rest()
	at := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, "* BYE [UNAVAILABLE] ") })
	if at < 0 || at != len(lines)-1 {
		t.Errorf("%s: no BYE at the end of %q", who, lines)
	}
	if answer != "" && (at < 1 || !strings.HasPrefix(lines[at-1], answer)) {
		t.Errorf("%s: no %q before BYE in %q", who, answer, lines)
	}
}

// A wrong password and a user that does not exist look the same, by LOGIN and by AUTHENTICATE, and the
// connection stays for another try.
func TestPeersWrongPassword(t *testing.T) {
	t.Parallel()
	onRealKinds(t, func(t *testing.T, k realKind) {
		_, g, u := onePeer(t, k)
		var answers []string
		c := g.at(legImplicit).dial(t)
		for _, try := range []string{
			fmt.Sprintf("LOGIN %s wrong/%s", u.Name, u.Name),
			fmt.Sprintf("LOGIN nobody.%s %s", legStartTLS, u.Password),
		} {
			answer, _ := c.command(try)
			answers = append(answers, answer)
		}
		if answers[0] != answers[1] || !strings.HasPrefix(answers[0], "NO [AUTHENTICATIONFAILED] ") {
			t.Errorf("wrong password: %q; unknown user: %q", answers[0], answers[1])
		}
		c.must(fmt.Sprintf("LOGIN %s %s", u.Name, u.Password))
		expectNoPassword(t, "log", g.log.String(), []realpeer.User{{Name: "a wrong one", Password: "wrong/" + u.Name}})
		body := get(t, g.addresses["metrics"], "/metrics")
		for _, want := range []string{
			`imapgate_logins_total{backend="b1",mechanism="LOGIN",result="denied"} 2`,
			`imapgate_logins_total{backend="b1",mechanism="LOGIN",result="ok"} 1`,
		} {
			if !strings.Contains(body, want) {
				t.Errorf("no %s in\n%s", want, body)
			}
		}
	})
}

// A password without TLS is refused where the listener does not allow it, before any backend hears of it.
func TestPeersNoPasswordInTheClear(t *testing.T) {
	t.Parallel()
	_, g, u := onePeer(t, realKinds()[0])
	c := g.at(legStartTLS).dial(t)
	if offered := strings.Join(c.must("CAPABILITY"), " "); !strings.Contains(offered, " LOGINDISABLED") {
		t.Errorf("offered: %q", offered)
	}
	if answer, _ := c.command(fmt.Sprintf("LOGIN %s %s", u.Name, u.Password)); !strings.HasPrefix(answer, "NO [PRIVACYREQUIRED]") {
		t.Errorf("got %q", answer)
	}
	if body := get(t, g.addresses["metrics"], "/metrics"); strings.Contains(body, "imapgate_logins_total{") {
		t.Errorf("a backend was asked:\n%s", body)
	}
}

// A backend whose certificate does not fit gets no password.
func TestPeersBackendIsVerified(t *testing.T) {
	t.Parallel()
	u := secretUser("riley.starttls")
	server := realKinds()[0].start(t, []realpeer.User{u})
	stranger, err := realpeer.WriteCertificate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []leg{legStartTLS, legImplicit} {
		b := backendAt(server, l, "*")
		b.ca = stranger.CAFile
		g := startPeerGate(t, server.Users, []peerBackend{b}, "")
		c := g.at(legImplicit).dial(t)
		if answer, _ := c.command(fmt.Sprintf("LOGIN %s %s", u.Name, u.Password)); !strings.HasPrefix(answer, "NO [UNAVAILABLE]") {
			t.Errorf("%s: got %q", l, answer)
		}
		g.log.await(t, "the certificate", func(line logLine) bool {
			return line["msg"] == "login refused" && strings.Contains(fmt.Sprint(line["error"]), "certificate")
		})
	}
	if strings.Contains(server.Log(), "user=<"+u.Name) {
		t.Error("the server has heard of the user")
	}
}
