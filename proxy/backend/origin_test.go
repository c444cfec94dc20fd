package backend

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/auth"
	"github.com/imapgate/imapgate/proxy/imaptest"
	"github.com/imapgate/imapgate/proxy/wire"
)

// fromRiley is a client with an address of its own.
func fromRiley() Origin {
	return Origin{
		Client:  netip.MustParseAddrPort("203.0.113.7:50122"),
		Local:   netip.MustParseAddrPort("192.0.2.1:993"),
		Session: "k3jx", TLS: true, SNI: "IMAP.example.org",
	}
}

const rileysID = `("x-session-id" "k3jx" "x-originating-ip" "203.0.113.7" "x-originating-port" "50122" ` +
	`"x-connected-ip" "192.0.2.1" "x-connected-port" "993" "x-connected-name" "imap.example.org" ` +
	`"x-proxy-ttl" "7" "x-client-transport" "TLS")`

func written(t *testing.T, list []wire.Token) string {
	t.Helper()
	var buf bytes.Buffer
	w := wire.NewWriter(&buf)
	w.Begin()
	w.Tokens(list)
	if err := w.EndFlush(); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(buf.String())
}

func TestOriginID(t *testing.T) {
	unknown := `("x-proxy-ttl" "7" "x-client-transport" "insecure")`
	for _, tt := range []struct {
		name string
		from Origin
		want string
	}{
		{"all", fromRiley(), rileysID},
		{"nothing known", Origin{}, unknown},
		{"mapped and with a zone", Origin{Client: netip.MustParseAddrPort("[::ffff:192.0.2.9]:1"), Local: netip.MustParseAddrPort("[fe80::1%eth0]:2")},
			`("x-originating-ip" "192.0.2.9" "x-originating-port" "1" "x-connected-ip" "fe80::1" "x-connected-port" "2" ` + unknown[1:]},
		{"odd names", Origin{SNI: `a" "x-proxy-ttl" "9`, Session: "a\r\nb"}, unknown},
		{"too long", Origin{SNI: strings.Repeat("a", 254), Session: strings.Repeat("b", 4000)}, unknown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.from.TTL = maxTTL
			if got := written(t, tt.from.id()); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// TestOriginIDFits holds the longest ID against what Dovecot takes.
func TestOriginIDFits(t *testing.T) {
	far := netip.MustParseAddrPort("[2001:db8:1111:2222:3333:4444:5555:6666]:65535")
	o := Origin{Client: far, Local: far, Session: strings.Repeat("s", 253), SNI: strings.Repeat("n", 253), TTL: maxTTL}
	got := written(t, o.id())
	if len(got) > 1024 || !strings.Contains(got, "nnn") || !strings.Contains(got, "sss") {
		t.Errorf("%d octets: %s", len(got), got)
	}
}

func TestParseTTL(t *testing.T) {
	for value, want := range map[string]int{
		"": 0, "x": 0, "-1": 0, "1.5": 0, " 2": 0, "99999999999": 0,
		"0": 1, "1": 1, "2": 2, "7": 7, "8": 8, "9": 8, "4294967295": 8,
	} {
		if got := ParseTTL(value); got != want {
			t.Errorf("ParseTTL(%q) = %d, want %d", value, got, want)
		}
	}
}

func TestOriginTTL(t *testing.T) {
	for ttl, want := range map[int]int{0: 7, 2: 1, 7: 6, 8: 7, 100: 7} {
		if got, err := (&Origin{TTL: ttl}).next(); got != want || err != nil {
			t.Errorf("behind %d comes %d, %v; want %d", ttl, got, err, want)
		}
	}
	for _, ttl := range []int{1, -1} {
		if _, err := (&Origin{TTL: ttl}).next(); !errors.Is(err, ErrLoop) {
			t.Errorf("behind %d: %v, want ErrLoop", ttl, err)
		}
	}
}

// TestLoop: a client that came through too many proxies does not get as far as the backend.
func TestLoop(t *testing.T) {
	c := &Config{Name: "old", Dial: func(context.Context, string, string) (net.Conn, error) {
		t.Error("the backend was dialled")
		return nil, errors.New("dialled")
	}}
	_, err := c.Open(t.Context(), Origin{TTL: 1})
	var e *Error
	if !errors.Is(err, ErrLoop) || !errors.As(err, &e) || e.Phase != "loop" {
		t.Errorf("got %v", err)
	}
}

// scripted is a backend in memory that plays a script.
func scripted(t *testing.T, s imaptest.Script) *Config {
	t.Helper()
	l := imaptest.Listen()
	s.Start(t, l)
	return &Config{Name: "old", Address: "old.example.org:143", TLS: None, Dial: l.DialContext}
}

func loginFrom(t *testing.T, c *Config, from Origin, password string) (*Conn, error) {
	t.Helper()
	b, err := c.Open(t.Context(), from)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { b.Net.Close() })
	return b, b.Login(t.Context(), auth.Password("riley", password))
}

// TestForward plays backends that answer nothing before the login has come: ID costs no round trip.
func TestForward(t *testing.T) {
	id := imaptest.Expect("l1 ID " + rileysID)
	done := imaptest.Send(`* ID ("name" "Dovecot")`, "l1 OK ID completed", "l2 OK [CAPABILITY IMAP4rev1 IDLE] in")
	for _, tt := range []struct {
		name, caps, password string
		script               imaptest.Script
	}{
		{"AUTHENTICATE with an initial response", "ID SASL-IR AUTH=PLAIN", "firetruck", imaptest.Script{
			id, imaptest.Expect("l2 AUTHENTICATE PLAIN AHJpbGV5AGZpcmV0cnVjaw=="), done}},
		{"AUTHENTICATE", "ID AUTH=PLAIN LOGINDISABLED", "firetruck", imaptest.Script{
			id, imaptest.Expect("l2 AUTHENTICATE PLAIN"), imaptest.Send("l1 OK ID completed", "+ "),
			imaptest.Expect("AHJpbGV5AGZpcmV0cnVjaw=="), imaptest.Send("l2 OK [CAPABILITY IMAP4rev1 IDLE] in")}},
		{"LOGIN", "ID", "firetruck", imaptest.Script{
			id, imaptest.Expect(`l2 LOGIN "riley" "firetruck"`), done}},
		{"LOGIN with a literal", "ID", "fire\ttruck", imaptest.Script{
			id, imaptest.Expect(`l2 LOGIN "riley" {10}`), imaptest.Send("l1 OK ID completed", "+ "),
			imaptest.Expect("fire\ttruck"), imaptest.Send("l2 OK [CAPABILITY IMAP4rev1 IDLE] in")}},
		{"ID is refused", "ID", "firetruck", imaptest.Script{
			id, imaptest.Expect(`l2 LOGIN "riley" "firetruck"`), imaptest.Send("l1 BAD what?", "l2 OK [CAPABILITY IMAP4rev1 IDLE] in")}},
		{"capabilities in the answer to ID are not yet the user's", "ID", "firetruck", imaptest.Script{
			id, imaptest.Expect(`l2 LOGIN "riley" "firetruck"`), imaptest.Send("* CAPABILITY IMAP4rev1 ID X", "l1 OK done", "l2 OK in"),
			imaptest.Expect("l3 CAPABILITY"), imaptest.Send("* CAPABILITY IMAP4rev1 IDLE", "l3 OK done")}},
		{"ID is not announced", "SASL-IR", "firetruck", imaptest.Script{
			imaptest.Expect(`l1 LOGIN "riley" "firetruck"`), imaptest.Send("l1 OK [CAPABILITY IMAP4rev1 IDLE] in")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			greeting := imaptest.Send("* OK [CAPABILITY IMAP4rev1 " + tt.caps + "] ready")
			c := scripted(t, append(imaptest.Script{greeting}, tt.script...))
			c.ForwardID = ForwardDovecot
			b, err := loginFrom(t, c, fromRiley(), tt.password)
			if err != nil {
				t.Fatal(err)
			}
			if !b.Caps.Has(imap.CapIdle) || b.Caps.Has("X") {
				t.Errorf("capabilities after the login: %v", b.Caps)
			}
		})
	}
}

// TestForwardRefused: ID does not change what a refused login means, and what comes out of order ends it.
func TestForwardRefused(t *testing.T) {
	for _, tt := range []struct {
		name, answer string
		want         Kind
	}{
		{"a wrong password", "l1 OK done\r\nl2 NO [AUTHENTICATIONFAILED] no", Denied},
		{"the login is answered first", "l2 OK in\r\nl1 OK done", Unreachable},
		{"ID ends the connection", "* BYE Too long ID", Unreachable},
		{"a tag that nobody used", "l9 OK done", Unreachable},
		{"ID is answered twice", "l1 OK done\r\nl1 OK done\r\nl2 OK in", Unreachable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := scripted(t, imaptest.Script{
				imaptest.Send("* OK [CAPABILITY IMAP4rev1 ID] ready"),
				imaptest.Expect("l1 ID " + rileysID), imaptest.Expect(`l2 LOGIN "riley" "firetruck"`),
				imaptest.Send(tt.answer),
			})
			c.ForwardID = ForwardDovecot
			_, err := loginFrom(t, c, fromRiley(), "firetruck")
			var e *Error
			if !errors.As(err, &e) || e.Kind != tt.want {
				t.Errorf("got %v, want kind %s", err, tt.want)
			}
		})
	}
}

// TestForwardIsOff: nothing is told that was not asked for.
func TestForwardIsOff(t *testing.T) {
	for _, f := range []Forward{"", ForwardOff} {
		c := scripted(t, imaptest.Script{
			imaptest.Send("* OK [CAPABILITY IMAP4rev1 ID] ready"),
			imaptest.Expect(`l1 LOGIN "riley" "firetruck"`), imaptest.Send("l1 OK [CAPABILITY IMAP4rev1] in"),
		})
		c.ForwardID = f
		if _, err := loginFrom(t, c, fromRiley(), "firetruck"); err != nil {
			t.Error(err)
		}
	}
}

// TestForwardAfterTLS: a name, an address and a session id do not cross the network in the clear where TLS is
// demanded, and what was announced before TLS decides nothing.
func TestForwardAfterTLS(t *testing.T) {
	cert, pool := imaptest.Certificate(t)
	c := scripted(t, imaptest.Script{
		imaptest.Send("* OK [CAPABILITY IMAP4rev1 STARTTLS] ready"),
		imaptest.Expect("l1 STARTTLS"), imaptest.Send("l1 OK go on"),
		imaptest.StartTLS(&tls.Config{Certificates: []tls.Certificate{cert}}),
		imaptest.Expect("l2 CAPABILITY"), imaptest.Send("* CAPABILITY IMAP4rev1 ID", "l2 OK done"),
		imaptest.Expect("l3 ID " + rileysID), imaptest.Expect(`l4 LOGIN "riley" "firetruck"`),
		imaptest.Send("l3 OK done", "l4 OK [CAPABILITY IMAP4rev1] in"),
	})
	c.TLS, c.TLSConfig = StartTLS, &tls.Config{RootCAs: pool, ServerName: "imap.example.org"}
	c.ForwardID = ForwardDovecot
	if _, err := loginFrom(t, c, fromRiley(), "firetruck"); err != nil {
		t.Error(err)
	}
}

// TestPreauth: such a backend serves somebody, and it is not this user.
func TestPreauth(t *testing.T) {
	for _, mode := range []Mode{None, StartTLS} {
		c := scripted(t, imaptest.Script{imaptest.Send("* PREAUTH [CAPABILITY IMAP4rev1] hello"), imaptest.ExpectEOF()})
		c.TLS = mode
		_, err := loginFrom(t, c, fromRiley(), "firetruck")
		var e *Error
		if !errors.As(err, &e) || e.Kind != Misconfigured || e.Phase != "greeting" {
			t.Errorf("%s: got %v", mode, err)
		}
	}
}
