//go:build linux

package backend_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/imapgate/imapgate/proxy/auth"
	"github.com/imapgate/imapgate/proxy/backend"
	"github.com/imapgate/imapgate/proxy/imaptest/realpeer"
)

// headed is where a Dovecot expects the PROXY header: on ports of its own, at a loopback address that
// nobody else has chosen.
type headed struct{ host, config string }

func newHeaded() headed {
	host := fmt.Sprintf("127.%d.%d.%d", 64+rand.IntN(128), rand.IntN(256), 2+rand.IntN(252))
	return headed{host, fmt.Sprintf(`
login_trusted_networks = 127.0.0.1
haproxy_trusted_networks = 127.0.0.1
haproxy_timeout = 3s
service imap-login {
  inet_listener headed {
    address = %[1]s
    port = 10143
    haproxy = yes
  }
  inet_listener headeds {
    address = %[1]s
    port = 10993
    haproxy = yes
    ssl = yes
  }
}
`, host)}
}

// address is where a server listens for a mode, with or without the header.
func (h headed) address(s *realpeer.Server, mode backend.Mode, header backend.ProxyHeader) string {
	switch {
	case header == backend.ProxyOff && mode == backend.Implicit:
		return s.TLSAddr
	case header == backend.ProxyOff:
		return s.Addr
	case mode == backend.Implicit:
		return net.JoinHostPort(h.host, "10993")
	}
	return net.JoinHostPort(h.host, "10143")
}

// logged waits until the server has logged a line that holds all the words.
func logged(t *testing.T, s *realpeer.Server, words ...string) {
	t.Helper()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !hasLine(s.Log(), words) {
		select {
		case <-deadline.C:
			t.Fatalf("no line of the log holds %q", words)
		case <-tick.C:
		}
	}
}

func hasLine(log string, words []string) bool {
	for line := range strings.Lines(log) {
		found := true
		for _, w := range words {
			found = found && strings.Contains(line, w)
		}
		if found {
			return true
		}
	}
	return false
}

// TestPeersOrigin: a real Dovecot takes a client for where it comes from, by ID and by both headers, over
// every kind of connection.
func TestPeersOrigin(t *testing.T) {
	t.Parallel()
	h := newHeaded()
	user := realpeer.User{Name: "riley", Password: "fire truck"}
	s := realpeer.Dovecot(t, realpeer.DovecotOptions{Users: []realpeer.User{user}, Config: h.config})
	host := byte(0)
	for _, mode := range []backend.Mode{backend.None, backend.StartTLS, backend.Implicit} {
		for _, header := range []backend.ProxyHeader{backend.ProxyOff, backend.ProxyV1, backend.ProxyV2} {
			for _, ip := range []string{"203.0.113.", "2001:db8::"} {
				host++
				client := netip.MustParseAddr(fmt.Sprintf("%s%d", ip, host))
				t.Run(fmt.Sprintf("%s %s %s", mode, header, client), func(t *testing.T) {
					c := &backend.Config{Name: "one", Address: h.address(s, mode, header), TLS: mode, ProxyProtocol: header}
					c.TLSConfig = s.TLSConfig(t)
					if header == backend.ProxyOff {
						c.ForwardID = backend.ForwardDovecot
					}
					checkOrigin(t, s, c, client)
				})
			}
		}
	}
}

// checkOrigin logs in as a client of this address and looks for it in the server's log.
func checkOrigin(t *testing.T, s *realpeer.Server, c *backend.Config, client netip.Addr) {
	t.Helper()
	local := netip.MustParseAddr("192.0.2.77")
	if client.Is6() {
		local = netip.MustParseAddr("2001:db8::77:77")
	}
	from := backend.Origin{
		Client: netip.AddrPortFrom(client, 50122), Local: netip.AddrPortFrom(local, 993),
		Session: "k3jx", TLS: true, SNI: "imap.example.org",
	}
	b, err := c.Open(t.Context(), from)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Net.Close()
	if err := b.Login(t.Context(), auth.Password(s.Users[0].Name, s.Users[0].Password)); err != nil {
		t.Fatal(err)
	}
	words := []string{"Login:", "rip=" + client.String() + ",", "lip=" + local.String() + ","}
	if c.ForwardID == backend.ForwardDovecot {
		words = append(words, "session=<k3jx>")
	}
	logged(t, s, words...)
}

// TestPeersOriginOff: a Dovecot that was told nothing sees where the connection really comes from, which
// is the address chosen among the source addresses.
func TestPeersOriginOff(t *testing.T) {
	t.Parallel()
	user := realpeer.User{Name: "riley", Password: "fire truck"}
	s := realpeer.Dovecot(t, realpeer.DovecotOptions{Users: []realpeer.User{user}})
	c := &backend.Config{Name: "one", Address: s.Addr, TLS: backend.None}
	for _, a := range []string{"127.0.0.5", "127.0.0.6"} {
		c.SourceAddresses = append(c.SourceAddresses, netip.MustParseAddr(a))
	}
	for _, a := range []string{"127.0.0.5", "127.0.0.6"} {
		b, err := c.Open(t.Context(), backend.Origin{Client: netip.MustParseAddrPort("203.0.113.7:1")})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Net.Close()
		if err := b.Login(t.Context(), auth.Password(user.Name, user.Password)); err != nil {
			t.Fatal(err)
		}
		logged(t, s, "Login:", "rip="+a+",")
	}
}

// TestPeersCourierID: a server that loses what stands behind LOGIN does not lose the LOGIN behind ID.
func TestPeersCourierID(t *testing.T) {
	t.Parallel()
	user := realpeer.User{Name: "riley", Password: "firetruck"}
	s := realpeer.Courier(t, realpeer.CourierOptions{Users: []realpeer.User{user}, Capability: realpeer.CourierCapability + " ID"})
	c := &backend.Config{Name: "one", Address: s.Addr, TLS: backend.None, ForwardID: backend.ForwardDovecot}
	b, err := c.Open(t.Context(), backend.Origin{Client: netip.MustParseAddrPort("203.0.113.7:1")})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Net.Close()
	if !b.Caps.Has("ID") {
		t.Fatalf("ID is not announced: %v", b.Caps)
	}
	if err := b.Login(t.Context(), auth.Password(user.Name, user.Password)); err != nil {
		t.Fatal(err)
	}
}

// A turns counts how often a connection turns from reading to writing.
type turns struct {
	net.Conn
	wrote bool
	n     int
}

func (c *turns) Write(p []byte) (int, error) {
	if !c.wrote {
		c.n++
	}
	c.wrote = true
	return c.Conn.Write(p)
}

func (c *turns) Read(p []byte) (int, error) {
	c.wrote = false
	return c.Conn.Read(p)
}

// Behind the greeting a login at Dovecot is one round trip. TLS 1.3 takes one for its keys, and the greeting comes
// behind the client's Finished. STARTTLS takes its own, and CAPABILITY leaves together with Finished.
func TestRoundTrips(t *testing.T) {
	s := realpeer.Dovecot(t, realpeer.DovecotOptions{Users: []realpeer.User{{Name: "riley", Password: "firetruck"}}})
	for mode, want := range map[backend.Mode]int{backend.None: 1, backend.Implicit: 3, backend.StartTLS: 4} {
		t.Run(string(mode), func(t *testing.T) {
			var conn *turns
			address := s.Addr
			if mode == backend.Implicit {
				address = s.TLSAddr
			}
			c := &backend.Config{Name: "dovecot", Address: address, TLS: mode, TLSConfig: s.TLSConfig(t), Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
				nc, err := new(net.Dialer).DialContext(ctx, network, address)
				conn = &turns{Conn: nc}
				return conn, err
			}}
			b, err := c.Open(t.Context(), backend.Origin{})
			if err != nil {
				t.Fatal(err)
			}
			defer b.Net.Abort()
			u := s.Users[0]
			if err := b.Login(t.Context(), auth.Password(u.Name, u.Password)); err != nil {
				t.Fatal(err)
			}
			if conn.n != want {
				t.Errorf("the login took %d turns, want %d", conn.n, want)
			}
		})
	}
}
