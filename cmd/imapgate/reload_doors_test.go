//go:build unix

package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2/imapclient"
)

// plainAt fails unless the port at address greets without TLS and lets riley log in.
func plainAt(t *testing.T, address string) {
	t.Helper()
	c, err := imapclient.DialInsecure(address, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Login("riley", "firetruck").Wait(); err != nil {
		t.Errorf("%s is not as it was: %v", address, err)
	}
}

// listening is a configuration with these listeners, one a line.
func listening(backend string, listeners ...string) string {
	return fmt.Sprintf("listeners:\n  - {%s}\nbackends: {only: {address: %q, tls: none}}\nroutes: [{backend: only}]\n",
		strings.Join(listeners, "}\n  - {"), backend)
}

const keepsItsSettings = "another address or mode of a listener needs a restart; until then its port keeps its settings"

// What is allowed at a new address must not be allowed at the old one, which others can reach.
func TestReloadKeepsTheSettingsOfAnOldAddress(t *testing.T) {
	backend := memoryBackend(t, 1)
	secure := `name: imaps, address: "127.0.0.1:0", tls: implicit`
	r := startReloadable(t, listening(backend, secure))
	r.mustReload(t, listening(backend, `name: imaps, address: "127.0.0.2:0", tls: none, allow_plaintext_login: true`))
	if n := r.log.count(keepsItsSettings); n != 1 {
		t.Errorf("told %d times", n)
	}
	r.login(t)
	r.mustReload(t, listening(backend, secure))
	if n := r.log.count(keepsItsSettings); n != 1 {
		t.Errorf("with the first address again told %d times", n)
	}
	r.login(t)
}

// A name that is given to another address takes its settings there, not to the port that had the name.
func TestReloadExchangesNames(t *testing.T) {
	backend := memoryBackend(t, 1)
	r := startReloadable(t, listening(backend, `name: imaps, address: "127.0.0.1:0", tls: implicit`,
		`name: inside, address: "127.0.0.2:0", tls: none, allow_plaintext_login: true`))
	r.mustReload(t, listening(backend, `name: inside, address: "127.0.0.1:0", tls: implicit`,
		`name: imaps, address: "127.0.0.2:0", tls: none, allow_plaintext_login: true`))
	if n := r.log.count(keepsItsSettings); n != 2 {
		t.Errorf("told %d times", n)
	}
	r.login(t)
	plainAt(t, r.addresses["inside"])
}

// A port that was removed together with the certificates serves its clients until the restart.
func TestReloadWithoutCertificates(t *testing.T) {
	backend := memoryBackend(t, 1)
	inside := `name: inside, address: "127.0.0.2:0", tls: none, allow_plaintext_login: true`
	r := startReloadable(t, listening(backend, `name: imaps, address: "127.0.0.1:0", tls: implicit`, inside))
	for range 2 {
		writeFile(t, r.file("config.yaml"), listening(backend, inside)+"log: {format: json, level: debug}\n")
		if outcome := r.reload(t); outcome != "reloaded" {
			t.Fatalf("%s:\n%s", outcome, r.log)
		}
		r.login(t)
	}
}

// The port of the metrics is compared with, not the file before.
func TestReloadOfMetricsAddress(t *testing.T) {
	backend := memoryBackend(t, 1)
	r := startReloadable(t, reloadConfig(backend, ""))
	const needsARestart = "another address for metrics needs a restart"
	for i := range 2 {
		writeFile(t, r.file("config.yaml"), reloadConfig(backend, `
tls: {certificates: [{cert: c.crt, key: c.key}]}
metrics: {address: "127.0.0.2:0"}
log: {format: json, level: debug}
`))
		if outcome := r.reload(t); outcome != "reloaded" {
			t.Fatalf("%s:\n%s", outcome, r.log)
		}
		if n := r.log.count(needsARestart); n != i+1 {
			t.Errorf("told %d times after %d reloads", n, i+1)
		}
	}
	r.mustReload(t, reloadConfig(backend, ""))
	if n := r.log.count(needsARestart); n != 2 {
		t.Errorf("with the first address again told %d times", n)
	}
}

// count returns how many lines have a message.
func (l *gateLog) count(msg string) (n int) {
	for _, line := range l.lines() {
		if line["msg"] == msg {
			n++
		}
	}
	return n
}
