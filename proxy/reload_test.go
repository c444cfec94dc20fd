package proxy

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/imapgate/imapgate/proxy/backend"
	"github.com/imapgate/imapgate/proxy/imaptest"
	"github.com/imapgate/imapgate/proxy/translate"
	"github.com/imapgate/imapgate/routing"
)

// renewed are options that lead everybody to a backend "new", and change policy and limits.
func renewed(t *testing.T, th *theatre, l *imaptest.Listener) Options {
	o := th.opts
	o.Table = table(t, routing.Config{
		Backends: []routing.Backend{{Name: "new"}}, Routes: []routing.Route{{Backend: "new"}}, State: th.opts.Table.State(),
	})
	o.Backends = map[string]*backend.Config{"new": {Name: "new", Address: "new:143", TLS: backend.None, Dial: l.DialContext}}
	o.Policy = translate.Policy{XGWMove: translate.XGWMoveOff, Move: translate.MoveOff}
	o.Limits.Line = 1000
	o.Registry = nil
	return o
}

// A reload changes nothing for who is logged in, and everything for who logs in from then on.
func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := startWith(t, func(*theatre) {})
		fresh := imaptest.Listen()
		old, renew := serveMail(t, th.backends), serveMail(t, fresh)
		stays, waits := th.dial(t), th.dial(t)
		defer stays.Close()
		defer waits.Close()
		run(t, stays, greeted, imaptest.Send("a LOGIN riley firetruck"), loggedIn)
		run(t, waits, greeted)

		if err := th.server.Reload(renewed(t, th, fresh)); err != nil {
			t.Fatal(err)
		}
		long := "b NOOP" + strings.Repeat(" ", 2000)
		run(t, stays, imaptest.Send("b XGWEXTENSIONS"), imaptest.Match(`^\* XGWEXTENSIONS `), imaptest.Match("^b OK "),
			imaptest.Send(`b LIST "" `+strings.Repeat("x", 2000)), imaptest.Match("^b OK "))
		run(t, waits, imaptest.Send("a LOGIN morgan firetruck"), loggedIn, imaptest.Send("b XGWEXTENSIONS"), imaptest.Match("^b BAD "),
			imaptest.Send(long), imaptest.Match("^b BAD "), imaptest.Send("b NOOP"), imaptest.Match("^b OK "))
		if told := renew.Commands(); !strings.HasSuffix(strings.Join(told, " "), "NOOP") || len(old.Commands()) == 0 {
			t.Errorf("the new one was told %q, the old one %q", told, old.Commands())
		}
		table := th.server.options().Table
		if table.Live("old") != 1 || table.Live("new") != 1 {
			t.Errorf("%d sessions at the old one, %d at the new one", table.Live("old"), table.Live("new"))
		}
	})
}

// Options that nobody logs in with any more are not kept by what sessions have shared.
func TestReloadLetsGoOfOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rigStart(t, rigSetup{})
		(&patient{}).start(r)
		for range 3 {
			c := r.client()
			c.login()
			c.conn.Close()
			o := *r.srv.options()
			o.Registry = nil
			if err := r.srv.Reload(o); err != nil {
				t.Fatal(err)
			}
		}
		r.client().login()
		for key := range r.srv.stacks.all {
			if key.opts != r.srv.options() {
				t.Errorf("of %d sets of options one is not the server's", len(r.srv.stacks.all))
			}
		}
		if len(r.srv.stacks.all) != 1 {
			t.Errorf("%d stacks are kept, want 1", len(r.srv.stacks.all))
		}
	})
}

// What is wrong changes nothing.
func TestReloadThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := startWith(t, func(*theatre) {})
		serveMail(t, th.backends)
		before := th.server.options()
		for want, change := range map[string]func(*Options){
			"routing table":        func(o *Options) { o.Table = nil },
			"at least one backend": func(o *Options) { o.Backends = nil },
			"no TLS configuration": func(o *Options) { o.Backends["new"].TLS = backend.StartTLS },
			"registry":             func(o *Options) { o.Registry = prometheus.NewRegistry() },
			"old one's State": func(o *Options) {
				o.Table = table(t, routing.Config{Backends: []routing.Backend{{Name: "new"}}, Routes: []routing.Route{{Backend: "new"}}})
			},
		} {
			o := renewed(t, th, imaptest.Listen())
			change(&o)
			if err := th.server.Reload(o); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("want an error of %q, got %v", want, err)
			}
			if th.server.options() != before {
				t.Errorf("%s: the options changed", want)
			}
		}
		th.client(t, greeted, imaptest.Send("a LOGIN riley firetruck"), loggedIn, imaptest.Send("b XGWEXTENSIONS"),
			imaptest.Match(`^\* XGWEXTENSIONS `))
	})
}

// More places let in who waits; fewer turn nobody out.
func TestReloadOfLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := startWith(t, func(th *theatre) { th.opts.Limits.Connections = 1 })
		serveMail(t, th.backends)
		conns := []*imaptest.Conn{th.dial(t), th.dial(t), th.dial(t), th.dial(t)}
		greet := func(want int) {
			t.Helper()
			synctest.Wait()
			n := 0
			for _, c := range conns {
				if c.Buffered() > 0 {
					n++
				}
			}
			if n != want {
				t.Errorf("%d of them were greeted, want %d", n, want)
			}
		}
		set := func(connections int) {
			t.Helper()
			o := th.opts
			o.Limits.Connections = connections
			if err := th.server.Reload(o); err != nil {
				t.Fatal(err)
			}
		}
		// One that is accepted already, or is about to be, comes in with each place that is free.
		greet(1)
		set(3)
		greet(3)
		set(1)
		conns[0].Close()
		conns = conns[1:]
		greet(2)
		conns[0].Close()
		conns[1].Close()
		conns = conns[2:]
		greet(1)
		conns[0].Close()
	})
}

// TestReloadUnderTraffic reloads again and again while clients come, work and go: no command fails, and
// every session ends where it began.
func TestReloadUnderTraffic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := startWith(t, func(*theatre) {})
		fresh := imaptest.Listen()
		serveMail(t, th.backends)
		serveMail(t, fresh)
		var clients sync.WaitGroup
		for i := range 8 {
			c := th.dial(t)
			clients.Go(func() { defer c.Close(); works(t, c, i) })
		}
		turns := []Options{renewed(t, th, fresh), th.opts}
		turns[1].Registry = nil
		for i := range 200 {
			if err := th.server.Reload(turns[i%2]); err != nil {
				t.Fatal(err)
			}
			if i%10 == 0 {
				c := th.dial(t)
				clients.Go(func() { defer c.Close(); works(t, c, 100+i) })
			}
			<-time.After(time.Millisecond)
		}
		clients.Wait()
		synctest.Wait()
		table := th.server.options().Table
		if table.Live("old") != 0 || table.Live("new") != 0 {
			t.Errorf("%d leases of the old one, %d of the new one are held", table.Live("old"), table.Live("new"))
		}
	})
}

// works is a client that logs in and asks for something fifty times, each a millisecond after the other.
func works(t *testing.T, c net.Conn, i int) {
	r := bufio.NewReader(c)
	ask := func(tag, command string) bool {
		fmt.Fprintf(c, "%s %s\r\n", tag, command)
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				t.Errorf("client %d, %s: %v", i, command, err)
				return false
			}
			if status, tagged := strings.CutPrefix(line, tag+" "); tagged {
				if !strings.HasPrefix(status, "OK ") {
					t.Errorf("client %d, %s: %s", i, command, status)
				}
				return true
			}
		}
	}
	if !ask("a", "LOGIN riley firetruck") || !ask("b", "SELECT INBOX") {
		return
	}
	for n := range 50 {
		<-time.After(time.Millisecond)
		if !ask(fmt.Sprint("c", n), "NOOP") {
			return
		}
	}
	ask("d", "LOGOUT")
}
