//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"github.com/imapgate/imapgate/proxy/imaptest"
	"github.com/imapgate/imapgate/tlsutil"
)

// Each configuration of the README's uses runs with servers of the test in the place of its names, and
// users land where the README says. Linux only: elsewhere a machine has no 127.0.0.2.

// readmeBlocks returns the YAML blocks below a heading of the README.
func readmeBlocks(t *testing.T, heading string) (blocks []string) {
	t.Helper()
	data, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(data), "\n### "+heading+"\n")
	if !found {
		t.Fatalf("README.md has no heading %q", heading)
	}
	section, _, _ = strings.Cut(section, "\n##")
	for {
		_, rest, more := strings.Cut(section, "\n```yaml\n")
		if !more {
			return blocks
		}
		block, after, _ := strings.Cut(rest, "\n```\n")
		blocks, section = append(blocks, block+"\n"), after
	}
}

// put replaces each of the old texts, which must be there, by the new one that follows it.
func put(t *testing.T, config string, oldNew ...string) string {
	t.Helper()
	for i := 0; i < len(oldNew); i += 2 {
		if !strings.Contains(config, oldNew[i]) {
			t.Fatalf("there is no %q in\n%s", oldNew[i], config)
		}
	}
	return strings.NewReplacer(oldNew...).Replace(config)
}

// A use is serve with a configuration of the README.
type use struct{ *reloadable }

// writeUse puts ports and files of the test into a configuration.
func (u use) writeUse(t *testing.T, config string) {
	t.Helper()
	config = put(t, config, `":143"`, `"127.0.0.1:0"`, `":993"`, `"127.0.0.1:0"`, "mail.crt", "c.crt", "mail.key", "c.key")
	writeFile(t, u.file("config.yaml"), config+"metrics: {address: \"127.0.0.1:0\"}\nlog: {format: json, level: debug}\n")
}

func newUse(t *testing.T) use {
	u := use{&reloadable{log: newGateLog(), dir: t.TempDir()}}
	u.newCertificate(t, "localhost", "127.0.0.1")
	return u
}

func (u use) start(t *testing.T, config string) {
	t.Helper()
	u.writeUse(t, config)
	ctx, stop := context.WithCancel(context.Background())
	code := make(chan int, 1)
	u.served = &served{addresses: map[string]string{}, stop: stop, code: code}
	go func() { code <- run(ctx, []string{"serve", "-config", u.file("config.yaml")}, io.Discard, u.log) }()
	(&peerGate{served: u.served, log: u.log}).ready(t)
	t.Cleanup(func() {
		if code := u.end(t); code != exitOK {
			t.Errorf("serve ended with %d\n%s", code, u.log)
		}
	})
}

// again lets serve take over what was written.
func (u use) again(t *testing.T) {
	t.Helper()
	if outcome := u.reload(t); outcome != "reloaded" {
		t.Fatalf("%s\n%s", outcome, u.log)
	}
}

const usePassword = "firetruck"

// server starts a backend that has the certificate of the test, and returns what stands for its address
// in a configuration. Its INBOX tells the servers apart by the number of messages.
func (u use) server(t *testing.T, messages int, users ...string) string {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(u.file("c.crt"), u.file("c.key"))
	if err != nil {
		t.Fatal(err)
	}
	server := memoryServer(t, &tls.Config{Certificates: []tls.Certificate{pair}}, messages, users...)
	return fmt.Sprintf("%q, tls_verify: {ca_file: c.crt}", server)
}

// memoryServer serves with TLS from the first octet; without a configuration in plain.
func memoryServer(t *testing.T, config *tls.Config, messages int, users ...string) string {
	t.Helper()
	o := imaptest.MemoryOptions{Users: map[string]string{}, TLS: config, Implicit: config != nil}
	for _, name := range users {
		o.Users[name] = usePassword
	}
	m := imaptest.MemoryServer(t, o)
	for _, name := range users {
		for range messages {
			if _, err := m.Users[name].Append("INBOX", literal{bytes.NewReader([]byte("Subject: hello\r\n\r\nhello\r\n"))}, &imap.AppendOptions{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	return m.Addr
}

// lands logs in on both listeners and returns the number of messages that both show.
func (u use) lands(t *testing.T, user string) int {
	t.Helper()
	counts := map[uint32]bool{}
	var last uint32
	for _, e := range []endpoint{
		{u.addresses["imap"], legStartTLS, u.file("c.crt")},
		{u.addresses["imaps"], legImplicit, u.file("c.crt")},
	} {
		c := e.open(t, imapclient.Options{})
		if err := c.Login(user, usePassword).Wait(); err != nil {
			t.Fatalf("%s on %s: %v\n%s", user, e.tls, err, u.log)
		}
		last = messagesOf(t, c)
		counts[last] = true
		c.Close()
	}
	if len(counts) != 1 {
		t.Errorf("%s lands on different servers", user)
	}
	return int(last)
}

func (u use) expect(t *testing.T, want map[string]int) {
	t.Helper()
	for user, server := range want {
		if got := u.lands(t, user); got != server {
			t.Errorf("%s lands on server %d, want %d", user, got, server)
		}
	}
}

func TestReadmeServersWithTheSameMail(t *testing.T) {
	block := readmeBlocks(t, "Several servers behind one name")[0]
	users := make([]string, 12)
	for i := range users {
		users[i] = fmt.Sprintf("user%d@example.org", i)
	}
	u := newUse(t)
	first := u.server(t, 1, users...)
	u.start(t, put(t, block, `"imap1.example.org:993"`, first, `"imap2.example.org:993"`, u.server(t, 2, users...)))
	homes, count := map[string]int{}, map[int]int{}
	for _, name := range users {
		homes[name] = u.lands(t, name)
		count[homes[name]]++
	}
	if count[1] == 0 || count[2] == 0 {
		t.Errorf("all users are on one server: %v", count)
	}
	u.expect(t, homes)
	u.writeUse(t, put(t, block, `"imap1.example.org:993"`, first, `"imap2.example.org:993"`, fmt.Sprintf("%q", closedPort(t))))
	u.again(t)
	for _, name := range users {
		homes[name] = 1
	}
	u.expect(t, homes)
}

func TestReadmeServersWithMailOfTheirOwn(t *testing.T) {
	users := []string{"riley", "riley@example.org", "morgan", "morgan@example.org", "sam@sales.example.org"}
	block := readmeBlocks(t, "Several servers behind one name")[1]
	u := newUse(t)
	writeFile(t, u.file("on-imap3.txt"), "morgan@example.org\n")
	u.start(t, put(t, block, `"imap1.example.org:993"`, u.server(t, 1, users...),
		`"imap2.example.org:993"`, u.server(t, 2, users...), `"imap3.example.org:993"`, u.server(t, 3, users...)))
	u.expect(t, map[string]int{
		"riley": 1, "riley@example.org": 1, "morgan": 3, "morgan@example.org": 3, "sam@sales.example.org": 2,
	})
	closed := fmt.Sprintf("%q", closedPort(t))
	u.writeUse(t, put(t, block, `"imap1.example.org:993"`, u.server(t, 1, users...),
		`"imap2.example.org:993"`, closed, `"imap3.example.org:993"`, closed))
	u.again(t)
	u.expect(t, map[string]int{"riley": 1})
	for _, user := range []string{"morgan", "sam@sales.example.org"} {
		c := endpoint{u.addresses["imaps"], legImplicit, u.file("c.crt")}.open(t, imapclient.Options{})
		if err := c.Login(user, usePassword).Wait(); err == nil || !strings.Contains(err.Error(), "UNAVAILABLE") {
			t.Errorf("%s, whose server is down: %v", user, err)
		}
	}
}

func TestReadmeCutover(t *testing.T) {
	block := readmeBlocks(t, "Cutover: from an old server to a new one")[0]
	u := newUse(t)
	const oldServer, newServer = 1, 2
	users := []string{"test", "riley", "morgan", "fresh"}
	writeFile(t, u.file("moved.txt"), "test\n")
	u.start(t, put(t, block, `"old.example.org:993"`, u.server(t, oldServer, users...),
		`"new.example.org:993"`, u.server(t, newServer, users...)))
	u.expect(t, map[string]int{"test": newServer, "riley": oldServer, "morgan": oldServer})

	open := u.login(t) // as riley
	writeFile(t, u.file("moved.txt"), "test\nriley\nfresh\n")
	u.again(t)
	u.expect(t, map[string]int{"riley": newServer, "morgan": oldServer, "fresh": newServer})
	if got := messagesOf(t, open); got != oldServer {
		t.Errorf("the session that was open is on server %d", got)
	}
	writeFile(t, u.file("moved.txt"), "test\nfresh\n")
	u.again(t)
	u.expect(t, map[string]int{"riley": oldServer, "fresh": newServer})

	writeFile(t, u.file("moved.txt"), "")
	u.again(t)
	u.expect(t, map[string]int{"fresh": newServer}) // an empty file is refused
	u.writeUse(t, put(t, block, `"old.example.org:993"`, u.server(t, oldServer, users...),
		`"new.example.org:993"`, u.server(t, newServer, users...), "routes:", "users_file_shrink: allow\nroutes:"))
	u.again(t)
	u.expect(t, map[string]int{"fresh": oldServer}) // unless that is allowed
	u.turnRound(t, block)
}

// turnRound lets the file hold those who stay.
func (u use) turnRound(t *testing.T, block string) {
	t.Helper()
	const oldServer, newServer = 3, 4
	users := []string{"riley", "morgan", "fresh"}
	writeFile(t, u.file("stay.txt"), "morgan\n")
	u.writeUse(t, put(t, block, `"old.example.org:993"`, u.server(t, oldServer, users...),
		`"new.example.org:993"`, u.server(t, newServer, users...),
		"users_file: moved.txt}, backend: new", "users_file: stay.txt}, backend: old", "{backend: old}", "{backend: new}"))
	u.again(t)
	u.expect(t, map[string]int{"morgan": oldServer, "riley": newServer, "fresh": newServer})
}

func TestReadmeTLSInFrontOfAnOldServer(t *testing.T) {
	blocks := readmeBlocks(t, "TLS in front of an old server")
	u := newUse(t)
	sources := []string{"192.0.2.1", "127.0.0.1", "192.0.2.2", "127.0.0.2"}
	u.start(t, put(t, blocks[0], append([]string{"192.0.2.10:143", memoryServer(t, nil, 1, "riley")}, sources...)...))
	u.expect(t, map[string]int{"riley": 1})
	u.expectNothingInPlain(t, "1")

	before, rest, _ := strings.Cut(blocks[0], "  legacy:\n")
	_, after, _ := strings.Cut(rest, "routes:\n")
	config, pin := oldTLS(t)
	u.writeUse(t, put(t, before+blocks[1]+"routes:\n"+after, append([]string{"192.0.2.10:993", memoryServer(t, config, 2, "riley"),
		"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", pin}, sources...)...))
	u.again(t)
	u.expect(t, map[string]int{"riley": 2})
	u.expectNothingInPlain(t, "2")
}

// expectNothingInPlain tries to log in without TLS, which is counted.
func (u use) expectNothingInPlain(t *testing.T, tries string) {
	t.Helper()
	c, err := imapclient.DialInsecure(u.addresses["imap"], nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if caps := c.Caps(); !caps.Has("LOGINDISABLED") || !caps.Has("STARTTLS") {
		t.Errorf("before TLS: %v", caps)
	}
	if err := c.Login("riley", usePassword).Wait(); err == nil || !strings.Contains(err.Error(), "PRIVACYREQUIRED") {
		t.Errorf("a password in plain: %v", err)
	}
	if got := u.metric(t, `refusals_total{reason="privacy_required"}`); got != tries {
		t.Errorf("%q passwords in plain are counted, want %s", got, tries)
	}
}

// oldTLS is a server of TLS 1.0 that has RSA key exchange only, and the pin of its key.
func oldTLS(t *testing.T) (config *tls.Config, pin string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "legacy"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		KeyUsage:     x509.KeyUsageKeyEncipherment | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}},
		MinVersion:   tls.VersionTLS10,
		MaxVersion:   tls.VersionTLS10,
		CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA},
	}, tlsutil.Pin(leaf)
}
