package proxy

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imapgate/imapgate/proxy/backend"
	"github.com/imapgate/imapgate/routing"
)

// What waits counts at the backend, so it goes where the backend lets nobody in for that.
func TestReuseMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := reusing(t, &patient{answer: map[string]string{`LOGIN "riley" "other"`: "NO [LIMIT] too many"}})
		r.page("riley", "firetruck")
		r.page("morgan", "firetruck")
		c := r.client()
		c.must("* OK")
		c.ask("a", "LOGIN riley other", "NO [LIMIT]")
		r.waiting(1)
		c.conn.Close()
	})
}

// Reload, drain and kick end what waits.
func TestReuseIsDropped(t *testing.T) {
	for name, do := range map[string]func(r *rig){
		"reload": func(r *rig) {
			o := *r.srv.options()
			b := o.Backends["b"]
			o.Registry = nil
			o.Backends = map[string]*backend.Config{"b": {Name: b.Name, Address: b.Address, TLS: b.TLS, Dial: b.Dial, Reuse: b.Reuse}}
			if err := r.srv.Reload(o); err != nil {
				r.t.Error(err)
			}
		},
		"kick": func(r *rig) {
			c := r.client()
			c.must("* OK")
			c.ask("a", "LOGIN riley other", "OK")
			synctest.Wait()
			r.srv.Kick(r.session())
			c.end()
			c.conn.Close()
		},
		"drain": func(r *rig) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			r.srv.Shutdown(ctx)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &patient{}
				r := reusing(t, p)
				r.page("riley", "firetruck")
				r.waiting(1)
				do(r)
				r.waiting(0)
				rigPass(5 * time.Second)
				r.ended()
				if !slices.Contains(p.heard(), "1 LOGOUT") {
					t.Errorf("the backend heard %q", p.heard())
				}
				r.wantResults("kept=1 dropped=1")
			})
		})
	}
}

// A reload while somebody is logged in: the connection is of the old settings, and is not kept.
func TestReuseAfterReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &patient{}
		r := reusing(t, p)
		c := r.client()
		c.login()
		o := *r.srv.options()
		b := o.Backends["b"]
		o.Registry = nil
		o.Backends = map[string]*backend.Config{"b": {Name: b.Name, Address: b.Address, TLS: b.TLS, Dial: b.Dial, Reuse: b.Reuse}}
		if err := r.srv.Reload(o); err != nil {
			t.Fatal(err)
		}
		c.ask("z", "LOGOUT", "OK")
		c.end()
		c.conn.Close()
		r.waiting(0)
		r.page("riley", "firetruck")
		r.waiting(1)
		r.page("riley", "firetruck")
		if p.logins() != 2 {
			t.Errorf("the backend heard %q", p.heard())
		}
	})
}

// A user name that may be a master user's is never kept, and nothing is without the setting.
func TestReuseIsNotForAll(t *testing.T) {
	for name, tt := range map[string]struct {
		user   string
		change func(*backend.Config)
	}{
		"master user": {"riley*admin", func(*backend.Config) {}},
		"off":         {"riley", func(b *backend.Config) { b.Reuse = backend.Reuse{} }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &patient{}
				r := reusing(t, p, tt.change)
				for range 2 {
					r.page(`"`+tt.user+`"`, "firetruck")
				}
				r.waiting(0)
				if p.logins() != 2 {
					t.Errorf("the backend heard %q", p.heard())
				}
			})
		})
	}
}

// What tells the backend who the client is excludes it.
func TestReuseAndTheClientsAddress(t *testing.T) {
	on := backend.Reuse{Idle: time.Minute, Life: time.Minute, Connections: 1, PerUser: 1}
	for name, tt := range map[string]struct {
		c    *backend.Config
		want string
	}{
		"nothing": {&backend.Config{Reuse: on}, ""},
		"off":     {&backend.Config{ForwardID: backend.ForwardDovecot, ProxyProtocol: backend.ProxyV2}, ""},
		"ID":      {&backend.Config{Reuse: on, ForwardID: backend.ForwardDovecot}, "ID tells"},
		"PROXY":   {&backend.Config{Reuse: on, ProxyProtocol: backend.ProxyV1}, "PROXY header"},
		"bounds":  {&backend.Config{Reuse: backend.Reuse{Idle: time.Minute}}, "bounds"},
	} {
		t.Run(name, func(t *testing.T) {
			tt.c.TLS = backend.None
			routes := table(t, routing.Config{Backends: []routing.Backend{{Name: "b"}}, Routes: []routing.Route{{Backend: "b"}}})
			_, err := NewServer(Options{Backends: map[string]*backend.Config{"b": tt.c}, Table: routes})
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
