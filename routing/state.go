package routing

import (
	"sync"
	"sync/atomic"
	"time"
)

// State is what is known of backends and pools while the proxy runs, by name. It outlives tables: give
// it to each new one.
type State struct {
	mu       sync.Mutex
	backends map[string]*live
	turns    map[string]*atomic.Uint64 // of pools, for round_robin
}

// NewState returns a state without sessions.
func NewState() *State {
	return &State{backends: make(map[string]*live), turns: make(map[string]*atomic.Uint64)}
}

// Live returns how many leases of a backend are held; 0 for one that nobody has heard of.
func (s *State) Live(backend string) (sessions int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.backends[backend]; l != nil {
		return l.sessions.Load()
	}
	return 0
}

// backend returns the state of a backend, which begins here if it is new.
func (s *State) backend(name string) *live {
	s.mu.Lock()
	defer s.mu.Unlock()
	return known(s.backends, name)
}

func (s *State) turn(pool string) *atomic.Uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return known(s.turns, pool)
}

func known[T any](m map[string]*T, name string) *T {
	v := m[name]
	if v == nil {
		v = new(T)
		m[name] = v
	}
	return v
}

// live is the state of one backend. Leases point at it, so it outlives its place in any table.
type live struct {
	sessions atomic.Int64

	mu       sync.Mutex
	failures int       // counted since it was last reached
	until    time.Time // it is left out before this time
	trial    *place    // the one that tries whether it is back
}

// A place is what makes one lease one: copies share it. It is empty when the lease is released.
type place struct{ atomic.Pointer[live] }

// take counts a session unless there are max already; 0 is any number.
func (l *live) take(max int64) bool {
	for {
		n := l.sessions.Load()
		if max > 0 && n >= max {
			return false
		}
		if l.sessions.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// The first failure leaves a backend out for firstWhile; each further one doubles that up to lastWhile.
const (
	firstWhile = time.Second
	lastWhile  = time.Minute
)

// while is how long a backend is left out after so many failures.
func while(failures int) time.Duration {
	return min(firstWhile<<min(failures-1, 10), lastWhile)
}

func (l *live) leftOut(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return now.Before(l.until)
}

// begin makes the first who comes when the while is over the one that tries: the backend stays left out
// for the others, who would all wait together if it is still down, until that one knows more.
func (l *live) begin(p *place, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failures > 0 && !now.Before(l.until) {
		l.trial, l.until = p, now.Add(while(l.failures))
	}
}

func (l *live) unreachable(p *place, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Before(l.until) && l.trial != p {
		return // the same outage, met by many at once, is one failure
	}
	l.failures++
	l.trial, l.until = nil, now.Add(while(l.failures))
}

func (l *live) reached() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failures, l.trial, l.until = 0, nil, time.Time{}
}

// A Lease is a place on a backend. It counts as a session there until it is released. Copies of a
// lease are one lease.
type Lease struct {
	Backend string
	live    *live
	place   *place
}

// lease returns false where the member is full.
func (m *member) lease(now time.Time) (Lease, bool) {
	if !m.live.take(m.max) {
		return Lease{}, false
	}
	p := new(place)
	p.Store(m.live)
	m.live.begin(p, now)
	return Lease{Backend: m.name, live: m.live, place: p}, true
}

// Release gives the place back. Every further call, and that of a zero Lease, does nothing.
func (l Lease) Release() {
	if l.place == nil {
		return
	}
	if b := l.place.Swap(nil); b != nil {
		b.sessions.Add(-1)
	}
}

// Unreachable says that this backend could not be reached (dial, TLS, greeting), also after Release.
// In pools with a shared store it is then left out while another member is there: for a second, and
// twice as long after each further failure, a minute at most. Failures of many at once are one. When
// the while is over one login tries it first. A zero Lease does nothing.
func (l Lease) Unreachable() {
	if l.live != nil {
		l.live.unreachable(l.place, time.Now())
	}
}

// Reached says that this backend was reached, and forgets what Unreachable said.
func (l Lease) Reached() {
	if l.live != nil {
		l.live.reached()
	}
}
