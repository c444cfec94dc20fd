package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/imaptest"
	"github.com/imapgate/imapgate/tlsutil"
)

// oddServer greets every client with one line and then reads without an answer.
func oddServer(t *testing.T, greeting string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer nc.Close()
				fmt.Fprint(nc, greeting)
				bufio.NewReader(nc).WriteTo(discard{})
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		all.Wait()
	})
	return ln.Addr().String()
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// closedPort is an address where nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// doctorFolder makes a folder with a certificate in c.crt for memory servers, and returns both.
func doctorFolder(t *testing.T) (dir string, server *tls.Config) {
	t.Helper()
	dir = t.TempDir()
	cert, key, err := tlsutil.SelfSigned("localhost")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "c.crt"), string(cert))
	return dir, &tls.Config{Certificates: []tls.Certificate{pair}}
}

// runDoctorOn runs it with polyfills that do not become more with each version.
func runDoctorOn(t *testing.T, dir, backends string, flags ...string) (code int, out string) {
	t.Helper()
	file := filepath.Join(dir, "config.yaml")
	first, _, _ := strings.Cut(strings.TrimSpace(backends), ":")
	writeFile(t, file, fmt.Sprintf(`
listeners: [{name: imap, address: "127.0.0.1:0", tls: none, allow_plaintext_login: true}]
timeouts: {connect: 2s}
backends:
%s
routes: [{backend: %s, policy: {capabilities: {remove: [SAVEDATE]}}}]
policy: {polyfills: [esearch, searchres, list-extended, list-status]}
`, backends, first))
	code, out, errs := callRun(t, append([]string{"doctor", "-config", file}, flags...)...)
	if errs != "" {
		t.Errorf("on the standard error: %s", errs)
	}
	return code, out
}

func TestDoctorOnSoundBackends(t *testing.T) {
	dir, server := doctorFolder(t)
	plain := imaptest.MemoryServer(t, imaptest.MemoryOptions{Caps: imap.CapSet{imap.CapIMAP4rev1: {}, imap.CapUIDPlus: {}, imap.CapIdle: {}}})
	starttls := imaptest.MemoryServer(t, imaptest.MemoryOptions{TLS: server})
	implicit := imaptest.MemoryServer(t, imaptest.MemoryOptions{TLS: server, Implicit: true})
	code, out := runDoctorOn(t, dir, fmt.Sprintf(`
  plain: {address: %q, tls: none}
  starttls: {address: %q, tls: starttls, tls_verify: {ca_file: c.crt, server_name: localhost}}
  implicit: {address: %q, tls_verify: {ca_file: c.crt, server_name: localhost}}
  unverified: {address: %q, tls_verify: {insecure_skip: true}}`, plain.Addr, starttls.Addr, implicit.Addr, implicit.Addr))
	if code != exitOK {
		t.Errorf("exit code %d", code)
	}
	golden(t, "doctor-sound", out)
}

// With a user it sees what a client of that user will see, at the one backend that is his.
func TestDoctorLogsIn(t *testing.T) {
	dir, _ := doctorFolder(t)
	old := oddServer(t, "* OK [CAPABILITY IMAP4rev1 UIDPLUS CHILDREN NAMESPACE THREAD=ORDEREDSUBJECT QUOTA IDLE SMAP1 XPIG-LATIN] Courier-IMAP ready. See COPYING for distribution information.\r\n")
	memory := imaptest.MemoryServer(t, imaptest.MemoryOptions{
		Users: map[string]string{"riley": "firetruck"},
		Caps:  imap.CapSet{imap.CapIMAP4rev1: {}, imap.CapUIDPlus: {}, imap.CapSaveDate: {}, imap.CapCondStore: {}},
	})
	backends := fmt.Sprintf("  1-memory: {address: %q, tls: none}\n  2-courier: {address: %q, tls: none}", memory.Addr, old)
	password := filepath.Join(dir, "password.txt")
	writeFile(t, password, "firetruck\nand what follows\n")
	code, out := runDoctorOn(t, dir, backends, "-user", "riley", "-password-file", password)
	if code != exitOK {
		t.Errorf("exit code %d", code)
	}
	golden(t, "doctor-login", out)
	writeFile(t, password, "lighthouse\n")
	if code, out = runDoctorOn(t, dir, backends, "-user", "riley", "-password-file", password, "-backend", "1-memory"); code != exitFailed || strings.Contains(out, "lighthouse") {
		t.Errorf("%d %s", code, out)
	}
	golden(t, "doctor-wrong-password", out)
}

func TestDoctorsPassword(t *testing.T) {
	for stdin, want := range map[string]string{"firetruck\nx": "firetruck", "fire truck\r\n": "fire truck", "firetruck": "firetruck", "": "", "\nx": ""} {
		if got, err := readPassword("-", strings.NewReader(stdin)); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v", stdin, got, err)
		}
	}
	for _, args := range [][]string{{"-user", "riley"}, {"-password-file", "x"}} {
		if code, _, errs := callRun(t, append([]string{"doctor"}, args...)...); code != exitUsage || !strings.Contains(errs, "belong together") {
			t.Errorf("%v: %d %s", args, code, errs)
		}
	}
}

func TestDoctorOnSickBackends(t *testing.T) {
	dir, server := doctorFolder(t)
	implicit := imaptest.MemoryServer(t, imaptest.MemoryOptions{TLS: server, Implicit: true})
	plain := imaptest.MemoryServer(t, imaptest.MemoryOptions{})
	code, out := runDoctorOn(t, dir, fmt.Sprintf(`
  1-sound: {address: %q, tls: none}
  2-closed: {address: %q, tls: none}
  3-unknown-authority: {address: %q, tls_verify: {server_name: localhost}}
  4-wrong-name: {address: %q, tls_verify: {ca_file: c.crt, server_name: other.example.org}}
  5-no-tls: {address: %q, tls_verify: {ca_file: c.crt}}
  6-no-password: {address: %q, tls: none}
  7-busy: {address: %q, tls: none}
  8-no-imap: {address: %q, tls: none}
  9-preauth: {address: %q, tls: none}`,
		plain.Addr, closedPort(t), implicit.Addr, implicit.Addr, plain.Addr,
		oddServer(t, "* OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] hello\r\n"),
		oddServer(t, "* BYE [UNAVAILABLE] come back\x1b later\r\n"),
		oddServer(t, "220 mail.example.org ESMTP\r\n"),
		oddServer(t, "* PREAUTH hello, whoever you are\r\n")))
	if code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	golden(t, "doctor-sick", out)
}

// A backend that is silent costs its time once, however many there are.
func TestDoctorIsBoundedByTheTimeout(t *testing.T) {
	dir, _ := doctorFolder(t)
	var backends strings.Builder
	for i := range 2 * examinedAtOnce {
		fmt.Fprintf(&backends, "  silent%02d: {address: %q, tls: none}\n", i, oddServer(t, ""))
	}
	code, out := runDoctorOn(t, dir, backends.String())
	if n := strings.Count(out, "write tls: implicit"); code != exitFailed || n != 2*examinedAtOnce {
		t.Errorf("%d, advice %d times\n%s", code, n, out)
	}
}

func TestDoctorsVerdict(t *testing.T) {
	for want, n := range map[string][2]int{
		"the backend can be used":        {0, 1},
		"the backend cannot be used":     {1, 1},
		"all 2 backends can be used":     {0, 2},
		"1 of 2 backends cannot be used": {1, 2},
	} {
		if got := verdict(n[0], n[1]); got != want {
			t.Errorf("%v: got %q, want %q", n, got, want)
		}
	}
}
