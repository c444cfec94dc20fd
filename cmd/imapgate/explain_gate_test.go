//go:build unix

package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2/imapclient"

	"github.com/imapgate/imapgate/proxy/imaptest"
)

// agreed are those who log in; each has an account at every backend.
var agreed = []string{"ann", "ben", "eve@b.example", "joe@a.example"}

// randomRoutes is a configuration whose users may go anywhere, or nowhere. Balances whose choice depends on
// who was there before are left out, for the command asks before any login.
func randomRoutes(r *rand.Rand, backends []string) string {
	var b strings.Builder
	b.WriteString("listeners:\n")
	for _, name := range []string{"door", "gate"} {
		fmt.Fprintf(&b, "  - {name: %s, address: \"127.0.0.1:0\", tls: none, allow_plaintext_login: true}\n", name)
	}
	b.WriteString("backends:\n")
	for i, address := range backends {
		fmt.Fprintf(&b, "  b%d: {address: %q, tls: none}\n", i, address)
	}
	b.WriteString("pools:\n")
	for i, kind := range []string{"user_hash", "user_hash, shared_store: true", "first, shared_store: true"} {
		first := r.IntN(len(backends))
		fmt.Fprintf(&b, "  p%d: {backends: [b%d, b%d], balance: %s}\n", i, first, (first+1)%len(backends), kind)
	}
	b.WriteString("routes:\n")
	for range 1 + r.IntN(4) {
		fmt.Fprintf(&b, "  - {match: {%s}, %s}\n", randomMatch(r), randomGoal(r, len(backends)))
	}
	fmt.Fprintf(&b, "default_domain: %s\nmetrics: {address: \"\"}\nlog: {format: json}\n", oneOf(r, `""`, "a.example", "b.example"))
	return b.String()
}

func oneOf(r *rand.Rand, values ...string) string { return values[r.IntN(len(values))] }

func randomMatch(r *rand.Rand) string {
	parts := []string{oneOf(r, `user: "*@*"`, `user: "*@a.example"`, `user: "?e*"`, "user: ann", "user: ben@b.example",
		"users_file: users.txt", "network: [127.0.0.0/8]", `network: ["2001:db8::/32"]`)}
	if r.IntN(3) == 0 {
		parts = append(parts, "listener: "+oneOf(r, "door", "gate"))
	}
	return strings.Join(parts, ", ")
}

func randomGoal(r *rand.Rand, backends int) string {
	if r.IntN(2) == 0 {
		return fmt.Sprintf("backend: b%d", r.IntN(backends))
	}
	return fmt.Sprintf("pool: p%d", r.IntN(3))
}

// decided matches the line of "route explain" that says where a user goes.
var decided = regexp.MustCompile(`(?m)^user "(.*?)" to (?:no backend|backend "(.*?)")(?: of pool "(.*?)")?(?: by route "(.*?)")?:`)

// What the command says of a login is what becomes of it.
func TestExplainAgreesWithTheGate(t *testing.T) {
	passwords := map[string]string{}
	for _, user := range agreed {
		passwords[user] = "firetruck"
		for _, domain := range []string{"@a.example", "@b.example"} {
			passwords[user+domain] = "firetruck"
		}
	}
	var backends []string
	for range 3 {
		backends = append(backends, imaptest.MemoryServer(t, imaptest.MemoryOptions{Users: passwords}).Addr)
	}
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { explainAgrees(t, randomRoutes(rand.New(rand.NewPCG(seed, 1)), backends)) })
	}
}

func explainAgrees(t *testing.T, config string) {
	dir := t.TempDir()
	file := filepath.Join(dir, "config.yaml")
	writeFile(t, filepath.Join(dir, "users.txt"), "ben\neve@b.example\n")
	writeFile(t, file, config)
	g := startLogged(t, file)
	for i, user := range agreed {
		listener := []string{"door", "gate"}[i%2]
		_, out, errs := callRun(t, "route", "explain", user, "-from", "127.0.0.1", "-listener", listener, "-config", file)
		want := decided.FindStringSubmatch(out)
		if want == nil {
			t.Fatalf("%s%s\n%s", out, errs, config)
		}
		err := loginAndLeave(g.addresses[listener], user)
		if want[2] == "" {
			if err == nil {
				t.Errorf("%s logged in, but the command says\n%s\n%s", user, out, config)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v, but the command says\n%s\n%s", user, err, out, config)
		}
		line := g.log.ended(t, want[1])
		pool, _ := line["pool"].(string)
		if line["backend"] != want[2] || pool != want[3] || line["route"] != want[4] || line["listener"] != listener {
			t.Errorf("the command says\n%s\nthe log says\n%v\n%s", out, line, config)
		}
	}
}

// startLogged runs serve until the test's end.
func startLogged(t *testing.T, file string) *peerGate {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	code := make(chan int, 1)
	g := &peerGate{served: &served{addresses: map[string]string{}, stop: stop, code: code}, log: newGateLog()}
	go func() { code <- run(ctx, []string{"serve", "-config", file}, io.Discard, g.log) }()
	t.Cleanup(func() { g.end(t) })
	g.ready(t)
	return g
}

func loginAndLeave(address, user string) error {
	c, err := imapclient.DialInsecure(address, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Login(user, "firetruck").Wait(); err != nil {
		return err
	}
	return c.Logout().Wait()
}
