package backend

import (
	"crypto/tls"
	"errors"
	"testing"

	"github.com/imapgate/imapgate/proxy/imaptest"
	"github.com/imapgate/imapgate/tlsutil"
)

// TestOldTLS: a configuration that nobody has weakened refuses TLS 1.1.
func TestOldTLS(t *testing.T) {
	cert, pool := imaptest.Certificate(t)
	cfg, err := tlsutil.Client{ServerName: "imap.example.org", Roots: pool}.Config()
	if err != nil {
		t.Fatal(err)
	}
	upTo := func(version uint16) imaptest.Step {
		return imaptest.StartTLS(&tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS10, MaxVersion: version})
	}
	greet := imaptest.Send("* OK [CAPABILITY IMAP4rev1] ready")
	refused := func(p *imaptest.Peer) error {
		if upTo(tls.VersionTLS11)(p) == nil {
			return errors.New("TLS 1.1 was accepted")
		}
		return nil
	}
	for version, script := range map[uint16]imaptest.Script{
		tls.VersionTLS11: {refused},
		tls.VersionTLS12: {upTo(tls.VersionTLS12), greet},
		tls.VersionTLS13: {upTo(tls.VersionTLS13), greet},
	} {
		c := scripted(t, script)
		c.TLS, c.TLSConfig = Implicit, cfg
		b, err := c.Open(t.Context(), Origin{})
		if err == nil {
			b.Net.Close()
		}
		var e *Error
		switch {
		case version > tls.VersionTLS11 && err != nil:
			t.Errorf("%s: %v", tls.VersionName(version), err)
		case version == tls.VersionTLS11 && (!errors.As(err, &e) || e.Phase != "tls"):
			t.Errorf("TLS 1.1: %v", err)
		}
	}
}
