package proxy

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imapgate/imapgate/proxy/backend"
	"github.com/imapgate/imapgate/proxy/imaptest"
	"github.com/imapgate/imapgate/routing"
)

// A street gives the connections of a door the addresses that the test says.
type street struct {
	net.Listener
	from atomic.Pointer[net.TCPAddr]
}

func (s *street) Accept() (net.Conn, error) {
	c, err := s.Listener.Accept()
	if a := s.from.Load(); err == nil && a != nil {
		c.(*imaptest.Conn).SetAddrs(c.LocalAddr().(*net.TCPAddr), a)
	}
	return c, err
}

// on puts a door into a street.
func on(th *theatre) *street {
	s := &street{Listener: th.doors}
	th.door.Listener = s
	return s
}

// dialFrom connects from an address, and waits until the server has done what it does by itself.
func (th *theatre) dialFrom(t *testing.T, s *street, address string) *imaptest.Conn {
	t.Helper()
	s.from.Store(net.TCPAddrFromAddrPort(netip.MustParseAddrPort(address)))
	c := th.dial(t)
	synctest.Wait()
	t.Cleanup(func() { c.Close() })
	return c
}

// run plays steps on a connection.
func run(t *testing.T, c net.Conn, steps ...imaptest.Step) {
	t.Helper()
	if err := imaptest.Script(steps).Run(c); err != nil {
		t.Errorf("client: %v", err)
	}
}

// networks are what a door trusts.
func networks(prefixes ...string) (list []netip.Prefix) {
	for _, p := range prefixes {
		list = append(list, netip.MustParsePrefix(p))
	}
	return list
}

// serveMail gives a theatre a backend that lets everybody in.
func (th *theatre) serveMail(t *testing.T) {
	(&imaptest.Backend{Store: imaptest.NewStore()}).Start(t, th.backends)
}

var greeted, loggedIn = imaptest.Match(`^\* OK \[CAPABILITY .*\] imapgate ready$`), imaptest.Match(`^a OK \[CAPABILITY .*\] Logged in$`)

// refused is how often something was refused for a reason.
func (th *theatre) refused(reason string) (n float64) {
	families, err := th.server.options().Registry.Gather()
	if err != nil {
		panic(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "imapgate_refusals_total" && m.GetLabel()[0].GetValue() == reason {
				n += m.GetCounter().GetValue()
			}
		}
	}
	return n
}

func TestHeaderSaysWhoTheClientIs(t *testing.T) {
	for _, tt := range []struct{ name, peer, header, client string }{
		{"version 1", "10.0.0.9:5000", "PROXY TCP4 192.0.2.1 10.0.0.1 12345 143\r\n", "192.0.2.1:12345"},
		{"version 2", "10.0.0.9:5000", v2(0x21, 0x21, tcp6), "[2001:db8::1]:12345"},
		{"IPv4 in IPv6", "[::ffff:10.0.0.9]:5000", v2(0x21, 0x11, tcp4), "192.0.2.1:12345"},
		{"local", "10.0.0.9:5000", v2(0x20, 0x00, ""), "10.0.0.9:5000"},
		{"nobody whom we trust", "11.0.0.9:5000", "", "11.0.0.9:5000"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var s *street
				th := startWith(t, func(th *theatre) {
					s, th.door.ProxyProtocol = on(th), networks("10.0.0.0/8")
				})
				th.serveMail(t)
				c := th.dialFrom(t, s, tt.peer)
				run(t, c, imaptest.SendRaw(tt.header+"a LOGIN riley firetruck\r\n"), greeted, loggedIn)
				synctest.Wait()
				if got := th.server.Sessions()[0].Client; got != tt.client {
					t.Errorf("the client is %s, want %s", got, tt.client)
				}
			})
		})
	}
}

// A header from an untrusted peer is what a client says, and no command.
func TestHeaderIsNotBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s *street
		th := startWith(t, func(th *theatre) { s, th.door.ProxyProtocol = on(th), networks("10.0.0.0/8") })
		th.serveMail(t)
		c := th.dialFrom(t, s, "192.0.2.66:5000")
		run(t, c, imaptest.Send("PROXY TCP4 192.0.2.1 10.0.0.1 12345 143"), greeted, imaptest.Match(`^PROXY BAD `),
			imaptest.Send("a LOGIN riley firetruck"), loggedIn)
		synctest.Wait()
		if got := th.server.Sessions()[0].Client; got != "192.0.2.66:5000" {
			t.Errorf("the client is %s", got)
		}
	})
}

// The header stands before TLS, and may come in one packet with it.
func TestHeaderBeforeTLS(t *testing.T) {
	for _, header := range []string{"PROXY TCP4 192.0.2.1 10.0.0.1 12345 143\r\n", v2(0x21, 0x11, tcp4+authority+secure)} {
		synctest.Test(t, func(t *testing.T) {
			door, pool := secureDoor(t, ImplicitTLS)
			th := startWith(t, func(th *theatre) {
				door(th)
				th.door.ProxyProtocol = networks("127.0.0.0/8")
			})
			th.serveMail(t)
			c := &joined{Conn: th.dial(t), first: header}
			defer c.Close()
			run(t, c, upgrade(pool), greeted, imaptest.Send("a LOGIN riley firetruck"), loggedIn)
			synctest.Wait()
			if got := th.server.Sessions()[0].Client; got != "192.0.2.1:12345" {
				t.Errorf("the client is %s", got)
			}
		})
	}
}

// joined writes something in one packet with the first that is written.
type joined struct {
	net.Conn
	first string
}

func (j *joined) Write(p []byte) (int, error) {
	n, err := j.Conn.Write(append([]byte(j.first), p...))
	n = max(n-len(j.first), 0)
	j.first = ""
	return n, err
}

// What a header says of TLS makes nothing secure.
func TestHeaderDoesNotMakeSecure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		door, _ := secureDoor(t, StartTLS)
		th := startWith(t, func(th *theatre) {
			door(th)
			th.door.ProxyProtocol = networks("127.0.0.0/8")
		})
		th.client(t, imaptest.SendRaw(v2(0x21, 0x11, tcp4+secure)+"a LOGIN riley firetruck\r\n"), greeted,
			imaptest.Match(`^a NO \[PRIVACYREQUIRED\] `))
	})
}

// The name that TLS in front of us was asked for leads where SNI would.
func TestHeaderHasTheServerName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := startWith(t, func(th *theatre) {
			th.door.ProxyProtocol = networks("127.0.0.0/8")
			th.opts.Table = table(t, routing.Config{
				Backends: []routing.Backend{{Name: "old"}},
				Routes:   []routing.Route{{Match: routing.Match{SNI: "IMAP.example.*"}, Backend: "old"}},
			})
		})
		th.serveMail(t)
		th.client(t, imaptest.SendRaw(v2(0x21, 0x11, tcp4+authority)+"a LOGIN riley firetruck\r\n"), greeted, loggedIn)
		th.client(t, imaptest.SendRaw(v2(0x21, 0x11, tcp4)+"a LOGIN riley firetruck\r\n"), greeted,
			imaptest.Expect("a NO [UNAVAILABLE] Mail is temporarily unavailable, try again later"))
		if n := th.refused("no_route"); n != 1 {
			t.Errorf("no_route was counted %v times", n)
		}
	})
}

func table(t *testing.T, c routing.Config) *routing.Table {
	t.Helper()
	table, err := routing.NewTable(c)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// Neither silence nor one octet now and then holds a place for longer than the handshake may take, which
// is counted with TLS behind the header.
func TestHeaderInTime(t *testing.T) {
	header := v2(0x21, 0x11, tcp4)
	for name, tt := range map[string]struct {
		said   string
		reason string
	}{
		"silence":               {"", "proxy_header"},
		"a drip":                {header[:20], "proxy_header"},
		"a drip of version 1":   {"PROXY UNKNOWN fffff", "proxy_header"},
		"silence where TLS is":  {header, "tls"},
		"a drip where TLS is":   {header + "\x16\x03\x01", "tls"},
		"a header with no home": {"a1 NOOP\r\na2 NOOP\r\n", "proxy_header"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				door, _ := secureDoor(t, ImplicitTLS)
				th := startWith(t, func(th *theatre) {
					door(th)
					th.door.ProxyProtocol = networks("127.0.0.0/8")
					th.opts.Timeouts.Handshake = 3 * time.Second
				})
				began := time.Now()
				c := th.dial(t)
				defer c.Close()
				drip(c, tt.said, 100*time.Millisecond)
				run(t, c, imaptest.ExpectEOF())
				if took := time.Since(began); took > 3*time.Second {
					t.Errorf("closed after %v", took)
				}
				synctest.Wait()
				if n := th.refused(tt.reason); n != 1 {
					t.Errorf("%s was counted %v times", tt.reason, n)
				}
			})
		})
	}
}

// drip writes text octet by octet. It does not wait: each write is for a timer of the bubble.
func drip(c net.Conn, text string, every time.Duration) {
	for i := range len(text) {
		time.AfterFunc(time.Duration(i)*every, func() { c.Write([]byte{text[i]}) })
	}
}

// A drain does not wait for a header.
func TestHeaderWhileDraining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := startWith(t, func(th *theatre) {
			th.door.ProxyProtocol = networks("127.0.0.0/8")
			th.opts.Timeouts.Handshake = time.Hour
		})
		c := th.dial(t)
		defer c.Close()
		synctest.Wait()
		began := time.Now()
		if err := th.server.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 2*drainDelay {
			t.Errorf("the drain took %v", took)
		}
		if n := th.refused("draining"); n != 1 {
			t.Errorf("draining was counted %v times", n)
		}
	})
}

// Load balancers look whether the port is open; that is nobody's failure.
func TestHeaderThatNeverBegins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := startWith(t, func(th *theatre) { th.door.ProxyProtocol = networks("127.0.0.0/8") })
		th.dial(t).Close()
		synctest.Wait()
		if n := th.refused("proxy_header"); n != 0 {
			t.Errorf("proxy_header was counted %v times", n)
		}
	})
}

// A client's ID tells how many proxies may still follow, and nothing else.
func TestLoopEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := startWith(t, func(th *theatre) { th.backend.ForwardID = backend.ForwardDovecot })
		th.serveMail(t)
		th.client(t, greeted, imaptest.Send(`i ID ("X-Proxy-TTL" "1" "x-originating-ip" "203.0.113.9")`, "a LOGIN riley firetruck"),
			imaptest.Match(`^\* ID `), imaptest.Match("^i OK "),
			imaptest.Expect("a NO [UNAVAILABLE] Mail is temporarily unavailable, try again later"))
		if n := th.refused("proxy_loop"); n != 1 {
			t.Errorf("proxy_loop was counted %v times", n)
		}
	})
}

// An operator whose load balancer sends no header has to hear of it.
func TestHeaderThatIsWrongIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		th := startWith(t, func(th *theatre) {
			th.door.ProxyProtocol = networks("127.0.0.0/8")
			th.opts.Log = slog.New(slog.NewTextHandler(&log, nil))
		})
		th.client(t, imaptest.Send("a LOGIN riley firetruck"), imaptest.ExpectEOF())
		synctest.Wait()
		if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "let it send one") {
			t.Errorf("the log says %q", &log)
		}
		if strings.Contains(log.String(), "firetruck") {
			t.Error("the password is in the log")
		}
	})
}
