package routing

import (
	"fmt"
	"net/netip"
)

// Config is what a Table is made of.
type Config struct {
	Backends      []Backend
	Pools         []Pool
	Routes        []Route // in order: the first that matches decides
	DefaultDomain string  // without "@"; appended to names that have none, see WithDomain; "" appends nothing
	State         *State  // nil makes one
}

// A Backend is one server that holds mail.
type Backend struct {
	Name        string
	Weight      int // its share of a pool's users, against the weights of the others; at most 1000000, 0 is 100
	MaxSessions int // leases that may be held at a time; 0 is any number
}

// A Pool is a set of backends of which one serves a user.
type Pool struct {
	Name        string
	Backends    []string // names, at least one, none twice
	Balance     Balance  // "" is UserHash
	SharedStore bool     // every member serves the same mail, so any of them will do for a user
}

// Balance says in which order the members of a pool are tried. Without a shared store, a pool of
// several members can have UserHash only.
type Balance string

// The ways to balance.
const (
	UserHash      Balance = "user_hash"      // by the user's name and the weights: the same order each time
	LeastSessions Balance = "least_sessions" // fewest sessions for its weight first; of equals the first in the list
	RoundRobin    Balance = "round_robin"    // each login begins one further in the list; weights do not count
	First         Balance = "first"          // in the order of the list: the others are spares
)

// A Route leads logins to a pool or to a backend.
type Route struct {
	Name    string // for logs and metrics; "" is "#1" for the first, "#2" for the second and so on
	Match   Match
	Pool    string // exactly one of Pool and Backend is set
	Backend string
}

// A Match is a set of conditions. A login must meet all that are set; where none is, every one does.
//
// User and SNI are globs, see ParseGlob, which must match the whole name. A User without "*" and "?"
// is a name, and gets the default domain as names do.
type Match struct {
	User     string
	Users    UserSet // nil is not used
	Listener string  // its name, exactly
	SNI      string  // a client that sent no server name has the empty one
	Networks []netip.Prefix
}

// A UserSet is a set of users that may change at any time. Its String, if it has one, names it in
// decisions.
type UserSet interface {
	// Contains reports whether a user is in the set. The name is normalised, with its default domain.
	Contains(user string) bool
}

// A Mistake is one thing that is wrong in a Config.
type Mistake struct {
	Key  string // where, as a configuration file names it: "routes[0].match.user", counted from 0; "pools.NAME.balance"
	Text string // what, and what to do about it
}

func (m *Mistake) Error() string { return m.Key + ": " + m.Text }

func (r Route) name(i int) string {
	if r.Name != "" {
		return r.Name
	}
	return fmt.Sprintf("#%d", i+1)
}
