package proxy

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/imapgate/imapgate/proxy/auth"
	"github.com/imapgate/imapgate/proxy/backend"
	"github.com/imapgate/imapgate/routing"
)

// readyLife is how long a connection waits for a login. Servers close those that do not log in after a minute
// (Courier) to three (Dovecot). None is replaced when its time is over: the next login does that, so that
// there are none where nobody logs in.
const readyLife = 40 * time.Second

// A backend to which no connection could be made ahead of logins is left alone for readyPause, and twice as
// long after each further failure, readyPauseMost at most.
const (
	readyPause     = time.Second
	readyPauseMost = time.Minute
)

// A ready is a backend connection that has not heard of any user: TLS stands and the greeting was read. One
// goroutine, [Server.makeReady], owns it until a login takes it.
type ready struct {
	lull
	fate fate // under shelf.mu
}

// Fates of a ready connection, besides those that it shares with spares.
const (
	used   fate = "used"   // a login went by it
	failed fate = "failed" // it could not be made
)

// A shelf is what is ready. The zero value is empty. backend.Config.Ready is the bound for each backend.
type shelf struct {
	mu     sync.Mutex
	closed bool
	stocks map[*backend.Config]*stock
}

// A stock is what is ready at one backend.
type stock struct {
	waiting []*ready // the oldest first
	coming  int
	pause   time.Duration // behind the last failure; 0 behind a success
	until   time.Time     // its end
}

// order returns how many connections are missing, and counts them as coming. current says whether the backend's
// settings still hold; it is called under the lock that a reload takes to drop what it has changed.
func (p *shelf) order(cfg *backend.Config, current func() bool) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || !current() {
		return 0
	}
	if p.stocks == nil {
		p.stocks = make(map[*backend.Config]*stock)
	}
	if p.stocks[cfg] == nil {
		p.stocks[cfg] = &stock{}
	}
	k := p.stocks[cfg]
	n := cfg.Ready - len(k.waiting) - k.coming
	if n <= 0 || time.Now().Before(k.until) {
		return 0
	}
	k.coming += n
	return n
}

// add lets one that was ordered wait; nil is one that could not be made. It is false where nobody wants it any
// more.
func (p *shelf) add(cfg *backend.Config, r *ready) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	k := p.stocks[cfg]
	if k == nil {
		return false
	}
	k.coming = max(k.coming-1, 0) // the settings may have gone and come back meanwhile
	if now := time.Now(); r == nil {
		if !now.Before(k.until) { // failures of many at once are one
			k.pause = min(max(2*k.pause, readyPause), readyPauseMost)
			k.until = now.Add(k.pause)
		}
		return false
	}
	k.pause = 0
	if p.closed || len(k.waiting) >= cfg.Ready {
		return false
	}
	k.waiting = append(k.waiting, r)
	return true
}

// remove takes r out, to meet its fate; false where it has met another one. The lock is held.
func (p *shelf) remove(r *ready, f fate) bool {
	k := p.stocks[r.b.Config]
	if r.fate != waits || k == nil {
		return false
	}
	r.fate = f
	k.waiting = slices.DeleteFunc(k.waiting, func(one *ready) bool { return one == r })
	return true
}

// take returns the connection that has waited the longest, with nothing read and nothing to be read of it; nil
// where there is none.
func (p *shelf) take(cfg *backend.Config) *ready {
	for {
		p.mu.Lock()
		k := p.stocks[cfg]
		if k == nil || len(k.waiting) == 0 {
			p.mu.Unlock()
			return nil
		}
		r := k.waiting[0]
		p.remove(r, used)
		p.mu.Unlock()
		if r.wake() {
			r.b.Net.SetReadDeadline(time.Time{})
			return r
		}
	}
}

// clear ends what is ready at a backend. The lock is held.
func (p *shelf) clear(cfg *backend.Config) {
	k := p.stocks[cfg]
	if k == nil {
		return
	}
	for _, r := range slices.Clone(k.waiting) {
		p.remove(r, dropped)
		r.hush()
	}
}

// mistrust ends what is ready at a backend that is found dead.
func (p *shelf) mistrust(cfg *backend.Config) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear(cfg)
}

// reload ends what is ready at backends whose settings are not those of the options any more; what still comes
// for them is not wanted.
func (p *shelf) reload(o *Options) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for cfg := range p.stocks {
		if o.Backends[cfg.Name] != cfg {
			p.clear(cfg)
			delete(p.stocks, cfg)
		}
	}
}

// close ends all, and lets none wait any more.
func (p *shelf) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for cfg := range p.stocks {
		p.clear(cfg)
	}
}

// restock makes ready what is missing at a backend that has just let somebody in.
func (s *Server) restock(cfg *backend.Config) {
	if cfg.Ready <= 0 {
		return
	}
	for range s.shelf.order(cfg, func() bool { return s.options().Backends[cfg.Name] == cfg }) {
		s.conns.Add(1) // whoever was let in is still counted
		go func() {
			defer s.conns.Done()
			s.makeReady(cfg)
		}()
	}
}

// makeReady makes one connection that was ordered, and waits until something happens to it.
func (s *Server) makeReady(cfg *backend.Config) {
	count := func(f fate) { s.metrics.ready.WithLabelValues(cfg.Name, string(f)).Inc() }
	b, err := s.dial(s.stopping, cfg, backend.Origin{})
	if err == nil && !b.Idle() {
		err = errors.New("the backend says what nobody has asked for")
		b.Net.Abort()
	}
	if err != nil {
		s.shelf.add(cfg, nil)
		if s.stopping.Err() == nil {
			count(failed)
			s.options().Log.Warn("no connection could be made ahead of logins", "backend", cfg.Name, "error", err)
		}
		return
	}
	r := &ready{lull: lull{b: b, done: make(chan struct{})}}
	b.Net.SetReadDeadline(time.Now().Add(readyLife))
	if !s.shelf.add(cfg, r) {
		b.Net.Abort()
		count(dropped)
		return
	}
	r.listen()
	f := s.shelf.ended(r)
	close(r.done)
	switch {
	case f == used && r.silent:
		return // it belongs to whoever took it, who counts it
	case f == used:
		f = ended
	}
	count(f)
	r.over(s.cutting)
}

// ended decides on the fate of one that was listened to, where nobody has yet.
func (p *shelf) ended(r *ready) fate {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.remove(r, ended) && r.silent {
		r.fate = expired
	}
	return r.fate
}

// dial connects to a backend.
func (s *Server) dial(ctx context.Context, cfg *backend.Config, from backend.Origin) (*backend.Conn, error) {
	defer s.lookUp(cfg)
	begin, result := time.Now(), "ok"
	b, err := cfg.Open(backend.Within(ctx, s.options().Timeouts.Connect), from)
	if err != nil {
		result = "failed"
	}
	s.metrics.connectTime.WithLabelValues(cfg.Name, result).Observe(time.Since(begin).Seconds())
	return b, err
}

// logInReady logs in by a connection that is ready. It returns nil and no error where there is none, or where it
// died before the backend has said anything to the login: then the login may be tried once more, by a new one.
func (s *session) logInReady(ctx context.Context, lease routing.Lease, creds auth.Credentials) (*backend.Conn, error) {
	cfg := s.opts.Backends[lease.Backend]
	if cfg.Ready <= 0 || s.ttl == 1 { // that must not pass another proxy
		return nil, nil
	}
	r := s.srv.shelf.take(cfg)
	if r == nil {
		return nil, nil
	}
	result := s.srv.metrics.ready.MustCurryWith(prometheus.Labels{"backend": cfg.Name})
	before := r.b.Net.BytesIn()
	err := s.logIn(ctx, r.b, creds)
	answered := r.b.Net.BytesIn() > before
	var e *backend.Error
	if !answered && ctx.Err() == nil && errors.As(err, &e) && e.Kind == backend.Unreachable {
		r.b.Net.Abort()
		result.WithLabelValues(string(dead)).Inc()
		s.srv.shelf.mistrust(cfg) // they went the same way
		return nil, nil
	}
	result.WithLabelValues(string(used)).Inc()
	if answered {
		lease.Reached()
	}
	return r.b, err
}
