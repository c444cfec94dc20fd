package proxy

import (
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"regexp"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imapgate/imapgate/proxy/auth"
	"github.com/imapgate/imapgate/proxy/backend"
	"github.com/imapgate/imapgate/proxy/imaptest"
	"github.com/imapgate/imapgate/proxy/wire"
)

// listed finds what LIST of a patient backend has told: the user, and what was asked for.
var listed = regexp.MustCompile(`(?m)^\* LIST \(\) NIL (\S+)-(\S+)\r$`)

// TestReuseHammer has two users with two passwords each come and go in every order, leave in order or not,
// do what leaves traces, and be told things too late, while operators kick and reload: nobody ever hears
// of what another session has asked.
func TestReuseHammer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &patient{}
		r := reusing(t, p, func(b *backend.Config) { b.Reuse.PerUser = 5 })
		var clients sync.WaitGroup
		for i := range 8 {
			clients.Go(func() {
				for n := range 60 {
					r.visit(fmt.Sprint(i, "x", n), []string{"riley", "morgan"}[rand.N(2)], []string{"firetruck", "other"}[rand.N(2)])
					<-time.After(rand.N(5 * time.Millisecond))
				}
			})
		}
		rigMeanwhile(&clients, 20*time.Millisecond, r.trouble)
		rigPass(5 * time.Minute)
		r.waiting(0)
		r.ended()
		if n := r.figure("imapgate_backend_reuse_total", string(reused)); n < 20 {
			t.Errorf("only %v connections were used again: %s", n, r.results())
		}
	})
}

// Somebody who logs in while the session before is not yet gone has the connection for himself: who ends that
// one ends only that one.
func TestReuseAndLateKick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &patient{}
		r := reusing(t, p)
		before := r.client()
		before.must("* OK")
		before.ask("a", "LOGIN riley firetruck", "OK")
		synctest.Wait()
		id := r.session()
		before.ask("z", "LOGOUT", "OK")
		before.end() // but it does not hang up
		synctest.Wait()
		c := r.client()
		c.must("* OK")
		c.ask("a", "LOGIN riley firetruck", "OK")
		if !r.srv.Kick(id) || p.logins() != 1 {
			t.Errorf("the session is gone already, or the connection was not used again: %q", p.heard())
		}
		rigPass(time.Second)
		c.ask("b", "NOOP", "OK")
		c.ask("z", "LOGOUT", "OK")
		before.conn.Close()
		c.end()
	})
}

// A connection is not taken that said something in the very moment.
func TestTakeWhatSpeaksNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := reusing(t, &patient{})
		near, far := imaptest.Pipe()
		defer far.Close()
		b := &backend.Conn{Config: r.srv.options().Backends["b"], Net: wire.NewConn(near)}
		p := &r.srv.spares
		sp := &spare{lull: lull{b: b, done: make(chan struct{})}, key: p.key(b.Config, auth.Password("riley", "firetruck")), m: r.srv.metrics.reuse("b")}
		if f := p.add(sp, func() bool { return true }); f != kept {
			t.Fatal(f)
		}
		got := make(chan *spare)
		go func() { got <- p.take(sp.key) }()
		synctest.Wait()
		close(sp.done) // and it was not silent
		if <-got != nil {
			t.Error("it was taken")
		}
		if _, err := far.Read(make([]byte, 1)); err == nil {
			t.Error("it was not closed")
		}
		r.waiting(0)
	})
}

// trouble is something that an operator does.
func (r *rig) trouble() {
	switch rand.N(4) {
	case 0:
		if all := r.srv.Sessions(); len(all) > 0 {
			r.srv.Kick(all[0].ID)
		}
	case 1:
		o := *r.srv.options()
		b := o.Backends["b"]
		o.Registry, o.Backends = nil, maps.Clone(o.Backends)
		o.Backends["b"] = &backend.Config{Name: b.Name, Address: b.Address, TLS: b.TLS, Dial: b.Dial, Reuse: b.Reuse}
		if err := r.srv.Reload(o); err != nil {
			r.t.Error(err)
		}
	}
}

// visit is one session. Whatever it hears it has asked for.
func (r *rig) visit(nonce, user, password string) {
	c := r.client()
	defer c.conn.Close()
	c.say("a LOGIN " + user + " " + password + "\r\n")
	asked := map[string]bool{}
	for i := range rand.N(4) {
		what := []string{"soon", "late"}[min(1, rand.N(8)/7)] + nonce + fmt.Sprint("x", i)
		asked[what] = true
		c.say(fmt.Sprintf("b%d LIST \"\" %s\r\n", i, what))
	}
	switch rand.N(8) {
	case 0:
		c.say("c ENABLE CONDSTORE\r\n")
	case 1, 2, 3:
		c.say("c SELECT INBOX\r\n")
	}
	switch rand.N(10) {
	case 0:
		io.WriteString(c.conn, "d APPEND x {100+}\r\nabc")
	case 1:
		<-time.After(rand.N(2 * time.Millisecond))
	default:
		c.say("d LOGOUT\r\ne LIST \"\" never\r\n")
		c.end()
	}
	c.conn.Close()
	got, _ := c.end()
	for _, m := range listed.FindAllStringSubmatch(string(got), -1) {
		if m[1] != user || !asked[m[2]] {
			r.t.Errorf("%s, who has asked for %v, hears of %s's %s", user, asked, m[1], m[2])
		}
	}
}
