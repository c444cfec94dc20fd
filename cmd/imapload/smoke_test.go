package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/imapgate/imapgate/proxy"
	gated "github.com/imapgate/imapgate/proxy/backend"
	"github.com/imapgate/imapgate/proxy/imaptest"
	"github.com/imapgate/imapgate/proxy/translate"
	"github.com/imapgate/imapgate/routing"
)

// TestSteps runs every step for a moment against the backend, through the relay and through imapgate,
// without and with TLS.
func TestSteps(t *testing.T) {
	certificate, _ := imaptest.Certificate(t)
	conf := &tls.Config{Certificates: []tls.Certificate{certificate}}
	plain := started(t, newBackend().serve, nil)
	servers := []struct {
		name  string
		serve server
	}{
		{"relay", (&relay{backend: plain}).serve},
		{"imapgate", gate(t, plain)},
	}
	for _, behind := range servers {
		for _, c := range []*tls.Config{nil, conf} {
			d := door{address: started(t, behind.serve, c), tls: c != nil, user: "user"}
			for _, s := range steps {
				t.Run(fmt.Sprintf("%s/tls=%v/%s", behind.name, d.tls, s.name), func(t *testing.T) {
					t.Parallel()
					runStep(t, s, d, plain)
				})
			}
		}
	}
	for _, s := range steps {
		t.Run("direct/"+s.name, func(t *testing.T) {
			t.Parallel()
			runStep(t, s, door{address: plain, user: "user"}, plain)
		})
	}
}

func runStep(t *testing.T, s step, d door, backend string) {
	l := &load{
		door: d, warmUp: 20 * time.Millisecond, window: 100 * time.Millisecond, hold: time.Millisecond, sessions: 20,
		message: newMessage(64 << 10),
		server:  &rising{},
		tell:    tellBy(door{address: backend, user: "user"}),
	}
	if s.connections > 4 {
		s.connections = 4
	}
	var r *result
	for ; ; l.window *= 2 { // nothing ends in a short window where the machine is busy with other things
		var err error
		if r, err = l.run(t.Context(), s); err != nil || r.failures.String() != "" {
			t.Fatalf("%v; failures: %s", err, &r.failures)
		}
		if r.units > 0 || l.window > 10*time.Second {
			break
		}
	}
	for _, f := range s.figures {
		if !f.known(r) {
			t.Errorf("%s is not known of %d units", f.label, r.units)
		}
	}
}

// A rising server uses more each time.
type rising struct{ n int64 }

func (r *rising) next() (int64, error) { r.n++; return r.n << 20, nil }

func (r *rising) cpu() (float64, error)  { return 1, nil }
func (r *rising) memory() (int64, error) { return r.next() }
func (r *rising) files() (int64, error)  { return r.next() }

// started serves until the test's end and returns the address.
func started(t *testing.T, serve server, conf *tls.Config) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var served sync.WaitGroup
	served.Go(func() {
		if err := serve(ctx, ln, conf); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	t.Cleanup(func() { cancel(); served.Wait() })
	return ln.Addr().String()
}

// gate is imapgate in front of one backend.
func gate(t *testing.T, address string) server {
	table, err := routing.NewTable(routing.Config{
		Backends: []routing.Backend{{Name: "one"}},
		Routes:   []routing.Route{{Backend: "one"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return func(ctx context.Context, ln net.Listener, conf *tls.Config) error {
		srv, err := proxy.NewServer(proxy.Options{
			Backends: map[string]*gated.Config{"one": {Name: "one", Address: address, TLS: gated.None}},
			Table:    table,
			Policy:   translate.DefaultPolicy(),
		})
		if err != nil {
			return err
		}
		mode := proxy.NoTLS
		if conf != nil {
			mode = proxy.ImplicitTLS
		}
		defer srv.Shutdown(ctx) // which has ended then, so that all is cut
		return srv.Serve(ctx, &proxy.Listener{Name: "imap", Listener: ln, TLS: mode, TLSConfig: conf, AllowPlaintextLogin: true})
	}
}

// TestBackendTalks has the conversations that peers have with the backend and our clients do not.
func TestBackendTalks(t *testing.T) {
	for _, tt := range []struct{ name, says, hears string }{
		{"capability", "a CAPABILITY\r\n", "* CAPABILITY " + capabilities + "\r\na OK done\r\n"},
		{"login with literals", "a LOGIN {5}\r\nriley {9}\r\nfiretruck\r\n", "+ go on\r\n+ go on\r\na OK ["},
		{"login with literals at once", "a LOGIN {5+}\r\nriley {9+}\r\nfiretruck\r\n", "a OK ["},
		{"authenticate", "a AUTHENTICATE PLAIN\r\nAGEAYg==\r\n", "+ \r\na OK ["},
		{"authenticate at once", "a AUTHENTICATE PLAIN AGEAYg==\r\n", "a OK ["},
		{"not PLAIN", "a AUTHENTICATE PLAIN eHh4\r\n", "a NO not PLAIN\r\n"},
		{"id", "a ID NIL\r\n", "* ID (\"name\" \"imapload\")\r\na OK done\r\n"},
		{"namespace", "a NAMESPACE\r\n", "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\na OK done\r\n"},
		{"list", "a LIST \"\" *\r\n", "* LIST () \"/\" INBOX\r\na OK done\r\n"},
		{"not DONE", "a IDLE\r\nb NOOP\r\n", "+ idling\r\na BAD not DONE\r\n"},
		{"unknown", "a XYZZY\r\n", "a BAD unknown\r\n"},
		{"nothing", "\r\na NOOP\r\n", "* BAD no tag\r\na OK done\r\n"},
		{"only a tag", "a \r\n", "a BAD unknown\r\n"},
		{"fetch of nothing", "a FETCH\r\n", "a BAD what?\r\n"},
		{"an end of a fetch", "a SELECT long\r\nb FETCH 100000 FLAGS\r\n", "* FLAGS"},
		{"append without a message", "a APPEND x y\r\n", "a BAD no message\r\n"},
		{"append at once", "a APPEND x {3+}\r\nabc\r\n", fmt.Sprintf("a OK [APPENDUID 1 1] checksum=%08x\r\n", checksum([]byte("abc")))},
		{"logout", "a LOGOUT\r\n", "* BYE\r\na OK done\r\n"},
		{"a literal that is too long", "a LOGIN {65537}\r\n", ""},
		{"a line that is too long", strings.Repeat("x", lineLimit+1) + "\r\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			address := started(t, newBackend().serve, nil)
			c, err := (door{address: address}).dial(t.Context(), smallBuffer)
			if err != nil {
				t.Fatal(err)
			}
			defer c.close()
			if err := c.send(tt.says); err != nil {
				t.Fatal(err)
			}
			if got := hear(c.in, len(tt.hears)); got != tt.hears {
				t.Errorf("heard %q, want %q", got, tt.hears)
			}
		})
	}
}

// hear reads n octets; when none is expected it reads to the end.
func hear(r *bufio.Reader, n int) string {
	b := make([]byte, max(n, 1))
	for i := range b {
		one, err := r.ReadByte()
		if err != nil {
			return string(b[:i])
		}
		b[i] = one
	}
	return string(b)
}
