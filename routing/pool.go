package routing

import (
	"cmp"
	"slices"
	"sync/atomic"
)

// A pool is a Pool made ready, or the one backend of a route that names one.
type pool struct {
	name    string // "" for a route's backend
	members []member
	balance Balance
	shared  bool           // any member will do
	turn    *atomic.Uint64 // of round_robin; in the State
}

// A member is a backend in a pool.
type member struct {
	name   string
	weight int
	max    int64 // 0 is any number
	live   *live
}

func (b Backend) member(s *State) member {
	return member{name: b.Name, weight: cmp.Or(b.Weight, 100), max: int64(b.MaxSessions), live: s.backend(b.Name)}
}

func (m *member) full() bool { return m.max > 0 && m.live.sessions.Load() >= m.max }

// take is a turn of round_robin, and peek is what the next one would be.
func (p *pool) take() uint64 { return p.turn.Add(1) - 1 }
func (p *pool) peek() uint64 { return p.turn.Load() }

// order returns the members that may serve a user, the best first, in a new slice. How they fare plays
// no part in it but for least_sessions.
func (p *pool) order(user string, turn func(*pool) uint64) []*member {
	switch {
	case len(p.members) == 1:
		return []*member{&p.members[0]}
	case !p.shared:
		return p.byHash(user)[:1]
	}
	switch p.balance {
	case LeastSessions:
		return p.byLoad()
	case RoundRobin:
		return p.from(int(turn(p) % uint64(len(p.members))))
	case First:
		return p.from(0)
	}
	return p.byHash(user)
}

// from returns the members in the order of the list, beginning with the nth.
func (p *pool) from(n int) []*member {
	order := make([]*member, len(p.members))
	for i := range order {
		order[i] = &p.members[(n+i)%len(p.members)]
	}
	return order
}

func (p *pool) byLoad() []*member {
	type load struct {
		sessions int64
		*member
	}
	loads := make([]load, len(p.members))
	for i := range p.members {
		loads[i] = load{p.members[i].live.sessions.Load(), &p.members[i]}
	}
	slices.SortStableFunc(loads, func(a, b load) int {
		return cmp.Compare(a.sessions*int64(b.weight), b.sessions*int64(a.weight))
	})
	order := make([]*member, len(loads))
	for i, l := range loads {
		order[i] = l.member
	}
	return order
}
