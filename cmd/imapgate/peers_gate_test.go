//go:build unix

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2/imapclient"

	"github.com/imapgate/imapgate/proxy/imaptest/realpeer"
)

// A leg is how one connection is secured, in the configuration's words.
type leg string

const (
	legNone     leg = "none"
	legStartTLS leg = "starttls"
	legImplicit leg = "implicit"
)

func legs() []leg { return []leg{legNone, legStartTLS, legImplicit} }

// An endpoint is where a client connects: a listener of the proxy, or a server itself.
type endpoint struct {
	address string
	tls     leg
	ca      string
}

// at is the server itself.
func at(server *realpeer.Server, l leg) endpoint {
	e := endpoint{server.Addr, l, server.CAFile}
	if l == legImplicit {
		e.address = server.TLSAddr
	}
	return e
}

// port is the endpoint's port alone, for clients that verify certificates by the name localhost.
func (e endpoint) port() string {
	_, port, _ := net.SplitHostPort(e.address)
	return port
}

// open connects, without a login.
func (e endpoint) open(t testing.TB, o imapclient.Options) *imapclient.Client {
	t.Helper()
	connect := map[leg]func(string, *imapclient.Options) (*imapclient.Client, error){
		legNone: imapclient.DialInsecure, legStartTLS: imapclient.DialStartTLS, legImplicit: imapclient.DialTLS,
	}[e.tls]
	o.TLSConfig = e.trust(t)
	c, err := connect(e.address, &o)
	if err != nil {
		t.Fatalf("connecting to %s (%s): %v", e.address, e.tls, err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func (e endpoint) trust(t testing.TB) *tls.Config {
	t.Helper()
	return trust(t.(*testing.T), e.ca)
}

// login is open with a login.
func (e endpoint) login(t testing.TB, u realpeer.User) *imapclient.Client {
	t.Helper()
	c := e.open(t, imapclient.Options{})
	if err := c.Login(u.Name, u.Password).Wait(); err != nil {
		t.Fatalf("logging in as %s at %s: %v", u.Name, e.address, err)
	}
	return c
}

// A peerBackend is one backend of the configuration, and the users that are routed to it.
type peerBackend struct {
	address, ca string
	tls         leg
	users       string // a glob
	more        string // settings, each behind a comma
}

func backendAt(server *realpeer.Server, l leg, users string) peerBackend {
	e := at(server, l)
	return peerBackend{e.address, e.ca, l, users, ""}
}

// backendLegs makes three backends of one server; the end of a user's name chooses among them.
func backendLegs(server *realpeer.Server) (backends []peerBackend) {
	for _, l := range legs() {
		backends = append(backends, backendAt(server, l, "*."+string(l)))
	}
	return backends
}

// A peerGate is serve in front of real servers, with one listener for each leg.
type peerGate struct {
	*served
	ca  string
	log *gateLog
}

// at is the listener for a leg.
func (g *peerGate) at(l leg) endpoint {
	return endpoint{g.addresses[string(l)], l, g.ca}
}

// asDirect is a policy under which a server seems to be what it is: nothing is added, nothing put right.
const asDirect = "policy: {polyfills: off, quirks: off}\n"

// peerConfig writes the configuration of a gate into a new folder; more is appended.
func peerConfig(t *testing.T, backends []peerBackend, more string) (configFile, ca string) {
	t.Helper()
	dir := t.TempDir()
	cert, err := realpeer.WriteCertificate(dir)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("listeners:\n")
	for _, l := range legs() {
		fmt.Fprintf(&b, "  - {name: %s, address: \"127.0.0.1:0\", tls: %s, allow_plaintext_login: %v}\n", l, l, l == legNone)
	}
	fmt.Fprintf(&b, "tls: {certificates: [{cert: %q, key: %q}]}\nbackends:\n", cert.CertFile, cert.KeyFile)
	for i, p := range backends {
		verify := fmt.Sprintf(", tls_verify: {ca_file: %q, server_name: localhost}", p.ca)
		if p.tls == legNone {
			verify = ""
		}
		fmt.Fprintf(&b, "  b%d: {address: %q, tls: %s%s%s}\n", i, p.address, p.tls, verify, p.more)
	}
	b.WriteString("routes:\n")
	for i, p := range backends {
		fmt.Fprintf(&b, "  - {match: {user: %q}, backend: b%d}\n", p.users, i)
	}
	b.WriteString("metrics: {address: \"127.0.0.1:0\"}\nlog: {format: json, level: debug}\n" + more)
	configFile = filepath.Join(dir, "config.yaml")
	writeFile(t, configFile, b.String())
	return configFile, cert.CAFile
}

// startPeerGate runs serve until the test ends; then it must drain with exit code 0, unless the test has
// ended it itself. The users' passwords must be in no line of the log and in no metric.
func startPeerGate(t *testing.T, users []realpeer.User, backends []peerBackend, more string) *peerGate {
	t.Helper()
	configFile, ca := peerConfig(t, backends, more)
	ctx, stop := context.WithCancel(context.Background())
	code := make(chan int, 1)
	g := &peerGate{&served{addresses: map[string]string{}, stop: stop, code: code}, ca, newGateLog()}
	go func() { code <- run(ctx, []string{"serve", "-config", configFile}, io.Discard, g.log) }()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of imapgate:\n%s", g.log)
		}
	})
	g.ready(t)
	t.Cleanup(func() { g.finish(t, users) })
	return g
}

// ready waits for the ports.
func (g *peerGate) ready(t *testing.T) {
	t.Helper()
	g.log.await(t, "ready", func(line logLine) bool { return line["msg"] == "ready" })
	for _, line := range g.log.lines() {
		switch line["msg"] {
		case "listening":
			g.addresses[line["listener"].(string)] = line["address"].(string)
		case "metrics":
			url := line["url"].(string)
			g.addresses["metrics"] = strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/metrics")
		}
	}
}

func (g *peerGate) finish(t *testing.T, users []realpeer.User) {
	if g.stop != nil {
		expectNoPassword(t, "metrics", get(t, g.addresses["metrics"], "/metrics"), users)
		if code := g.end(t); code != exitOK {
			t.Errorf("serve ended with %d", code)
		}
	}
	expectNoPassword(t, "log", g.log.String(), users)
}

func expectNoPassword(t *testing.T, where, text string, users []realpeer.User) {
	t.Helper()
	for _, u := range users {
		quoted, _ := json.Marshal(u.Password)
		for _, form := range []string{u.Password, strings.Trim(string(quoted), `"`)} {
			if strings.Contains(text, form) {
				t.Errorf("%s: the password of %s is in it", where, u.Name)
			}
		}
	}
}

type logLine map[string]any

// A gateLog keeps the log of a run and tells when there is more.
type gateLog struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{} // closed at the next line
}

func newGateLog() *gateLog { return &gateLog{changed: make(chan struct{})} }

func (l *gateLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.changed)
	l.changed = make(chan struct{})
	return l.text.Write(p)
}

func (l *gateLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// lines are the whole lines so far.
func (l *gateLog) lines() (lines []logLine) {
	for text := range strings.Lines(l.String()) {
		var line logLine
		if json.Unmarshal([]byte(text), &line) == nil {
			lines = append(lines, line)
		}
	}
	return lines
}

// await returns the first line that matches, now or later.
func (l *gateLog) await(t testing.TB, what string, match func(logLine) bool) logLine {
	t.Helper()
	deadline := time.After(patience)
	for {
		l.mu.Lock()
		changed := l.changed
		l.mu.Unlock()
		for _, line := range l.lines() {
			if match(line) {
				return line
			}
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("the log has no line for %s:\n%s", what, l)
		}
	}
}

// ended waits for the line of a user's session.
func (l *gateLog) ended(t testing.TB, user string) logLine {
	t.Helper()
	return l.await(t, "the end of "+user, func(line logLine) bool {
		return line["msg"] == "session ended" && line["user"] == user
	})
}
