package routing

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxWeight leaves room for exact arithmetic, see score.
const maxWeight = 1_000_000

// A checker collects the mistakes of a Config.
type checker struct {
	Config
	backends, pools map[string]bool
	mistakes        []error
}

// check returns all mistakes of a Config at once.
func (c Config) check() error {
	k := checker{Config: c, backends: make(map[string]bool), pools: make(map[string]bool)}
	k.checkBackends()
	for _, p := range c.Pools {
		k.checkPool(p)
	}
	k.checkRoutes()
	if why := badDomain(c.DefaultDomain); why != "" {
		k.add("default_domain", "%s: %q; write a domain such as example.org", why, c.DefaultDomain)
	}
	return errors.Join(k.mistakes...)
}

func (k *checker) add(key, format string, args ...any) {
	k.mistakes = append(k.mistakes, &Mistake{key, fmt.Sprintf(format, args...)})
}

func (k *checker) checkBackends() {
	if len(k.Backends) == 0 {
		k.add("backends", "there is no backend; name at least one")
	}
	for _, b := range k.Backends {
		k.checkName("backend", b.Name, k.backends)
		if b.Weight < 0 || b.Weight > maxWeight {
			k.add("backends."+b.Name+".weight", "the weight is %d; write one from 1 to %d", b.Weight, maxWeight)
		}
		if b.MaxSessions < 0 {
			k.add("backends."+b.Name+".max_sessions", "the number is %d; write 0 for no bound, or how many sessions it may have", b.MaxSessions)
		}
	}
}

// checkName checks a name and adds it to those that are known.
func (k *checker) checkName(what, name string, known map[string]bool) {
	switch {
	case name == "":
		k.add(what+"s", "a %s has no name; give it one", what)
	case strings.ContainsFunc(name, unicode.IsControl):
		k.add(what+"s", "the name %q has a control character in it; rename the %s", name, what)
	case known[name]:
		k.add(what+"s", "there are two %ss %q; rename one", what, name)
	}
	known[name] = name != ""
}

func (k *checker) checkPool(p Pool) {
	key := "pools." + p.Name
	k.checkName("pool", p.Name, k.pools)
	if len(p.Backends) == 0 {
		k.add(key+".backends", "the pool has no member; name a backend")
	}
	for i, name := range p.Backends {
		switch {
		case !k.backends[name]:
			k.add(fmt.Sprintf("%s.backends[%d]", key, i), "there is no backend %q; define it or correct the name", name)
		case slices.Index(p.Backends, name) < i:
			k.add(fmt.Sprintf("%s.backends[%d]", key, i), "%q is in the pool already; leave it out here, and write a weight if it is to get more users", name)
		}
	}
	switch p.Balance {
	case "", UserHash:
	case LeastSessions, RoundRobin, First:
		if len(p.Backends) > 1 && !p.SharedStore {
			k.add(key+".balance", "%s sends a user now to one member and now to another; write user_hash, or shared_store: true if every member serves the same mail", p.Balance)
		}
	default:
		k.add(key+".balance", "%q is unknown; write one of user_hash, least_sessions, round_robin, first", string(p.Balance))
	}
}

func (k *checker) checkRoutes() {
	if len(k.Routes) == 0 {
		k.add("routes", "there is no route, so nobody could log in; one without a match leads everybody to its pool or backend")
	}
	names := make(map[string]int)
	for i, r := range k.Routes {
		key := fmt.Sprintf("routes[%d]", i)
		k.checkAim(key, r)
		k.checkMatch(key+".match", r.Match)
		name := r.name(i)
		if first, twice := names[name]; twice {
			k.add(key+".name", "routes[%d] is called %q too; rename one", first, name)
		} else {
			names[name] = i
		}
	}
}

func (k *checker) checkAim(key string, r Route) {
	switch {
	case r.Pool == "" && r.Backend == "":
		k.add(key, "the route leads nowhere; name a pool or a backend")
	case r.Pool != "" && r.Backend != "":
		k.add(key, "the route leads to a pool and to a backend; leave one out")
	case r.Pool != "" && !k.pools[r.Pool]:
		k.add(key+".pool", "there is no pool %q; define it or correct the name", r.Pool)
	case r.Backend != "" && !k.backends[r.Backend]:
		k.add(key+".backend", "there is no backend %q; define it or correct the name", r.Backend)
	}
}

func (k *checker) checkMatch(key string, m Match) {
	if _, err := ParseGlob(m.User); err != nil {
		k.add(key+".user", "%v: %q", err, m.User)
	}
	if _, err := ParseGlob(m.SNI); err != nil {
		k.add(key+".sni", "%v: %q", err, m.SNI)
	}
	for i, p := range m.Networks {
		if why := badNetwork(p); why != "" {
			k.add(fmt.Sprintf("%s.networks[%d]", key, i), "%s; write a network such as 192.0.2.0/24 or 2001:db8::/32", why)
		}
	}
}

func badNetwork(p netip.Prefix) string {
	switch {
	case !p.IsValid():
		return "this is no network"
	case p.Addr().Is4In6():
		return fmt.Sprintf("%v is IPv4 written as IPv6, which no client's address is", p)
	}
	return ""
}

func badDomain(domain string) string {
	switch {
	case !utf8.ValidString(domain):
		return "the domain is not UTF-8"
	case strings.ContainsFunc(domain, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }):
		return "the domain has a space or a control character in it"
	case strings.ContainsAny(domain, "@*?"):
		return `the domain has one of "@", "*", "?" in it`
	}
	return ""
}
