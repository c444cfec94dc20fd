package tlsutil

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"path/filepath"
	"slices"
	"testing"
)

// newRSAPair is newPair with an RSA key, which RSA key exchange needs.
func newRSAPair(t *testing.T, name string) pair {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template, err := selfSignedTemplate([]string{name})
	if err != nil {
		t.Fatal(err)
	}
	template.KeyUsage |= x509.KeyUsageKeyEncipherment
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	p := pair{certFile: filepath.Join(dir, "cert.pem"), keyFile: filepath.Join(dir, "key.pem")}
	writeFile(t, p.certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	writeFile(t, p.keyFile, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
	if p.cert, err = LoadCertificate(p.certFile, p.keyFile); err != nil {
		t.Fatal(err)
	}
	if p.roots, err = LoadRoots(p.certFile); err != nil {
		t.Fatal(err)
	}
	return p
}

// Old versions and ciphers work in this Go as the package's documentation says: without GODEBUG, and only
// where they are asked for.
func TestOldBackends(t *testing.T) {
	p := newRSAPair(t, "a")
	rsaOnly := []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}
	for _, test := range []struct {
		name    string
		version uint16 // that the backend has
		ciphers []uint16
		least   uint16
		old     []string
		ok      bool
	}{
		{"1.0 unasked", tls.VersionTLS10, nil, 0, nil, false},
		{"1.0 at 1.1", tls.VersionTLS10, nil, tls.VersionTLS11, nil, false},
		{"1.0", tls.VersionTLS10, nil, tls.VersionTLS10, nil, true},
		{"1.1", tls.VersionTLS11, nil, tls.VersionTLS11, nil, true},
		{"1.2 with 1.3 asked", tls.VersionTLS12, nil, tls.VersionTLS13, nil, false},
		{"1.3 with 1.0 allowed", tls.VersionTLS13, nil, tls.VersionTLS10, nil, true},
		{"RSA unasked", tls.VersionTLS12, rsaOnly, 0, nil, false},
		{"RSA", tls.VersionTLS12, rsaOnly, 0, []string{"TLS_RSA_WITH_AES_128_CBC_SHA"}, true},
		{"RSA in 1.0", tls.VersionTLS10, rsaOnly, tls.VersionTLS10, []string{"TLS_RSA_WITH_AES_128_CBC_SHA"}, true},
		{"3DES", tls.VersionTLS10, []uint16{tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA}, tls.VersionTLS10, []string{"TLS_RSA_WITH_3DES_EDE_CBC_SHA"}, true},
		{"other RSA", tls.VersionTLS12, rsaOnly, 0, []string{"TLS_RSA_WITH_AES_256_CBC_SHA"}, false},
		{"modern beside old", tls.VersionTLS12, []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}, 0, []string{"TLS_RSA_WITH_AES_256_CBC_SHA"}, true},
	} {
		client := Client{ServerName: "a", Roots: p.roots, MinVersion: test.least}
		for _, name := range test.old {
			id, err := OldCipher(name)
			if err != nil {
				t.Fatal(err)
			}
			client.OldCiphers = append(client.OldCiphers, id)
		}
		server := &tls.Config{
			Certificates: []tls.Certificate{p.cert}, MinVersion: tls.VersionTLS10,
			MaxVersion: test.version, CipherSuites: test.ciphers,
		}
		state, err := shake(t, server, clientConfig(t, client))
		if (err == nil) != test.ok || err == nil && state.Version != test.version {
			t.Errorf("%s: version %x, error %v", test.name, state.Version, err)
		}
	}
}

func TestOldCipherNames(t *testing.T) {
	for _, name := range OldCiphers() {
		if _, err := OldCipher(name); err != nil {
			t.Error(err)
		}
	}
	if !slices.Contains(OldCiphers(), "TLS_RSA_WITH_AES_256_CBC_SHA") {
		t.Error("RSA key exchange is not among the old ciphers")
	}
	if _, err := OldCipher("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"); !errors.Is(err, ErrModernCipher) {
		t.Errorf("got %v", err)
	}
	if _, err := OldCipher("AES128-SHA"); !errors.Is(err, ErrUnknownCipher) {
		t.Errorf("got %v", err)
	}
}

func TestClientCertificate(t *testing.T) {
	backend, mine, next := newPair(t, "a"), newPair(t, "proxy"), newPair(t, "proxy")
	server := serverConfig(t, Server{Certificates: []tls.Certificate{backend.cert}})
	server.ClientAuth = tls.RequireAnyClientCert
	var shown *x509.Certificate
	server.VerifyConnection = func(state tls.ConnectionState) error {
		shown = state.PeerCertificates[0]
		return nil
	}
	if _, err := shake(t, server, clientConfig(t, Client{ServerName: "a", Roots: backend.roots})); err == nil {
		t.Error("the backend accepted nothing")
	}
	loaded := loadPair(t, mine)
	client := clientConfig(t, Client{ServerName: "a", Roots: backend.roots, Certificate: loaded})
	r := NewReloader(0, nil, []*Pair{loaded})
	for _, want := range []pair{mine, next} {
		mine.replace(t, want)
		r.Reload()
		if _, err := shake(t, server, client); err != nil {
			t.Fatal(err)
		}
		if !shown.Equal(want.cert.Leaf) {
			t.Error("the backend saw another certificate")
		}
	}
}
