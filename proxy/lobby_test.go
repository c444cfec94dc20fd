package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imapgate/imapgate/proxy/imaptest"
)

// A visitor is a client that has not logged in, and says nothing more.
type visitor struct {
	name string
	door func(*Listener)
	said string
}

func introducing(ln *Listener) { ln.ProxyProtocol = networks("127.0.0.0/8") }

func visitors(t *testing.T) []visitor {
	cert, _ := imaptest.Certificate(t)
	secured := func(mode TLSMode) func(*Listener) {
		return func(ln *Listener) {
			ln.TLS, ln.TLSConfig = mode, &tls.Config{Certificates: []tls.Certificate{cert}}
		}
	}
	return []visitor{
		{"silent", nil, ""},
		{"in the PROXY header", introducing, "PROXY TCP4 192.0"},
		{"behind the PROXY header", introducing, "PROXY TCP4 192.0.2.1 10.0.0.1 12345 143\r\n"},
		{"before TLS", secured(ImplicitTLS), ""},
		{"in the handshake", secured(ImplicitTLS), "\x16\x03\x01"},
		{"in the handshake behind STARTTLS", secured(StartTLS), "a STARTTLS\r\n"},
		{"in a command", nil, "a CAPAB"},
		{"in a literal", nil, "a LOGIN {5}\r\nab"},
		{"in a literal that is not wanted", nil, "a APPEND x {9999+}\r\nab"},
		{"in SASL", nil, "a AUTHENTICATE PLAIN\r\n"},
		{"waiting for the backend", nil, "a LOGIN u p\r\n"},
		{"behind a failure", nil, "a LOGIN \"\" p\r\nb NOOP\r\n"},
	}
}

// Wherever clients are before their login, the server's end lets none of them wait, and nothing stays counted: also
// where they come behind its beginning, and where the time is over at once.
func TestEndBeforeLogin(t *testing.T) {
	for _, v := range visitors(t) {
		for name, patience := range map[string]time.Duration{"": time.Minute, ", cut": 0} {
			t.Run(v.name+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { v.areSentAway(t, patience) })
			})
		}
	}
}

func (v visitor) areSentAway(t *testing.T, patience time.Duration) {
	r := rigStart(t, rigSetup{listener: v.door, options: func(o *Options) { o.Limits.PerIP, o.Limits.PerUser = 100, 100 }})
	r.serve(func(p *rigPeer) { p.send("* OK [CAPABILITY IMAP4rev1] hi"); p.drain() })
	visit := func() {
		c, err := r.front.Dial()
		if err != nil {
			return // nobody is let in any more
		}
		go io.Copy(io.Discard, c)
		go io.WriteString(c, v.said)
		time.AfterFunc(time.Hour, func() { c.Close() })
	}
	visit()
	visit()
	synctest.Wait()
	for d := time.Duration(0); d <= 2*drainDelay; d += drainDelay / 2 {
		time.AfterFunc(d, visit)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	began := time.Now()
	err := r.srv.Shutdown(ctx)
	if took := time.Since(began); err != nil && !errors.Is(err, context.DeadlineExceeded) || took > drainDelay+2*lingerTime {
		t.Errorf("Shutdown: %v after %v", err, took)
	}
	r.leftNothing()
	r.ended()
}

// leftNothing wants nobody to be counted any more.
func (r *rig) leftNothing() {
	r.t.Helper()
	s := r.srv
	if n := s.places.inUse(); n+len(s.addresses.open)+len(s.users.open)+len(s.lobby.clients)+len(s.registry.all()) > 0 {
		r.t.Errorf("left: %d places, addresses %v, users %v, %d in the lobby, %d sessions",
			n, s.addresses.open, s.users.open, len(s.lobby.clients), len(s.registry.all()))
	}
	families, err := s.options().Registry.Gather()
	if err != nil {
		r.t.Error(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "imapgate_sessions" && m.GetGauge().GetValue() != 0 {
				r.t.Errorf("%v counts %v", m.GetLabel(), m.GetGauge().GetValue())
			}
		}
	}
}
