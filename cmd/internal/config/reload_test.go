package config

import (
	"context"
	"crypto/tls"
	"errors"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imapgate/imapgate/proxy"
	"github.com/imapgate/imapgate/proxy/backend"
	"github.com/imapgate/imapgate/routing"
	"github.com/imapgate/imapgate/tlsutil"
)

const moving = `
listeners: [{name: imaps, address: ":993", tls: implicit}]
tls: {certificates: [{cert: good.crt, key: good.key}]}
backends:
  old: {address: "imap1.example.org:993"}
  new: {address: "imap2.example.org:993", client_cert: {cert: mine.crt, key: mine.key}}
routes:
  - {match: {users_file: moved.txt}, backend: new}
  - {backend: old}
default_domain: example.org
`

// loadMoving loads moving, with riley moved.
func loadMoving(t *testing.T) (c *Config, dir string) {
	t.Helper()
	dir = t.TempDir()
	writePair(t, dir, "good")
	writePair(t, dir, "mine")
	write(t, filepath.Join(dir, "moved.txt"), []byte("riley\n"))
	write(t, filepath.Join(dir, "config.yaml"), []byte(moving))
	c, err := Load(filepath.Join(dir, "config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return c, dir
}

func goesTo(c *Config, user string) string {
	return c.Options().Table.Explain(routing.Request{User: user, Listener: "imaps"}).Backend
}

func TestReload(t *testing.T) {
	c, dir := loadMoving(t)
	write(t, filepath.Join(dir, "moved.txt"), []byte("riley\nmorgan@example.org\n"))
	write(t, filepath.Join(dir, "config.yaml"), []byte(moving+"limits: {connections: 17}\n"))
	next, err := c.Reload()
	if err != nil {
		t.Fatal(err)
	}
	if goesTo(c, "morgan") != "old" || goesTo(next, "morgan") != "new" || goesTo(next, "riley") != "new" {
		t.Error("the old configuration changed, or the new one did not")
	}
	if next.Options().Limits.Connections != 17 || len(next.Rereads) != 1 || next.Rereads[0].Err != nil {
		t.Errorf("limits %+v, rereads %+v", next.Options().Limits, next.Rereads)
	}
	if next.Options().Table.State() != c.Options().Table.State() {
		t.Error("the new table does not know the sessions of the old one")
	}
}

func TestReloadThatFails(t *testing.T) {
	c, dir := loadMoving(t)
	write(t, filepath.Join(dir, "config.yaml"), []byte(moving+"limits: {connections: 0}\n"))
	_, err := c.Reload()
	if faults := (Faults)(nil); !errors.As(err, &faults) || len(faults) != 1 || faults[0].Key != "limits.connections" {
		t.Errorf("got %v", err)
	}
}

// A table that is kept does not fail a reload, but one that is new and cannot be read does.
func TestReloadKeepsUsers(t *testing.T) {
	c, dir := loadMoving(t)
	write(t, filepath.Join(dir, "moved.txt"), nil)
	next, err := c.Reload()
	if err != nil {
		t.Fatal(err)
	}
	if goesTo(next, "riley") != "new" || len(next.Rereads) != 1 || next.Rereads[0].Err == nil || next.Rereads[0].Users.Name != "moved.txt" {
		t.Errorf("riley goes to %s, rereads %+v", goesTo(next, "riley"), next.Rereads)
	}
	write(t, filepath.Join(dir, "config.yaml"), []byte(strings.Replace(moving, "moved.txt", "others.txt", 1)))
	if _, err := next.Reload(); err == nil || !strings.Contains(err.Error(), "others.txt") {
		t.Errorf("got %v", err)
	}
}

func TestTakeOver(t *testing.T) {
	c, dir := loadMoving(t)
	door := c.Listeners[0].TLSConfig
	writePair(t, dir, "good")
	next, err := c.Reload()
	if err != nil {
		t.Fatal(err)
	}
	next.TakeOver(c)
	if next.Listeners[0].TLSConfig != door {
		t.Error("the listener's TLS configuration is another one, and with it the keys of its session tickets")
	}
	want := next.Certificates.Pairs()[0].Certificate()
	inner, err := door.GetConfigForClient(&tls.ClientHelloInfo{})
	if err != nil || !inner.Certificates[0].Leaf.Equal(want.Leaf) {
		t.Errorf("the open listener presents another certificate than the new configuration's: %v", err)
	}
	if n := len(next.Certificates.Pairs()); n != 2 {
		t.Errorf("%d pairs, want the listener's and the backend's", n)
	}
}

func TestWatch(t *testing.T) {
	c, dir := loadMoving(t)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		var got []string
		go func() {
			defer close(done)
			c.Watch(ctx, func(r Reread) {
				name := "moved.txt"
				if r.Certificate != nil {
					name = filepath.Base(r.Certificate.CertFile)
				}
				if r.Err != nil {
					name += " kept"
				}
				got = append(got, name)
			})
		}()
		expect := func(want ...string) {
			t.Helper()
			<-time.After(tlsutil.PollInterval)
			synctest.Wait()
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
			got = nil
		}
		expect()
		write(t, filepath.Join(dir, "moved.txt"), []byte("riley\nmorgan\n"))
		write(t, filepath.Join(dir, "good.crt"), []byte("broken"))
		writePair(t, dir, "mine")
		expect("good.crt kept", "mine.crt", "moved.txt")
		if goesTo(c, "morgan") != "new" {
			t.Error("the new users are not in use")
		}
		write(t, filepath.Join(dir, "moved.txt"), []byte("#\n"))
		expect("moved.txt kept")
		expect()
		cancel()
		<-done
	})
}

func TestBackendKeys(t *testing.T) {
	c := mustLoad(t, `
listeners: [{name: imaps, address: ":993", tls: implicit}]
tls: {certificates: [{cert: good.crt, key: good.key}]}
backends:
  plain: {address: "imap1.example.org:993"}
  all:
    address: "imap2.example.org:143"
    tls: starttls
    client_cert: {cert: good.crt, key: good.key}
    min_version: "1.0"
    old_ciphers: [TLS_RSA_WITH_AES_128_CBC_SHA]
    source_addresses: [192.0.2.1, "2001:db8::1"]
    forward_id: true
    proxy_protocol: v2
routes: [{match: {user: a}, backend: plain}, {backend: all}]
`)
	plain, all := c.Options().Backends["plain"], c.Options().Backends["all"]
	if plain.TLSConfig.MinVersion != tls.VersionTLS12 || plain.TLSConfig.CipherSuites != nil || plain.TLSConfig.GetClientCertificate != nil {
		t.Errorf("plain %+v", plain.TLSConfig)
	}
	if plain.ForwardID != backend.ForwardOff || plain.ProxyProtocol != backend.ProxyOff || plain.SourceAddresses != nil {
		t.Errorf("plain %v %v %v", plain.ForwardID, plain.ProxyProtocol, plain.SourceAddresses)
	}
	if all.TLSConfig.MinVersion != tls.VersionTLS10 || all.TLSConfig.GetClientCertificate == nil ||
		!slices.Contains(all.TLSConfig.CipherSuites, tls.TLS_RSA_WITH_AES_128_CBC_SHA) {
		t.Errorf("all %+v", all.TLSConfig)
	}
	sources := []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}
	if all.ForwardID != backend.ForwardDovecot || all.ProxyProtocol != backend.ProxyV2 || !slices.Equal(all.SourceAddresses, sources) {
		t.Errorf("all %v %v %v", all.ForwardID, all.ProxyProtocol, all.SourceAddresses)
	}
	if notes := strings.Join(c.Notes, "\n"); !strings.Contains(notes, "TLS 1.0 with the backend all") || !strings.Contains(notes, "tlssha1=1") ||
		!strings.Contains(notes, "TLS_RSA_WITH_AES_128_CBC_SHA with the backend all") || len(c.Notes) != 2 {
		t.Errorf("notes %q", c.Notes)
	}
}

func TestOddPoolsAreNoted(t *testing.T) {
	c := mustLoad(t, `
listeners: [{name: a, address: ":993", tls: implicit, proxy_protocol: {trusted: [0.0.0.0/0]}}]
tls: {certificates: [{cert: good.crt, key: good.key}]}
backends: {one: {address: "a:993"}, two: {address: "b:993", weight: 10}}
pools: {homes: {backends: [one, two]}, unused: {backends: [one]}}
routes: [{pool: homes}]
`)
	for i, want := range []string{"believes everybody's PROXY header", "each user has one home", "no route leads to the pool unused"} {
		if len(c.Notes) != 3 || !strings.Contains(c.Notes[i], want) {
			t.Fatalf("notes %q, want %q", c.Notes, want)
		}
	}
	if c.Listeners[0].ProxyProtocol == nil || c.Listeners[0].TLS != proxy.ImplicitTLS {
		t.Errorf("%+v", c.Listeners[0])
	}
}

// A file is read once, however many ways there are to write its path.
func TestOneUsersFileWithSeveralPaths(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "moved.txt"), []byte("riley\n"))
	text := `
listeners: [{name: imap, address: ":143", tls: none, allow_plaintext_login: true}]
backends: {old: {address: "imap1.example.org:993"}, new: {address: "imap2.example.org:993"}}
routes:
  - {match: {users_file: moved.txt, listener: imap}, backend: new}
  - {match: {users_file: ./moved.txt}, backend: new}
  - {match: {users_file: "` + dir + `//moved.txt"}, backend: new}
`
	write(t, filepath.Join(dir, "config.yaml"), []byte(text))
	c, err := Load(filepath.Join(dir, "config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Users) != 1 {
		t.Errorf("%d files are read", len(c.Users))
	}
	if n := strings.Count(c.Summary(), "one of 1 in "); n != 3 {
		t.Errorf("%d routes of 3 know the file:\n%s", n, c.Summary())
	}
}
