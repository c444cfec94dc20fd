//go:build unix

package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/imapgate/imapgate/proxy/imaptest/realpeer"
)

// doctor sees a real server through each kind of TLS.
func TestDoctorOnDovecot(t *testing.T) {
	server := realpeer.Dovecot(t, realpeer.DovecotOptions{Users: []realpeer.User{{Name: "riley", Password: "firetruck"}}})
	code, out := runDoctorOn(t, t.TempDir(), fmt.Sprintf(`
  implicit: {address: %q, tls_verify: {ca_file: %q, server_name: localhost}}
  plain: {address: %q, tls: none}
  starttls: {address: %q, tls: starttls, tls_verify: {ca_file: %q, server_name: localhost}}`,
		server.TLSAddr, server.CAFile, server.Addr, server.Addr, server.CAFile))
	if code != exitOK {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	for part, times := range map[string]int{
		"  tls         TLS 1.3, ":      2,
		"  tls         none":           1,
		"  certificate localhost":      2,
		"  server      Dovecot, ":      3,
		" AUTH=PLAIN ":                 3,
		"  quirks      -\n":            3,
		"  the rest    is not known":   3,
		"all 3 backends can be used\n": 1,
	} {
		if got := strings.Count(out, part); got != times {
			t.Errorf("%q stands there %d times, want %d", part, got, times)
		}
	}
	if t.Failed() {
		t.Log(out)
	}
	password := filepath.Join(t.TempDir(), "password.txt")
	writeFile(t, password, "firetruck\n")
	code, out = runDoctorOn(t, t.TempDir(), fmt.Sprintf("  plain: {address: %q, tls: none}", server.Addr), "-user", "riley", "-password-file", password)
	if code != exitOK || !strings.Contains(out, "  logged in   as riley\n") || !strings.Contains(out, "  server      Dovecot, ") ||
		!strings.Contains(out, " CATENATE URL-PARTIAL: URLs name the backend\n") || !strings.Contains(out, "  clients see IMAP4rev1 LITERAL+ ID XGWEXTENSIONS MOVE UIDPLUS IDLE ") {
		t.Errorf("exit code %d\n%s", code, out)
	}
}

// Users move from one server to the other by a line in a file, with and without SIGHUP, and a certificate
// changes, while sessions work.
func TestReloadDuringTrafficOnDovecot(t *testing.T) {
	user := realpeer.User{Name: "riley", Password: "firetruck"}
	old := realpeer.Dovecot(t, realpeer.DovecotOptions{Users: []realpeer.User{user}})
	moved := realpeer.Dovecot(t, realpeer.DovecotOptions{Users: []realpeer.User{user}})
	for _, server := range []*realpeer.Server{old, moved, moved} {
		server.Deliver(t, user.Name, "INBOX", "Subject: hello\r\n\r\nhello\r\n")
	}
	users := filepath.Join(t.TempDir(), "moved.txt")
	writeFile(t, users, "nobody\n")
	r := startReloadable(t, fmt.Sprintf(`
listeners: [{name: imaps, address: "127.0.0.1:0", tls: implicit}]
backends:
  old: {address: %q, tls: none}
  moved: {address: %q, tls_verify: {ca_file: %q, server_name: localhost}}
pools: {new: {backends: [moved]}}
routes:
  - {match: {users_file: %q}, pool: new}
  - {backend: old}
`, old.Addr, moved.TLSAddr, moved.CAFile, users))
	stop := make(chan struct{})
	var workers sync.WaitGroup
	failures := make(chan error, 3)
	for range cap(failures) {
		c := r.login(t)
		workers.Go(func() { failures <- work(c, stop) })
	}

	writeFile(t, users, "nobody\nriley\n")
	if outcome := r.reload(t); outcome != "reloaded" {
		t.Fatalf("%s\n%s", outcome, r.log)
	}
	if got := messagesOf(t, r.login(t)); got != 2 {
		t.Errorf("after the move: %d messages, want 2", got)
	}
	writeFile(t, users, "") // is refused
	if outcome := r.reload(t); outcome != "reloaded" {
		t.Fatalf("%s\n%s", outcome, r.log)
	}
	if got := messagesOf(t, r.login(t)); got != 2 {
		t.Errorf("after the file was emptied: %d messages, want 2", got)
	}
	for _, result := range []string{"ok", "failed"} {
		if got := r.metric(t, fmt.Sprintf("table_reloads_total{result=%q,table=%q}", result, users)); got != "1" {
			t.Errorf("users read again with result %s: %q", result, got)
		}
	}
	r.newCertificate(t, "localhost", "new.example.org")
	awaitReread(t, r, r.file("c.crt"))
	if got := peerCertificate(t, r); got != "[localhost new.example.org]" {
		t.Errorf("the certificate is for %s", got)
	}

	close(stop)
	workers.Wait()
	for range cap(failures) {
		if err := <-failures; err != nil {
			t.Error(err)
		}
	}
}

// awaitReread waits until a certificate was read again by itself.
func awaitReread(t *testing.T, r *reloadable, file string) {
	t.Helper()
	r.log.await(t, "a certificate to be read again", func(line logLine) bool {
		return line["msg"] == "a certificate was read again" && line["file"] == file
	})
}
