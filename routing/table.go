package routing

import (
	"errors"
	"fmt"
	"net/netip"
)

// ErrNoRoute is the error of Choose for a user whom no route matches. The client is told no more than
// that the service is unavailable.
var ErrNoRoute = errors.New("no route matches")

// A Table leads users to backends. It never changes.
type Table struct {
	routes []route
	state  *State
}

// route is a Route made ready.
type route struct {
	name, backend string
	user          glob // "" matches every user
	reason        string
	live          *live
}

// NewTable makes a table. Its error joins a *Mistake for each thing that is wrong; then the state has
// not changed.
//
// A route's User is a glob: "*" stands for any run of characters, "?" for one, anything else for
// itself. It must match the whole name. Case does not matter; see Normalise.
func NewTable(c Config) (*Table, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	t := &Table{state: c.State}
	if t.state == nil {
		t.state = NewState()
	}
	for i, r := range c.Routes {
		user, err := newGlob(r.User)
		if err != nil {
			return nil, err
		}
		t.routes = append(t.routes, route{
			name: r.name(i), backend: r.Backend, user: user, reason: user.reason(), live: t.state.backend(r.Backend),
		})
	}
	return t, nil
}

func (g glob) reason() string {
	if g == "" {
		return "every user matches"
	}
	return fmt.Sprintf("the user matches %q", string(g))
}

// State returns the table's state, for the table that comes after it.
func (t *Table) State() *State { return t.state }

// Live returns how many leases of a backend are held, from this table or any other of its State.
func (t *Table) Live(backend string) (sessions int64) { return t.state.Live(backend) }

// A Request is what is known of a login when its backend is chosen.
type Request struct {
	User     string     // as the client gave it
	Listener string     // name of the door
	Client   netip.Addr // invalid where there is none, as on a Unix socket
}

// A Decision says where a user goes and why: the same value for the operator who asks and for the log.
type Decision struct {
	User    string // normalised
	Route   string // name; "" where no route matched
	Backend string // name; "" where no route matched
	Reason  string // in words
}

// String returns the decision as one line without line ends.
func (d Decision) String() string {
	if d.Route == "" {
		return fmt.Sprintf("user %q to no backend: %s", d.User, d.Reason)
	}
	return fmt.Sprintf("user %q to backend %q by route %q: %s", d.User, d.Backend, d.Route, d.Reason)
}

// Explain says what Choose would decide, without taking anything.
func (t *Table) Explain(req Request) Decision {
	d, _ := t.decide(req)
	return d
}

// decide is the one place of the rules. The route is nil where none matched.
func (t *Table) decide(req Request) (Decision, *route) {
	user := Normalise(req.User)
	for i := range t.routes {
		r := &t.routes[i]
		if r.user == "" || r.user.match(user) {
			return Decision{User: user, Route: r.name, Backend: r.backend, Reason: r.reason}, r
		}
	}
	return Decision{User: user, Reason: ErrNoRoute.Error()}, nil
}

// A Choice is the outcome of Choose: the backends to try, in order.
type Choice struct {
	Decision Decision

	route *route // the one backend that Next has not given yet
	last  Lease
}

// Choose decides for a request and makes c anew; a lease that c gave before stays with who has it.
// The error is ErrNoRoute, and then c has the decision but no backend. Nothing is taken before
// Next.
func (t *Table) Choose(req Request, c *Choice) error {
	*c = Choice{}
	c.Decision, c.route = t.decide(req)
	if c.route == nil {
		return fmt.Errorf("user %q: %w; add one that does, or one without a user at the end", c.Decision.User, ErrNoRoute)
	}
	return nil
}

// Next gives a lease of the next backend to try, and false when there is none left. It releases the
// lease it gave before, so the caller keeps and releases only the last one, when the connection to
// that backend is closed.
func (c *Choice) Next() (Lease, bool) {
	c.last.Release()
	if c.route == nil {
		c.last = Lease{}
		return c.last, false
	}
	c.last = lease(c.route.backend, c.route.live)
	c.route = nil
	return c.last, true
}
