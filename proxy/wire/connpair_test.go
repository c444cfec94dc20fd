package wire

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

func testConfig(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, InsecureSkipVerify: true}
}

// A countingConn counts writes to the raw connection.
type countingConn struct {
	*net.TCPConn
	writes atomic.Int64
}

func (c *countingConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.TCPConn.Write(p)
}

// rawPair returns both ends of a loopback connection; each deadline is far away.
func rawPair(t *testing.T) (here, there *countingConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	a, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{a, b} {
		c.SetDeadline(time.Now().Add(30 * time.Second))
		t.Cleanup(func() { c.Close() })
	}
	return &countingConn{TCPConn: a.(*net.TCPConn)}, &countingConn{TCPConn: b.(*net.TCPConn)}
}

// tlsPair returns a Conn on the server's side and a plain tls.Conn as its peer.
func tlsPair(t *testing.T, version uint16) (*Conn, *tls.Conn, *countingConn) {
	t.Helper()
	raw, peerRaw := rawPair(t)
	cfg := testConfig(t)
	cfg.MinVersion, cfg.MaxVersion = version, version
	c, p := NewConn(raw), tls.Client(peerRaw, cfg)
	shaken := make(chan error, 1)
	go func() { shaken <- p.Handshake() }()
	if err := c.Server(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if err := <-shaken; err != nil {
		t.Fatal(err)
	}
	return c, p, raw
}
