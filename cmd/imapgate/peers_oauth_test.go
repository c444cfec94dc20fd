//go:build unix

package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/emersion/go-sasl"

	"github.com/imapgate/imapgate/proxy/imaptest/realpeer"
)

// tokenOf is the token that the introspection server takes for a user.
func tokenOf(user string) string { return "ya29.T0ken-of." + user }

// introspection says of each token whether it is good and whose it is (RFC 7662).
func introspection(t *testing.T) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		user, good := strings.CutPrefix(token, tokenOf(""))
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(map[string]any{"active": good, "username": user, "scope": "mail"})
	}))
	t.Cleanup(s.Close)
	return s
}

// oauthDovecot takes tokens by one mechanism alone.
func oauthDovecot(t *testing.T, url, mechanism string, users []realpeer.User) *realpeer.Server {
	t.Helper()
	file := filepath.Join(t.TempDir(), "oauth2.conf")
	writeFile(t, file, fmt.Sprintf("introspection_url = %s/\nintrospection_mode = auth\nusername_attribute = username\n"+
		"active_attribute = active\nactive_value = true\nscope = mail\nopenid_configuration_url = https://id.example/.well-known/openid-configuration\n", url))
	return realpeer.Dovecot(t, realpeer.DovecotOptions{Users: users, Config: fmt.Sprintf(`
auth_mechanisms = plain %[1]s
passdb {
  driver = oauth2
  mechanisms = %[1]s
  args = %[2]s
}
`, strings.ToLower(mechanism), file)})
}

// bearerMessage is what a client sends in a mechanism, in base64.
func bearerMessage(mechanism, user, token string) string {
	message := "user=" + user
	if mechanism == "OAUTHBEARER" {
		message = "n,a=" + user + ",\x01host=imap.example.org\x01port=993"
	}
	return base64.StdEncoding.EncodeToString([]byte(message + "\x01auth=Bearer " + token + "\x01\x01"))
}

// TestPeersOAuth: each of the two mechanisms in front of each, with a real server that asks for the token.
func TestPeersOAuth(t *testing.T) {
	t.Parallel()
	realpeer.Need(t, realpeer.PartDovecot)
	url := introspection(t).URL
	mechanisms := []string{"OAUTHBEARER", "XOAUTH2"}
	var users, secrets []realpeer.User
	for _, m := range append(mechanisms, "NONE") {
		u := secretUser("oauth." + strings.ToLower(m))
		users = append(users, u)
		secrets = append(secrets, u, realpeer.User{Name: u.Name, Password: tokenOf(u.Name)}, realpeer.User{Name: u.Name, Password: "worn-" + u.Name})
		for _, front := range mechanisms {
			for _, token := range []string{tokenOf(u.Name), "worn-" + u.Name} {
				secrets = append(secrets, realpeer.User{Name: u.Name, Password: bearerMessage(front, u.Name, token)})
			}
		}
	}
	var backends []peerBackend
	for i, m := range mechanisms {
		backends = append(backends, backendAt(oauthDovecot(t, url, m, users), legs()[2*i], "*."+strings.ToLower(m)))
	}
	backends = append(backends, backendAt(realpeer.Dovecot(t, realpeer.DovecotOptions{Users: users}), legNone, "*.none"))
	g := startPeerGate(t, secrets, backends, "")
	for i, back := range mechanisms {
		for _, front := range mechanisms {
			t.Run(front+" to "+back, func(t *testing.T) { checkOAuth(t, g, front, users[i].Name) })
		}
		if answer, _ := g.at(legImplicit).dial(t).command(fmt.Sprintf("LOGIN %s %s", users[i].Name, users[i].Password)); !strings.HasPrefix(answer, "OK") {
			t.Errorf("LOGIN: %s", answer)
		}
	}
	for _, front := range mechanisms {
		answer, _ := g.at(legImplicit).dial(t).command("AUTHENTICATE " + front + " " + bearerMessage(front, "oauth.none", tokenOf("oauth.none")))
		if !strings.HasPrefix(answer, "NO [UNAVAILABLE]") {
			t.Errorf("a server without tokens: %s", answer)
		}
	}
	if answer, _ := g.at(legImplicit).dial(t).command("LOGIN oauth.none " + users[2].Password); !strings.HasPrefix(answer, "OK") {
		t.Errorf("LOGIN: %s", answer)
	}
	checkForeseen(t, g)
	g.log.await(t, "a server without tokens", func(line logLine) bool {
		return line["msg"] == "login refused" && strings.Contains(fmt.Sprint(line["error"]), "neither AUTH=OAUTHBEARER nor AUTH=XOAUTH2")
	})
}

// checkForeseen looks at what is told before login, now that somebody has logged in at every server.
func checkForeseen(t *testing.T, g *peerGate) {
	caps := g.at(legImplicit).dial(t).must("CAPABILITY")
	for name, want := range map[string]bool{"AUTH=PLAIN": true, "AUTH=XOAUTH2": false, "IDLE": true, "QRESYNC": true, "CATENATE": false, "COMPRESS=DEFLATE": false} {
		if slices.Contains(strings.Fields(caps[0]), name) != want {
			t.Errorf("%s is told before login: %v, in %s", name, !want, caps[0])
		}
	}
}

// checkOAuth logs in with and without an initial response, and with tokens that are no good.
func checkOAuth(t *testing.T, g *peerGate, mechanism, user string) {
	good, bad := bearerMessage(mechanism, user, tokenOf(user)), bearerMessage(mechanism, user, "worn-"+user)
	other := bearerMessage(mechanism, user, tokenOf("somebody.else"))
	c := g.at(legImplicit).dial(t)
	acknowledgement := map[string]string{"XOAUTH2": "", "OAUTHBEARER": "AQ=="}[mechanism]
	for _, message := range []string{bad, other} {
		tag := c.begin("AUTHENTICATE " + mechanism + " " + message)
		challenge, _ := c.until("")
		text, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(challenge, "+ "))
		if err != nil || !json.Valid(text) || !strings.Contains(string(text), `"status":`) {
			t.Errorf("the challenge is %q, %v", text, err)
		}
		t.Logf("%s for %s is told %s", mechanism, user, text)
		c.say(acknowledgement)
		if answer, _ := c.until(tag + " "); !strings.HasPrefix(answer, tag+" NO [AUTHENTICATIONFAILED]") {
			t.Errorf("a wrong token: %s", answer)
		}
	}
	if mechanism == sasl.OAuthBearer {
		library := g.at(legStartTLS).open(t, imapclient.Options{})
		o := &sasl.OAuthBearerOptions{Username: user, Token: tokenOf(user), Host: "imap.example.org", Port: 143}
		if err := library.Authenticate(sasl.NewOAuthBearerClient(o)); err != nil {
			t.Errorf("a client of go-imap: %v", err)
		}
	}
	c.must("AUTHENTICATE " + mechanism + " " + good)
	c.must("SELECT INBOX")
	c = g.at(legImplicit).dial(t)
	tag := c.begin("AUTHENTICATE " + mechanism)
	if challenge, _ := c.until(""); challenge != "+ " {
		t.Fatalf("the challenge is %q", challenge)
	}
	c.say(good)
	if answer, _ := c.until(tag + " "); !strings.HasPrefix(answer, tag+" OK") {
		t.Errorf("in two lines: %s", answer)
	}
	c.must("SELECT INBOX")
}
