package routing

import (
	"fmt"
	"slices"
	"time"
)

// A Decision says where a user goes and why: the same value for the operator who asks and for the log.
type Decision struct {
	User       string   // normalised, with its default domain
	Route      string   // name; "" where no route matched
	Pool       string   // name; "" where the route names a backend, and where no route matched
	Backend    string   // the candidate that is tried first; "" where every one is full, and where no route matched
	Candidates []string // members that may serve the user, in the order in which they are tried; the full ones are skipped
	Reason     string   // in words
}

// describe says in which order the members would be tried now.
func (d *Decision) describe(p *pool, order []*member, now time.Time) {
	if len(p.members) > 1 {
		d.Reason += "; " + string(p.balance)
		if !p.shared {
			d.Reason += " finds the user's home"
		}
	}
	var last []*member // left out while another member is there
	if len(order) > 1 {
		last = slices.DeleteFunc(slices.Clone(order), func(m *member) bool { return !m.live.leftOut(now) })
	}
	first := slices.DeleteFunc(slices.Clone(order), func(m *member) bool { return slices.Contains(last, m) })
	for _, m := range append(first, last...) {
		d.Candidates = append(d.Candidates, m.name)
		switch {
		case m.full():
			d.Reason += fmt.Sprintf("; %q is full", m.name)
		case d.Backend == "":
			d.Backend = m.name
		}
	}
	for _, m := range last {
		d.Reason += fmt.Sprintf("; %q could not be reached a moment ago", m.name)
	}
}

// String returns the decision as one line without line ends.
func (d Decision) String() string {
	to, by := "no backend", ""
	if d.Backend != "" {
		to = fmt.Sprintf("backend %q", d.Backend)
	}
	if d.Pool != "" {
		to += fmt.Sprintf(" of pool %q", d.Pool)
	}
	if d.Route != "" {
		by = fmt.Sprintf(" by route %q", d.Route)
	}
	return fmt.Sprintf("user %q to %s%s: %s", d.User, to, by, d.Reason)
}
