package proxy

import (
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imapgate/imapgate/proxy/imaptest"
	"github.com/imapgate/imapgate/proxy/translate"
)

const tooMany = "* BYE [UNAVAILABLE] Too many connections from your address"

func TestBlock(t *testing.T) {
	l := Options{}.withDefaults().Limits
	l.Exempt = append(l.Exempt, networks("2001:db8:ff::/48")...)
	for address, want := range map[string]string{
		"192.0.2.1":                 "192.0.2.1/32",
		"2001:db8:0:1:2:3:4:5":      "2001:db8:0:1::/64",
		"2001:db8:0:1:ffff:ffff::1": "2001:db8:0:1::/64",
		"2001:db8:0:2::1":           "2001:db8:0:2::/64",
		"127.0.0.1":                 "invalid Prefix",
		"::1":                       "::/64",
		"2001:db8:ff:1::1":          "invalid Prefix",
	} {
		if got := l.block(netip.MustParseAddr(address)).String(); got != want {
			t.Errorf("%s is counted as %s, want %s", address, got, want)
		}
	}
	if l.block(netip.Addr{}).IsValid() {
		t.Error("no address is counted")
	}
}

func TestTooManyByAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s *street
		th := startWith(t, func(th *theatre) { s, th.opts.Limits.PerIP = on(th), 2 })
		first := th.dialFrom(t, s, "192.0.2.1:1")
		run(t, first, greeted)
		run(t, th.dialFrom(t, s, "192.0.2.1:2"), greeted)
		run(t, th.dialFrom(t, s, "192.0.2.1:3"), imaptest.Expect(tooMany), imaptest.ExpectEOF())
		run(t, th.dialFrom(t, s, "192.0.2.2:1"), greeted)
		for i, address := range []string{"2001:db8::1", "2001:db8::2:1", "2001:db8:0:1::1"} {
			run(t, th.dialFrom(t, s, fmt.Sprintf("[%s]:%d", address, i+1)), greeted)
		}
		run(t, th.dialFrom(t, s, "[2001:db8::3]:1"), imaptest.Expect(tooMany), imaptest.ExpectEOF())
		for i := range 5 {
			run(t, th.dialFrom(t, s, fmt.Sprintf("127.0.0.1:%d", i+1)), greeted)
		}
		first.Close()
		synctest.Wait()
		run(t, th.dialFrom(t, s, "192.0.2.1:4"), greeted)
		run(t, th.dialFrom(t, s, "192.0.2.1:5"), imaptest.Expect(tooMany), imaptest.ExpectEOF())
		if n := th.refused("address_limit"); n != 3 {
			t.Errorf("address_limit was counted %v times", n)
		}
	})
}

// Who is over the limit costs no handshake, and an attack does not make us write.
func TestTooManyAreClosedWithoutAWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		door, _ := secureDoor(t, ImplicitTLS)
		var s *street
		th := startWith(t, func(th *theatre) {
			door(th)
			s, th.opts.Limits.PerIP = on(th), 1
		})
		th.dialFrom(t, s, "192.0.2.1:1")
		run(t, th.dialFrom(t, s, "192.0.2.1:2"), imaptest.ExpectEOF())
	})
	synctest.Test(t, func(t *testing.T) {
		var s *street
		th := startWith(t, func(th *theatre) { s, th.opts.Limits.PerIP = on(th), 1 })
		th.dialFrom(t, s, "192.0.2.1:1")
		for i := range farewellsPerSecond {
			run(t, th.dialFrom(t, s, fmt.Sprintf("192.0.2.1:%d", i+2)), imaptest.Expect(tooMany), imaptest.ExpectEOF())
		}
		run(t, th.dialFrom(t, s, "192.0.2.1:100"), imaptest.ExpectEOF())
		<-time.After(time.Second)
		run(t, th.dialFrom(t, s, "192.0.2.1:101"), imaptest.Expect(tooMany), imaptest.ExpectEOF())
	})
}

// Behind a proxy that sends headers, its own address says nothing.
func TestTooManyByHeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s *street
		th := startWith(t, func(th *theatre) {
			s, th.opts.Limits.PerIP = on(th), 1
			th.door.ProxyProtocol = networks("10.0.0.0/8")
		})
		say := func(client string) imaptest.Step {
			return imaptest.Send("PROXY TCP4 " + client + " 10.0.0.1 12345 143")
		}
		run(t, th.dialFrom(t, s, "10.0.0.9:1"), say("192.0.2.1"), greeted)
		run(t, th.dialFrom(t, s, "10.0.0.9:2"), say("192.0.2.2"), greeted)
		run(t, th.dialFrom(t, s, "10.0.0.9:3"), say("192.0.2.1"), imaptest.Expect(tooMany), imaptest.ExpectEOF())
		run(t, th.dialFrom(t, s, "192.0.2.1:4"), imaptest.Expect(tooMany), imaptest.ExpectEOF())
		run(t, th.dialFrom(t, s, "10.0.0.9:5"), say("127.0.0.1"), greeted)
		run(t, th.dialFrom(t, s, "10.0.0.9:6"), say("127.0.0.1"), greeted)
	})
}

// Over the limit of all nobody is turned away: who comes waits.
func TestTooManyInAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := startWith(t, func(th *theatre) { th.opts.Limits.Connections = 2 })
		first, second, third := th.dial(t), th.dial(t), th.dial(t)
		defer second.Close()
		defer third.Close()
		synctest.Wait()
		if third.Buffered() > 0 {
			t.Error("a third connection was greeted")
		}
		first.Close()
		synctest.Wait()
		run(t, second, greeted)
		run(t, third, greeted)
	})
}

func TestTooManyByUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := startWith(t, func(th *theatre) { th.opts.Limits.PerUser = 1 })
		(&imaptest.Backend{Store: imaptest.NewStore(), Password: "firetruck"}).Start(t, th.backends)
		first := th.dial(t)
		run(t, first, greeted, imaptest.Send("a LOGIN riley firetruck"), loggedIn)
		over := th.dial(t)
		defer over.Close()
		run(t, over, greeted, imaptest.Send("a LOGIN Riley firetruck"),
			imaptest.Expect("a NO [LIMIT] Too many connections of this user"),
			imaptest.Send("a LOGIN morgan firetruck"), loggedIn)
		synctest.Wait()
		if n := th.server.options().Table.Live("old"); n != 2 {
			t.Errorf("%d leases are held, want 2", n)
		}
		run(t, first, imaptest.Send("b LOGOUT"), imaptest.Match(`^\* BYE `), imaptest.Match("^b OK "), imaptest.ExpectEOF())
		first.Close()
		synctest.Wait()
		again := th.dial(t)
		defer again.Close()
		run(t, again, greeted, imaptest.Send("a LOGIN riley firetruck"), loggedIn)
		if n := th.refused("user_limit"); n != 1 {
			t.Errorf("user_limit was counted %v times", n)
		}
	})
}

// Who does not know the password can neither find out that a user is at his limit nor take his places.
func TestLimitOfUserIsNotTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := startWith(t, func(th *theatre) { th.opts.Limits.PerUser = 1 })
		(&imaptest.Backend{Store: imaptest.NewStore(), User: "riley", Password: "firetruck"}).Start(t, th.backends)
		c := th.dial(t)
		defer c.Close()
		run(t, c, greeted, imaptest.Send("a LOGIN riley firetruck"), loggedIn)
		th.client(t, greeted, imaptest.Send("a LOGIN riley wrong"),
			imaptest.Match(`^a NO \[AUTHENTICATIONFAILED\] `))
	})
}

// TestUnixSocket is over a real one: passwords are taken, nothing is counted, and there is no address.
func TestUnixSocket(t *testing.T) {
	ln, err := net.Listen("unix", filepath.Join(t.TempDir(), "imap.sock"))
	if err != nil {
		t.Fatal(err)
	}
	th := startWith(t, func(th *theatre) {
		th.door = Listener{Name: "local", Listener: ln, TLS: NoTLS, Transport: Local}
		th.opts.Limits.PerIP = 1
	})
	th.serveMail(t)
	dial := func() net.Conn {
		c, err := net.Dial("unix", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	for range 2 {
		run(t, dial(), imaptest.Expect("* OK [CAPABILITY "+capsBefore+" AUTH=PLAIN AUTH=LOGIN] imapgate ready"),
			imaptest.Send("a LOGIN riley firetruck", "b NOOP"), loggedIn, imaptest.Match("^b OK "))
	}
	for _, info := range th.server.Sessions() {
		if info.Client != "unix" {
			t.Errorf("the client is %s", info.Client)
		}
	}
}

// On a Unix socket who may connect is a matter of its permissions, so every peer is trusted with a header.
func TestHeaderOnUnixSocket(t *testing.T) {
	ln, err := net.Listen("unix", filepath.Join(t.TempDir(), "imap.sock"))
	if err != nil {
		t.Fatal(err)
	}
	th := startWith(t, func(th *theatre) {
		th.door = Listener{Name: "local", Listener: ln, TLS: NoTLS, Transport: Local, ProxyProtocol: networks("10.0.0.0/8")}
	})
	th.serveMail(t)
	c, err := net.Dial("unix", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	run(t, c, imaptest.SendRaw(v2(0x21, 0x11, tcp4)+"a LOGIN riley firetruck\r\nb NOOP\r\n"), greeted, loggedIn, imaptest.Match("^b OK "))
	if got := th.server.Sessions()[0].Client; got != "192.0.2.1:12345" {
		t.Errorf("the client is %s", got)
	}
}

// Each session has the policy of its listener, backend and route.
func TestPolicies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := make(chan [3]string, 1)
		th := startWith(t, func(th *theatre) {
			th.opts.Policies = func(listener, backend, route string) translate.Policy {
				if backend != "" { // before login only the listener counts
					asked <- [3]string{listener, backend, route}
				}
				return translate.Policy{XGWMove: translate.XGWMoveOff, Move: translate.MoveOff, PassCommands: []string{"XFOO"}}
			}
		})
		th.serveMail(t)
		c := th.dial(t)
		defer c.Close()
		run(t, c, greeted, imaptest.Send("a LOGIN riley firetruck", "b XGWEXTENSIONS"), loggedIn, imaptest.Expect("b BAD Unknown command"))
		if got := <-asked; got != [3]string{"imap", "old", "#1"} {
			t.Errorf("asked for %q", got)
		}
	})
}
