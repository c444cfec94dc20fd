package tlsutil

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A pair is a self-signed certificate in all the forms that the tests need.
type pair struct {
	cert     tls.Certificate
	roots    *x509.CertPool
	certFile string
	keyFile  string
}

func newPair(t *testing.T, names ...string) pair {
	t.Helper()
	certPEM, keyPEM, err := SelfSigned(names...)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	p := pair{certFile: filepath.Join(dir, "cert.pem"), keyFile: filepath.Join(dir, "key.pem")}
	writeFile(t, p.certFile, certPEM)
	writeFile(t, p.keyFile, keyPEM)
	if p.cert, err = LoadCertificate(p.certFile, p.keyFile); err != nil {
		t.Fatal(err)
	}
	if p.roots, err = LoadRoots(p.certFile); err != nil {
		t.Fatal(err)
	}
	return p
}

func writeFile(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func serverConfig(t *testing.T, o Server) *tls.Config {
	t.Helper()
	c, err := o.Config()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func clientConfig(t *testing.T, o Client) *tls.Config {
	t.Helper()
	c, err := o.Config()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// shake runs one handshake over loopback and one octet towards the client (without it, the session
// ticket of TLS 1.3 would not be read), and returns what the client saw.
func shake(t *testing.T, server, client *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		nc.SetDeadline(time.Now().Add(10 * time.Second))
		tls.Server(nc, server).Write([]byte("x"))
	}()
	defer func() { <-done }()
	nc, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(10 * time.Second))
	c := tls.Client(nc, client)
	if err := c.Handshake(); err != nil {
		return tls.ConnectionState{}, err
	}
	_, err = c.Read(make([]byte, 1))
	return c.ConnectionState(), err
}

func TestVerifiedByRootsAndName(t *testing.T) {
	p := newPair(t, "mail.example.org", "127.0.0.1")
	server := serverConfig(t, Server{Certificates: []tls.Certificate{p.cert}})
	for _, name := range []string{"mail.example.org", "127.0.0.1"} {
		if _, err := shake(t, server, clientConfig(t, Client{ServerName: name, Roots: p.roots})); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWrongNameRefused(t *testing.T) {
	p := newPair(t, "mail.example.org")
	server := serverConfig(t, Server{Certificates: []tls.Certificate{p.cert}})
	_, err := shake(t, server, clientConfig(t, Client{ServerName: "other.example.org", Roots: p.roots}))
	if wrong := (x509.HostnameError{}); !errors.As(err, &wrong) {
		t.Fatalf("got %v, want a hostname error", err)
	}
}

func TestUnknownAuthorityRefused(t *testing.T) {
	p, other := newPair(t, "mail.example.org"), newPair(t, "mail.example.org")
	server := serverConfig(t, Server{Certificates: []tls.Certificate{p.cert}})
	for what, roots := range map[string]*x509.CertPool{"system roots": nil, "another root": other.roots} {
		_, err := shake(t, server, clientConfig(t, Client{ServerName: "mail.example.org", Roots: roots}))
		if unknown := (x509.UnknownAuthorityError{}); !errors.As(err, &unknown) {
			t.Errorf("%s: got %v, want an unknown authority", what, err)
		}
	}
}

func TestPin(t *testing.T) {
	p, other := newPair(t, "mail.example.org"), newPair(t, "mail.example.org")
	server := serverConfig(t, Server{Certificates: []tls.Certificate{p.cert}})
	if _, err := shake(t, server, clientConfig(t, Client{ServerName: "10.0.0.1", Pin: Pin(p.cert.Leaf)})); err != nil {
		t.Errorf("the pinned key was refused: %v", err)
	}
	_, err := shake(t, server, clientConfig(t, Client{ServerName: "mail.example.org", Pin: Pin(other.cert.Leaf)}))
	if !errors.Is(err, ErrPinMismatch) || !strings.Contains(err.Error(), Pin(p.cert.Leaf)) {
		t.Errorf("another key: got %v, want ErrPinMismatch that tells the key seen", err)
	}
}

// A resumed session shows no new certificate, and the pin must count there too.
func TestPinIsCheckedOnResumption(t *testing.T) {
	p, other := newPair(t, "a"), newPair(t, "a")
	server := serverConfig(t, Server{Certificates: []tls.Certificate{p.cert}})
	cache := tls.NewLRUClientSessionCache(1)
	good := clientConfig(t, Client{ServerName: "a", Pin: Pin(p.cert.Leaf)})
	good.ClientSessionCache = cache
	for range 2 {
		state, err := shake(t, server, good)
		if err != nil {
			t.Fatal(err)
		}
		if state.DidResume {
			bad := clientConfig(t, Client{ServerName: "a", Pin: Pin(other.cert.Leaf)})
			bad.ClientSessionCache = cache
			if _, err := shake(t, server, bad); !errors.Is(err, ErrPinMismatch) {
				t.Fatalf("got %v, want ErrPinMismatch", err)
			}
			return
		}
	}
	t.Fatal("the second connection did not resume: session tickets are off")
}

func TestBadPins(t *testing.T) {
	for _, pin := range []string{"x", "AAAA", strings.Repeat("A", 44), "sha256//" + strings.Repeat("A", 43) + "="} {
		if _, err := (Client{ServerName: "a", Pin: pin}).Config(); !errors.Is(err, ErrPinFormat) {
			t.Errorf("%q: got %v, want ErrPinFormat", pin, err)
		}
	}
}

func TestInsecureSkipAcceptsAnything(t *testing.T) {
	p := newPair(t, "mail.example.org")
	server := serverConfig(t, Server{Certificates: []tls.Certificate{p.cert}})
	if _, err := shake(t, server, clientConfig(t, Client{ServerName: "x", Verification: InsecureSkip})); err != nil {
		t.Fatal(err)
	}
}

func TestCertificateChosenByName(t *testing.T) {
	first, second := newPair(t, "mail.example.org"), newPair(t, "*.example.net")
	server := serverConfig(t, Server{Certificates: []tls.Certificate{first.cert, second.cert}})
	for name, want := range map[string]pair{
		"mail.example.org": first, "imap.example.net": second, "unknown.example": first, "127.0.0.1": first,
	} {
		state, err := shake(t, server, clientConfig(t, Client{ServerName: name, Verification: InsecureSkip}))
		if err != nil {
			t.Fatal(err)
		}
		if !state.PeerCertificates[0].Equal(want.cert.Leaf) {
			t.Errorf("%s got the certificate of %v", name, state.PeerCertificates[0].DNSNames)
		}
	}
}

func TestALPN(t *testing.T) {
	p := newPair(t, "a")
	server := serverConfig(t, Server{Certificates: []tls.Certificate{p.cert}})
	for _, test := range []struct {
		offer  []string
		agreed string
		ok     bool
	}{{nil, "", true}, {[]string{"imap"}, "imap", true}, {[]string{"h2", "imap"}, "imap", true}, {[]string{"http/1.1"}, "", false}} {
		client := clientConfig(t, Client{ServerName: "a", Roots: p.roots})
		client.NextProtos = test.offer
		state, err := shake(t, server, client)
		if (err == nil) != test.ok || state.NegotiatedProtocol != test.agreed {
			t.Errorf("offer %v: agreed on %q, error %v", test.offer, state.NegotiatedProtocol, err)
		}
	}
}

func TestVersions(t *testing.T) {
	p := newPair(t, "a")
	for _, test := range []struct {
		least, client uint16
		ok            bool
	}{
		{0, tls.VersionTLS11, false},
		{tls.VersionTLS10, tls.VersionTLS11, false}, // never below 1.2
		{0, tls.VersionTLS12, true},
		{tls.VersionTLS13, tls.VersionTLS12, false},
		{tls.VersionTLS13, tls.VersionTLS13, true},
	} {
		server := serverConfig(t, Server{Certificates: []tls.Certificate{p.cert}, MinVersion: test.least})
		client := clientConfig(t, Client{ServerName: "a", Roots: p.roots})
		client.MinVersion, client.MaxVersion = tls.VersionTLS10, test.client
		if _, err := shake(t, server, client); (err == nil) != test.ok {
			t.Errorf("at least %x, client %x: %v", test.least, test.client, err)
		}
	}
}

func TestIncompleteOptions(t *testing.T) {
	if _, err := (Server{}).Config(); !errors.Is(err, ErrNoCertificate) {
		t.Errorf("got %v", err)
	}
	if _, err := (Client{}).Config(); !errors.Is(err, ErrNoServerName) {
		t.Errorf("got %v", err)
	}
	if _, _, err := SelfSigned(); err == nil {
		t.Error("a certificate for no name")
	}
}

func TestLoadFaults(t *testing.T) {
	p, other := newPair(t, "a"), newPair(t, "b")
	missing := filepath.Join(t.TempDir(), "missing.pem")
	for _, files := range [][2]string{{missing, p.keyFile}, {p.certFile, missing}, {p.certFile, other.keyFile}, {p.keyFile, p.keyFile}} {
		if _, err := LoadCertificate(files[0], files[1]); err == nil || !strings.Contains(err.Error(), ".pem") {
			t.Errorf("%v: got %v, want an error that names a file", files, err)
		}
	}
	if _, err := LoadRoots(p.keyFile); err == nil {
		t.Error("a key was taken for roots")
	}
	if _, err := LoadRoots(missing); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
