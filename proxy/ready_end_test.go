package proxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imapgate/imapgate/proxy/backend"
)

// Reload and drain end what is ready and what is coming, and a drain lets nothing come.
func TestReadyIsDropped(t *testing.T) {
	renew := func(r *rig) {
		o := *r.srv.options()
		b := o.Backends["b"]
		o.Registry = nil
		o.Backends = map[string]*backend.Config{"b": {Name: b.Name, Address: b.Address, TLS: b.TLS, Dial: b.Dial, Ready: b.Ready}}
		if err := r.srv.Reload(o); err != nil {
			r.t.Error(err)
		}
	}
	drain := func(r *rig) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		r.srv.Shutdown(ctx)
	}
	for name, do := range map[string]func(r *rig){"reload": renew, "drain": drain} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &patient{}
				r := readied(t, p, 2)
				r.page("riley", "firetruck")
				r.shelved(2)
				do(r)
				r.shelved(0)
				if said := p.heard()[2:]; !slices.Contains(said, "2 LOGOUT") || !slices.Contains(said, "3 LOGOUT") || len(said) != 2 {
					t.Errorf("the backend heard %q", said)
				}
				r.wantFates("dropped=2")
			})
		})
		t.Run(name+" while they come", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &patient{}
				var dials atomic.Int32
				slow := make(chan struct{})
				r := readied(t, p, 2, func(b *backend.Config) {
					dial := b.Dial
					b.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
						if n := dials.Add(1); n == 2 || n == 3 {
							select {
							case <-slow:
							case <-ctx.Done():
								return nil, ctx.Err()
							}
						}
						return dial(ctx, network, address)
					}
				})
				r.page("riley", "firetruck")
				do(r)
				close(slow)
				r.shelved(0)
				if name == "reload" {
					r.wantFates("dropped=2")
					r.page("riley", "firetruck")
					r.shelved(2)
				}
			})
		})
	}
}

// A session that goes on over a reload, or until a drain, leaves nothing behind.
func TestReadyBehindTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := readied(t, &patient{}, 2)
		old := r.srv.options().Backends["b"]
		r.page("riley", "firetruck")
		r.srv.shelf.close()
		r.page("riley", "firetruck")
		r.shelved(0)
		if n := r.srv.shelf.order(old, func() bool { return true }); n != 0 {
			t.Errorf("%d are ordered behind the end", n)
		}
		var p shelf
		if n := p.order(old, func() bool { return false }); n != 0 {
			t.Errorf("%d are ordered by old settings", n)
		}
		if p.add(old, nil) {
			t.Error("something is added that nobody has ordered")
		}
	})
}

// With reuse a connection that waits for its user goes first, and what is ready stays so.
func TestReadyAndReuse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &patient{}
		r := readied(t, p, 1, func(b *backend.Config) {
			b.Reuse = backend.Reuse{Idle: reuseIdle, Life: reuseLife, Connections: 10, PerUser: 2}
		})
		r.page("riley", "firetruck")
		r.page("riley", "firetruck")
		r.page("morgan", "firetruck")
		p.want(t, "1 "+rileys, "1 NOOP", `2 LOGIN "morgan" "firetruck"`)
		r.wantFates("used=1")
		r.waiting(2)
	})
}

// A client that may not pass another proxy is told so, ready or not.
func TestReadyAndLoops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &patient{}
		r := readied(t, p, 1)
		r.page("riley", "firetruck")
		c := r.client()
		c.must("* OK")
		c.ask("a", `ID ("x-proxy-ttl" "1")`, "OK")
		c.ask("b", "LOGIN riley firetruck", "NO")
		c.conn.Close()
		if p.logins() != 1 {
			t.Errorf("the backend heard %q", p.heard())
		}
	})
}

// What tells the backend who the client is excludes it, and it is bounded.
func TestReadyIsChecked(t *testing.T) {
	for want, b := range map[string]*backend.Config{
		"":             {Ready: backend.MaxReady, ForwardID: backend.ForwardOff, ProxyProtocol: backend.ProxyOff},
		"ID tells":     {Ready: 1, ForwardID: backend.ForwardDovecot},
		"PROXY header": {Ready: 1, ProxyProtocol: backend.ProxyV2},
		"101":          {Ready: backend.MaxReady + 1},
		"-1":           {Ready: -1},
	} {
		if err := cmp.Or(b.Check(), errors.New("")); want == "" && err.Error() != "" || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// TestReadyHammer has clients come and go while connections die, are told things, and operators reload: each
// client gets in, and nothing is left.
func TestReadyHammer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &patient{}
		r := readied(t, p, 5)
		var clients sync.WaitGroup
		for i := range 8 {
			clients.Go(func() {
				user := fmt.Sprint("user", i)
				for n := range 60 {
					c := r.client()
					c.must("* OK")
					c.ask("a", "LOGIN "+user+" firetruck", "OK")
					c.say(fmt.Sprintf("b LIST \"\" q%d\r\n", n))
					if line := c.must("* LIST"); line != fmt.Sprintf("* LIST () NIL %s-q%d", user, n) {
						t.Errorf("%s was told %q", user, line)
					}
					c.must("b OK")
					c.ask("c", "LOGOUT", "OK")
					c.end()
					c.conn.Close()
					<-time.After(rand.N(20 * time.Millisecond))
				}
			})
		}
		rigMeanwhile(&clients, 10*time.Millisecond, func() { r.disturb(p) })
		rigPass(5 * time.Minute)
		r.shelved(0)
		r.ended()
		if n := r.figure("imapgate_backend_ready_total", string(used)); n < 50 {
			t.Errorf("only %v connections were used", n)
		}
	})
}

// disturb does something to what is ready: it only ever hits connections that nobody has.
func (r *rig) disturb(p *patient) {
	switch rand.N(4) {
	case 0:
		o := *r.srv.options()
		b := o.Backends["b"]
		o.Registry = nil
		o.Backends = map[string]*backend.Config{"b": {Name: b.Name, Address: b.Address, TLS: b.TLS, Dial: b.Dial, Ready: b.Ready}}
		if err := r.srv.Reload(o); err != nil {
			r.t.Error(err)
		}
	case 1:
		r.srv.shelf.mistrust(r.srv.options().Backends["b"])
	default:
		s := &r.srv.shelf
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, k := range s.stocks {
			if len(k.waiting) > 0 {
				k.waiting[0].b.Net.SetReadDeadline(time.Now()) // its time is over
			}
		}
	}
}
