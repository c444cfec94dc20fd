package routing

import (
	"sync"
	"sync/atomic"
)

// State is what is known of backends while the proxy runs, by name. It outlives tables: give it to
// each new one.
type State struct {
	mu       sync.Mutex
	backends map[string]*live
}

// live is the state of one backend. Leases point at it, so it outlives its place in any table.
type live struct {
	sessions atomic.Int64
}

// NewState returns a state without sessions.
func NewState() *State { return &State{backends: make(map[string]*live)} }

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
	l := s.backends[name]
	if l == nil {
		l = new(live)
		s.backends[name] = l
	}
	return l
}

// A Lease is a place on a backend. It counts as a session there until it is released. Copies of a
// lease are one lease.
type Lease struct {
	Backend string
	held    *atomic.Pointer[live]
}

func lease(backend string, l *live) Lease {
	l.sessions.Add(1)
	held := new(atomic.Pointer[live])
	held.Store(l)
	return Lease{Backend: backend, held: held}
}

// Release gives the place back. Every further call, and that of a zero Lease, does nothing.
func (l Lease) Release() {
	if l.held == nil {
		return
	}
	if b := l.held.Swap(nil); b != nil {
		b.sessions.Add(-1)
	}
}
