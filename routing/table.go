package routing

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// ErrNoRoute is the error of Choose for a user whom no route matches. The client is told no more than
// that the service is unavailable.
var ErrNoRoute = errors.New("no route matches")

// A Table leads users to backends. It never changes.
type Table struct {
	routes []route
	domain string
	state  *State
}

// route is a Route made ready.
type route struct {
	conditions
	name   string
	reason string
	pool   *pool
}

// NewTable makes a table. Its error joins a *Mistake for each thing that is wrong; then the state has
// not changed.
func NewTable(c Config) (*Table, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if c.State == nil {
		c.State = NewState()
	}
	t := &Table{state: c.State, domain: Normalise(c.DefaultDomain)}
	pools := c.pools()
	for i, r := range c.Routes {
		conditions, err := r.Match.ready(t.domain)
		if err != nil {
			return nil, err
		}
		p := pools[r.Pool]
		if r.Pool == "" {
			p = c.pool(Pool{Backends: []string{r.Backend}})
		}
		t.routes = append(t.routes, route{conditions: conditions, name: r.name(i), reason: conditions.String(), pool: p})
	}
	return t, nil
}

func (c Config) pools() map[string]*pool {
	pools := make(map[string]*pool, len(c.Pools))
	for _, p := range c.Pools {
		pools[p.Name] = c.pool(p)
	}
	return pools
}

func (c Config) pool(p Pool) *pool {
	ready := &pool{name: p.Name, balance: p.Balance, shared: p.SharedStore}
	if p.Balance == "" {
		ready.balance = UserHash
	}
	if p.Balance == RoundRobin {
		ready.turn = c.State.turn(p.Name)
	}
	for _, name := range p.Backends {
		i := slices.IndexFunc(c.Backends, func(b Backend) bool { return b.Name == name })
		ready.members = append(ready.members, c.Backends[i].member(c.State))
	}
	return ready
}

// State returns the table's state, for the table that comes after it.
func (t *Table) State() *State { return t.state }

// Live returns how many leases of a backend are held, from this table or any other of its State.
func (t *Table) Live(backend string) (sessions int64) { return t.state.Live(backend) }

// Normalise returns the form in which the table compares a user name: see WithDomain. It is the name
// to count a user's sessions by.
func (t *Table) Normalise(user string) string { return WithDomain(user, t.domain) }

// A Request is what is known of a login when its backend is chosen.
type Request struct {
	User     string     // as the client gave it
	Listener string     // name of the door
	SNI      string     // server name that the client asked for in TLS; "" if none
	Client   netip.Addr // invalid where there is none, as on a Unix socket
}

// Explain says what Choose would decide, and Next then give first, without taking anything.
func (t *Table) Explain(req Request) Decision {
	d, _, _ := t.decide(req, (*pool).peek)
	return d
}

// decide is the one place of the rules. There are no members where no route matched, which is false.
func (t *Table) decide(req Request, turn func(*pool) uint64) (Decision, []*member, bool) {
	req.User = t.Normalise(req.User)
	for i := range t.routes {
		r := &t.routes[i]
		if r.met(req) {
			order := r.pool.order(req.User, turn)
			d := Decision{User: req.User, Route: r.name, Pool: r.pool.name, Reason: r.reason}
			d.describe(r.pool, order, time.Now())
			return d, order, true
		}
	}
	return Decision{User: req.User, Reason: ErrNoRoute.Error()}, nil, false
}

// A Choice is the outcome of Choose: the backends to try, in order.
type Choice struct {
	Decision Decision

	left  []*member // those that Next has not given yet
	given bool      // Next has given one
	full  bool
	last  Lease
}

// Choose decides for a request and makes c anew; a lease that c gave before stays with who has it.
// The error is ErrNoRoute, and then c has the decision but no backend. No place is taken before Next.
func (t *Table) Choose(req Request, c *Choice) error {
	*c = Choice{}
	var ok bool
	if c.Decision, c.left, ok = t.decide(req, (*pool).take); !ok {
		return fmt.Errorf("user %q: %w; add one that does, or one without a match at the end", c.Decision.User, ErrNoRoute)
	}
	return nil
}

// Next gives a lease of the next backend to try, and false when there is none left: members that are
// full are skipped, and those that could not be reached come after the others. It releases the lease
// it gave before, so the caller keeps and releases only the last one, when the connection to that
// backend is closed. Where the members of a pool do not share their mail there is one at most.
func (c *Choice) Next() (Lease, bool) {
	c.last.Release()
	now := time.Now()
	var ok bool
	c.last, ok = c.take(now, func(m *member) bool { return !m.live.leftOut(now) })
	if !ok {
		c.last, ok = c.take(now, func(*member) bool { return true })
	}
	c.given = c.given || ok
	c.full = !c.given && len(c.left) > 0
	return c.last, ok
}

// Full reports whether Next has said no because every member is full.
func (c *Choice) Full() bool { return c.full }

// take gives a place of the first member that is wanted and not full.
func (c *Choice) take(now time.Time, wanted func(*member) bool) (Lease, bool) {
	for i, m := range c.left {
		if !wanted(m) {
			continue
		}
		if l, ok := m.lease(now); ok {
			c.left = slices.Delete(c.left, i, i+1)
			return l, true
		}
	}
	return Lease{}, false
}
