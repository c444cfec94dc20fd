package backend

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"

	"github.com/imapgate/imapgate/proxy/imaptest"
)

const v2Head = "\r\n\r\n\x00\r\nQUIT\n"

// headers are written by hand after proxy-protocol.txt, sections 2.1 and 2.2.
var headers = []struct {
	name   string
	from   Origin
	v1, v2 string
}{
	{"IPv4", Origin{Client: netip.MustParseAddrPort("203.0.113.7:50122"), Local: netip.MustParseAddrPort("192.0.2.1:993"), Session: "k3jx"},
		"PROXY TCP4 203.0.113.7 192.0.2.1 50122 993\r\n",
		v2Head + "\x21\x11\x00\x13" + "\xcb\x00\x71\x07" + "\xc0\x00\x02\x01" + "\xc3\xca" + "\x03\xe1" + "\x05\x00\x04k3jx"},
	{"IPv6", Origin{Client: netip.MustParseAddrPort("[2001:db8::7]:1"), Local: netip.MustParseAddrPort("[2001:db8::1]:143")},
		"PROXY TCP6 2001:db8::7 2001:db8::1 1 143\r\n",
		v2Head + "\x21\x21\x00\x24" + "\x20\x01\x0d\xb8" + zeros(11) + "\x07" + "\x20\x01\x0d\xb8" + zeros(11) + "\x01" + "\x00\x01" + "\x00\x8f"},
	{"IPv4 as IPv6", Origin{Client: netip.MustParseAddrPort("[::ffff:203.0.113.7]:1"), Local: netip.MustParseAddrPort("[::ffff:192.0.2.1]:2")},
		"PROXY TCP4 203.0.113.7 192.0.2.1 1 2\r\n",
		v2Head + "\x21\x11\x00\x0c" + "\xcb\x00\x71\x07" + "\xc0\x00\x02\x01" + "\x00\x01" + "\x00\x02"},
	{"two families", Origin{Client: netip.MustParseAddrPort("203.0.113.7:1"), Local: netip.MustParseAddrPort("[fe80::1%eth0]:2")},
		"PROXY TCP6 ::ffff:203.0.113.7 fe80::1 1 2\r\n",
		v2Head + "\x21\x21\x00\x24" + zeros(10) + "\xff\xff\xcb\x00\x71\x07" + "\xfe\x80" + zeros(13) + "\x01" + "\x00\x01" + "\x00\x02"},
	{"own address unknown", Origin{Client: netip.MustParseAddrPort("203.0.113.7:1")},
		"PROXY TCP4 203.0.113.7 0.0.0.0 1 0\r\n",
		v2Head + "\x21\x11\x00\x0c" + "\xcb\x00\x71\x07" + zeros(4) + "\x00\x01" + "\x00\x00"},
	{"no address", Origin{Session: "k3jx"}, "PROXY UNKNOWN\r\n", v2Head + "\x20\x00\x00\x00"},
	{"a session id that is too long", Origin{Client: netip.MustParseAddrPort("203.0.113.7:1"), Session: strings.Repeat("s", 129)},
		"PROXY TCP4 203.0.113.7 0.0.0.0 1 0\r\n",
		v2Head + "\x21\x11\x00\x0c" + "\xcb\x00\x71\x07" + zeros(4) + "\x00\x01" + "\x00\x00"},
}

func zeros(n int) string { return strings.Repeat("\x00", n) }

// TestHeader: the header is the first thing on the connection, in the clear also where TLS follows at once,
// and the greeting is not waited for.
func TestHeader(t *testing.T) {
	cert, pool := imaptest.Certificate(t)
	serve := imaptest.StartTLS(&tls.Config{Certificates: []tls.Certificate{cert}})
	trust := &tls.Config{RootCAs: pool, ServerName: "imap.example.org"}
	greet := imaptest.Send("* OK [CAPABILITY IMAP4rev1] ready")
	for _, tt := range headers {
		for version, want := range map[ProxyHeader]string{ProxyV1: tt.v1, ProxyV2: tt.v2} {
			t.Run(tt.name+" "+string(version), func(t *testing.T) {
				plain := scripted(t, imaptest.Script{first(want), greet})
				secure := scripted(t, imaptest.Script{first(want), serve, greet})
				secure.TLS, secure.TLSConfig = Implicit, trust
				for _, c := range []*Config{plain, secure} {
					c.ProxyProtocol = version
					b, err := c.Open(t.Context(), tt.from)
					if err != nil {
						t.Fatalf("%s: %v", c.TLS, err)
					}
					b.Net.Close()
				}
			})
		}
	}
}

// first reads the first bytes of a connection and nothing behind them.
func first(want string) imaptest.Step {
	return func(p *imaptest.Peer) error {
		got := make([]byte, len(want))
		if n, err := io.ReadFull(p.Conn, got); err != nil || string(got) != want {
			return fmt.Errorf("the connection begins with %q, %v; want %q", got[:n], err, want)
		}
		return nil
	}
}

// TestHeaderIsOff: no header where none was asked for.
func TestHeaderIsOff(t *testing.T) {
	for _, h := range []ProxyHeader{"", ProxyOff} {
		c := scripted(t, imaptest.Script{
			imaptest.Send("* OK ready"), imaptest.Expect("l1 CAPABILITY"), imaptest.Send("* CAPABILITY IMAP4rev1", "l1 OK done"),
		})
		c.ProxyProtocol = h
		b, err := c.Open(t.Context(), fromRiley())
		if err != nil {
			t.Fatal(err)
		}
		b.Net.Close()
	}
}

// TestHeaderNotTaken: a backend that closes instead is another one that cannot be reached.
func TestHeaderNotTaken(t *testing.T) {
	c := scripted(t, imaptest.Script{imaptest.Vanish()})
	c.ProxyProtocol = ProxyV2
	_, err := c.Open(t.Context(), fromRiley())
	var e *Error
	if !errors.As(err, &e) || e.Kind != Unreachable {
		t.Errorf("got %v", err)
	}
}
