package backend

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"
	"testing"

	"github.com/imapgate/imapgate/proxy/imaptest"
	"github.com/imapgate/imapgate/tlsutil"
)

const offersTLS = "* OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] hi"

// secured gives cfg a mode and what it verifies by.
func secured(t *testing.T, cfg *Config, mode Mode, verify tlsutil.Client) *Config {
	t.Helper()
	tc, err := verify.Config()
	if err != nil {
		t.Fatal(err)
	}
	cfg.TLS, cfg.TLSConfig = mode, tc
	return cfg
}

func servesTLS(cert tls.Certificate) imaptest.Step {
	return imaptest.StartTLS(&tls.Config{Certificates: []tls.Certificate{cert}})
}

// refusesTLS is servesTLS for a client that does not go on.
func refusesTLS(cert tls.Certificate) imaptest.Step {
	return func(p *imaptest.Peer) error {
		err := servesTLS(cert)(p)
		if err == nil { // TLS 1.3: the server is done before the client has looked
			_, err = p.Reader.ReadByte()
		}
		if err == nil {
			return errors.New("the client goes on")
		}
		return nil
	}
}

// What was learned before TLS is forgotten: LOGINDISABLED and STARTTLS above all.
func TestTLS(t *testing.T) {
	cert, roots := imaptest.Certificate(t)
	byName := tlsutil.Client{ServerName: "imap.example.org", Roots: roots}
	for _, c := range []struct {
		name   string
		mode   Mode
		verify tlsutil.Client
		script imaptest.Script
	}{
		{"implicit", Implicit, byName, imaptest.Script{servesTLS(cert), send("* OK [CAPABILITY IMAP4rev1 ID] hi")}},
		{"implicit, by pin", Implicit, tlsutil.Client{ServerName: "other.example", Pin: tlsutil.Pin(cert.Leaf)},
			imaptest.Script{servesTLS(cert), send("* OK [CAPABILITY IMAP4rev1 ID] hi")}},
		{"STARTTLS", StartTLS, byName, imaptest.Script{send(offersTLS), expect("l1 STARTTLS"), send("l1 OK go"),
			servesTLS(cert), expect("l2 CAPABILITY"), send("* CAPABILITY IMAP4rev1 ID", "l2 OK done")}},
		{"STARTTLS that nobody announced", StartTLS, byName, imaptest.Script{send("* OK hi"), expect("l1 STARTTLS"), send("l1 OK go"),
			servesTLS(cert), expect("l2 CAPABILITY"), send("* CAPABILITY IMAP4rev1 ID", "l2 OK done")}},
		{"capabilities in the answer to STARTTLS", StartTLS, byName, imaptest.Script{send(offersTLS), expect("l1 STARTTLS"),
			send("* CAPABILITY IMAP4rev1 XEVIL", "l1 OK [CAPABILITY IMAP4rev1 XEVIL] go"),
			servesTLS(cert), expect("l2 CAPABILITY"), send("* CAPABILITY IMAP4rev1 ID", "l2 OK done")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := opened(t, secured(t, plays(t, c.script...), c.mode, c.verify))
			if _, secure := b.Net.TLS(); !secure || names(b.Caps) != "ID IMAP4rev1" {
				t.Errorf("TLS %v, capabilities %s", secure, names(b.Caps))
			}
		})
	}
}

// Nothing but STARTTLS is ever said where it does not lead to TLS.
func TestStartTLSFails(t *testing.T) {
	_, roots := imaptest.Certificate(t)
	for _, c := range []struct {
		name   string
		script imaptest.Script
		want   failing
	}{
		{"not offered", imaptest.Script{send("* OK [CAPABILITY IMAP4rev1] hi")}, failing{Misconfigured, "starttls", "does not offer STARTTLS"}},
		{"NO", imaptest.Script{send(offersTLS), expect("l1 STARTTLS"), send("l1 NO no certificate")}, failing{Misconfigured, "starttls", "answered NO no certificate"}},
		{"BAD", imaptest.Script{send(offersTLS), expect("l1 STARTTLS"), send("l1 BAD what?")}, failing{Misconfigured, "starttls", "answered BAD what?"}},
		{"BYE", imaptest.Script{send(offersTLS), expect("l1 STARTTLS"), send("* BYE no")}, failing{Unreachable, "starttls", "BYE no"}},
		{"injected response", imaptest.Script{send(offersTLS), expect("l1 STARTTLS"), send("l1 OK go", "* CAPABILITY IMAP4rev1 XEVIL"), imaptest.ExpectEOF()},
			failing{Unreachable, "starttls", "plain text behind its answer to STARTTLS"}},
		{"injected half line", imaptest.Script{send(offersTLS), expect("l1 STARTTLS"), imaptest.SendRaw("l1 OK go\r\n*"), imaptest.ExpectEOF()},
			failing{Unreachable, "starttls", "plain text"}},
		{"PREAUTH", imaptest.Script{send("* PREAUTH [CAPABILITY IMAP4rev1 STARTTLS] hi"), imaptest.ExpectEOF()}, failing{Misconfigured, "greeting", "answered PREAUTH"}},
		{"no TLS behind it", imaptest.Script{send(offersTLS), expect("l1 STARTTLS"), send("l1 OK go"), waitHello, send("* OK hi")}, failing{Unreachable, "tls", "first record does not look like a TLS handshake"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := secured(t, plays(t, c.script...), StartTLS, tlsutil.Client{ServerName: "imap.example.org", Roots: roots})
			_, err := cfg.Open(context.Background(), Origin{})
			c.want.check(t, err)
		})
	}
}

// waitHello reads the first record of a handshake.
func waitHello(p *imaptest.Peer) error {
	_, err := p.Reader.Peek(5)
	return err
}

func TestWrongCertificate(t *testing.T) {
	cert, roots := imaptest.Certificate(t)
	other, otherRoots := imaptest.Certificate(t)
	for _, c := range []struct {
		name   string
		verify tlsutil.Client
		is     func(error) bool
	}{
		{"name", tlsutil.Client{ServerName: "other.example", Roots: roots}, isAn[x509.HostnameError]},
		{"issuer", tlsutil.Client{ServerName: "imap.example.org", Roots: otherRoots}, isAn[*tls.CertificateVerificationError]},
		{"pin", tlsutil.Client{ServerName: "imap.example.org", Roots: roots, Pin: tlsutil.Pin(other.Leaf)},
			func(err error) bool { return errors.Is(err, tlsutil.ErrPinMismatch) }},
	} {
		for _, mode := range []Mode{Implicit, StartTLS} {
			t.Run(c.name+" "+string(mode), func(t *testing.T) {
				script := imaptest.Script{refusesTLS(cert)}
				if mode == StartTLS {
					script = imaptest.Script{send(offersTLS), expect("l1 STARTTLS"), send("l1 OK go"), refusesTLS(cert)}
				}
				_, err := secured(t, plays(t, script...), mode, c.verify).Open(context.Background(), Origin{})
				failing{Unreachable, "tls", ""}.check(t, err)
				if !c.is(err) || strings.Contains(err.Error(), "deadline") {
					t.Errorf("the error is %v", err)
				}
			})
		}
	}
}

func isAn[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}
