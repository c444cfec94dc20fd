package routing

import (
	"errors"
	"fmt"
)

// Config is what a Table is made of.
type Config struct {
	Backends []string // names
	Routes   []Route  // in order: the first that matches decides
	State    *State   // nil makes one
}

// A Route leads users to a backend.
type Route struct {
	Name    string // for logs and metrics; "" is "#1" for the first, "#2" for the second and so on
	User    string // glob of user names, see NewTable; "" matches every user
	Backend string
}

// A Mistake is one thing that is wrong in a Config.
type Mistake struct {
	Key  string // where, as a configuration file names it: "routes[0].backend", counted from 0
	Text string // what, and what to do about it
}

func (m *Mistake) Error() string { return m.Key + ": " + m.Text }

// check returns all mistakes of a Config at once.
func (c Config) check() error {
	return errors.Join(append(c.checkBackends(), c.checkRoutes()...)...)
}

func (c Config) checkBackends() (mistakes []error) {
	if len(c.Backends) == 0 {
		mistakes = append(mistakes, &Mistake{"backends", "there is no backend; name at least one"})
	}
	seen := make(map[string]bool)
	for _, name := range c.Backends {
		switch {
		case name == "":
			mistakes = append(mistakes, &Mistake{"backends", "a backend has no name; give it one"})
		case seen[name]:
			mistakes = append(mistakes, &Mistake{"backends", fmt.Sprintf("there are two backends %q; rename one", name)})
		}
		seen[name] = true
	}
	return mistakes
}

func (c Config) checkRoutes() (mistakes []error) {
	if len(c.Routes) == 0 {
		mistakes = append(mistakes, &Mistake{"routes", "there is no route, so nobody could log in; one without a user leads everybody to its backend"})
	}
	known, names := c.names(), make(map[string]int)
	for i, r := range c.Routes {
		key := fmt.Sprintf("routes[%d]", i)
		switch {
		case r.Backend == "":
			mistakes = append(mistakes, &Mistake{key + ".backend", "the route leads nowhere; name a backend"})
		case !known[r.Backend]:
			mistakes = append(mistakes, &Mistake{key + ".backend", fmt.Sprintf("there is no backend %q; define it or correct the name", r.Backend)})
		}
		if _, err := newGlob(r.User); err != nil {
			mistakes = append(mistakes, &Mistake{key + ".user", fmt.Sprintf("%v: %q", err, r.User)})
		}
		name := r.name(i)
		if first, twice := names[name]; twice {
			mistakes = append(mistakes, &Mistake{key + ".name", fmt.Sprintf("routes[%d] is called %q too; rename one", first, name)})
		} else {
			names[name] = i
		}
	}
	return mistakes
}

func (c Config) names() map[string]bool {
	known := make(map[string]bool)
	for _, name := range c.Backends {
		known[name] = name != ""
	}
	return known
}

func (r Route) name(i int) string {
	if r.Name != "" {
		return r.Name
	}
	return fmt.Sprintf("#%d", i+1)
}
