package backend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"go.uber.org/goleak"

	"github.com/imapgate/imapgate/proxy/auth"
	"github.com/imapgate/imapgate/proxy/imaptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	send   = imaptest.Send
	expect = imaptest.Expect
)

// A dialed is the proxy's end of a connection; the test wants it closed in the end.
type dialed struct {
	net.Conn
	once   sync.Once
	closed chan struct{}
	read   func(p []byte) // sees what was read; may be nil
}

func (d *dialed) Read(p []byte) (int, error) {
	n, err := d.Conn.Read(p)
	if d.read != nil {
		d.read(p[:n])
	}
	return n, err
}

func (d *dialed) Close() error {
	d.once.Do(func() { close(d.closed) })
	return d.Conn.Close()
}

// plays returns the Config of a backend "b" that plays script on its one connection. The test's end wants the
// script played to its end and the connection closed.
func plays(t *testing.T, script ...imaptest.Step) *Config {
	t.Helper()
	near, far := imaptest.Pipe()
	d := &dialed{Conn: near, closed: make(chan struct{})}
	played := make(chan error, 1)
	go func() {
		defer far.Close()
		played <- imaptest.Script(script).Run(far)
	}()
	t.Cleanup(func() {
		if err := <-played; err != nil {
			t.Errorf("script: %v", err)
		}
		select {
		case <-d.closed:
		default:
			t.Error("the connection was left open")
		}
	})
	return &Config{Name: "b", Address: "b:143", TLS: None, Dial: func(context.Context, string, string) (net.Conn, error) {
		return d, nil
	}}
}

// opened connects, and closes the connection when the test ends.
func opened(t *testing.T, cfg *Config) *Conn {
	t.Helper()
	b, err := cfg.Open(context.Background(), Origin{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Net.Abort() })
	return b
}

// login connects and logs in.
func login(t *testing.T, cfg *Config, creds auth.Credentials) (*Conn, error) {
	t.Helper()
	b := opened(t, cfg)
	return b, b.Login(context.Background(), creds)
}

// A failing says what an error has to be.
type failing struct {
	kind  Kind
	phase string
	text  string // a part of it
}

func (want failing) check(t *testing.T, err error) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("the error is %v, want an *Error", err)
	}
	if e.Backend != "b" || e.Kind != want.kind || e.Phase != want.phase || !strings.Contains(e.Error(), want.text) {
		t.Errorf("the error is %s, of kind %s; want %s in %s that says %q", e, e.Kind, want.kind, want.phase, want.text)
	}
	return e
}

// names renders capabilities in order.
func names(caps imap.CapSet) string {
	var all []string
	for c := range caps {
		all = append(all, string(c))
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// flood sends as much as the other side takes.
func flood(text string) imaptest.Step {
	return func(p *imaptest.Peer) error {
		for range 1000 {
			if _, err := io.WriteString(p.Conn, text); err != nil {
				return nil
			}
		}
		return errors.New("the other side takes everything")
	}
}

// silence reads until the other side has gone, and says nothing.
func silence(p *imaptest.Peer) error {
	io.Copy(io.Discard, p.Reader)
	return nil
}

// nothingMore wants that nothing stands behind what was read so far.
func nothingMore(p *imaptest.Peer) error {
	if n := p.Reader.Buffered(); n > 0 {
		return fmt.Errorf("%d octets came too early", n)
	}
	return nil
}

func TestGreeting(t *testing.T) {
	for _, g := range []struct {
		sent string
		want failing
	}{
		{"* PREAUTH [CAPABILITY IMAP4rev1] welcome, root\r\n", failing{Misconfigured, "greeting", "answered PREAUTH"}},
		{"* BYE overloaded\r\n", failing{Unreachable, "greeting", "answered BYE overloaded"}},
		{"* NO not today\r\n", failing{Unreachable, "greeting", "answered NO not today"}},
		{"* BAD\r\n", failing{Unreachable, "greeting", "answered BAD"}},
		{"l1 OK hello\r\n", failing{Unreachable, "greeting", ""}},
		{"+ hello\r\n", failing{Unreachable, "greeting", ""}},
		{"* CAPABILITY IMAP4rev1\r\n", failing{Unreachable, "greeting", ""}},
		{"HTTP/1.1 400 Bad Request\r\n\r\n", failing{Unreachable, "greeting", "out of sync"}},
		{"SSH-2.0-OpenSSH\r\n", failing{Unreachable, "greeting", "out of sync"}},
		{"", failing{Unreachable, "greeting", io.EOF.Error()}},
		{"* OK hel", failing{Unreachable, "greeting", io.EOF.Error()}},
	} {
		t.Run(g.sent, func(t *testing.T) {
			b, err := plays(t, imaptest.SendRaw(g.sent)).Open(context.Background(), Origin{})
			g.want.check(t, err)
			if b != nil {
				t.Error("there is a connection with the error")
			}
		})
	}
	t.Run("endless", func(t *testing.T) {
		_, err := plays(t, imaptest.SendRaw("* OK "), flood(strings.Repeat("x", 64<<10))).Open(context.Background(), Origin{})
		failing{Unreachable, "greeting", "out of sync"}.check(t, err)
	})
}

// The places of RFC 3501 section 7.1 and 7.2.1 before the login.
func TestCapabilitiesBeforeLogin(t *testing.T) {
	for _, c := range []struct {
		name   string
		script imaptest.Script
		want   string
	}{
		{"greeting", imaptest.Script{send("* OK [CAPABILITY IMAP4rev1 IDLE] hi")}, "IDLE IMAP4rev1"},
		{"command", imaptest.Script{send("* OK hi"), expect("l1 CAPABILITY"), send("* CAPABILITY IMAP4rev1 IDLE", "l1 OK done")}, "IDLE IMAP4rev1"},
		{"answer's code", imaptest.Script{send("* OK hi"), expect("l1 CAPABILITY"), send("l1 OK [CAPABILITY IMAP4rev1 ID] done")}, "ID IMAP4rev1"},
		{"case", imaptest.Script{send("* OK [capability imap4REV1 imap4rev2 Idle rights=teKx auth=plain] hi")},
			"AUTH=PLAIN IDLE IMAP4rev1 IMAP4rev2 RIGHTS=teKx"},
		{"quoted", imaptest.Script{send("* OK hi"), expect("l1 CAPABILITY"), send("* CAPABILITY \"IMAP4rev1\" ID", "l1 OK done")}, "ID IMAP4rev1"},
		{"last counts", imaptest.Script{send("* OK hi"), expect("l1 CAPABILITY"), send("* CAPABILITY IDLE", "* CAPABILITY IMAP4rev1", "l1 OK done")}, "IMAP4rev1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if b := opened(t, plays(t, c.script...)); names(b.Caps) != c.want {
				t.Errorf("capabilities %s, want %s", names(b.Caps), c.want)
			}
		})
	}
}

func TestCapabilitiesRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer imaptest.Step
		text   string
	}{
		{"BAD", send("l1 BAD what?"), "answered BAD what?"},
		{"none", send("l1 OK done"), "answered OK done"},
		{"no list", send("* CAPABILITY IMAP4rev1)", "l1 OK done"), "answered OK done"},
		{"continuation", send("+ go on"), "unexpected tag or continuation request"},
		{"unknown tag", send("l2 OK done"), "unexpected tag or continuation request"},
		{"BYE", send("* BYE maintenance"), "BYE maintenance: EOF"},
		{"end", imaptest.SendRaw(""), "EOF"},
		{"as many lines as it likes", send(slices.Repeat([]string{"* 1 EXISTS"}, maxUntagged)...), "too many responses before an answer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := plays(t, send("* OK hi"), expect("l1 CAPABILITY"), c.answer).Open(context.Background(), Origin{})
			failing{Unreachable, "capability", c.text}.check(t, err)
		})
	}
}

// A backend may say a lot before it answers, but not without end.
func TestUntaggedBelowLimit(t *testing.T) {
	lines := append(slices.Repeat([]string{"* OK still busy"}, maxUntagged-2), "* CAPABILITY IMAP4rev1", "l1 OK done")
	if b := opened(t, plays(t, send("* OK hi"), expect("l1 CAPABILITY"), send(lines...))); names(b.Caps) != "IMAP4rev1" {
		t.Errorf("capabilities %s", names(b.Caps))
	}
}

// Without Dial a Config connects by TCP.
func TestTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	imaptest.Script{send("* OK [CAPABILITY IMAP4rev1] hi"), imaptest.ExpectEOF()}.Start(t, l)
	cfg := &Config{Name: "b", Address: l.Addr().String(), TLS: None}
	if b := opened(t, cfg); b.Net.RemoteAddr().String() != cfg.Address {
		t.Errorf("connected to %s", b.Net.RemoteAddr())
	}
	l.Close()
	_, err = cfg.Open(context.Background(), Origin{})
	var op *net.OpError
	failing{Unreachable, "dial", "backend b: dial: dial tcp"}.check(t, err)
	if !errors.As(err, &op) {
		t.Errorf("%v has lost its cause", err)
	}
}

func TestConnectTimeout(t *testing.T) {
	if d := (&Config{}).connectTimeout(); d != 10*time.Second {
		t.Errorf("the default is %v", d)
	}
	if d := (&Config{Connect: time.Minute}).connectTimeout(); d != time.Minute {
		t.Errorf("%v, want 1m", d)
	}
}
