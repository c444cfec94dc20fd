package routing

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// conditions are a Match made ready.
type conditions struct {
	Match
	user, sni Glob
}

// ready makes conditions of a Match that was checked.
func (m Match) ready(domain string) (c conditions, err error) {
	c.Match = m
	if c.user, err = ParseGlob(m.User); err != nil {
		return c, err
	}
	if m.User != "" && c.user.IsName() {
		c.user = Glob(WithDomain(string(c.user), domain))
	}
	c.sni, err = ParseGlob(m.SNI)
	return c, err
}

// met reports whether a request meets all conditions. Its User is normalised.
func (c *conditions) met(req Request) bool {
	return (c.Match.Listener == "" || c.Match.Listener == req.Listener) &&
		(c.user == "" || c.user.Match(req.User)) &&
		(c.sni == "" || c.sni.Match(Normalise(req.SNI))) &&
		(len(c.Networks) == 0 || within(c.Networks, req.Client)) &&
		(c.Users == nil || c.Users.Contains(req.User))
}

// within takes an address as what it means: IPv4 in IPv6's clothes is IPv4, and a zone does not make
// another network.
func within(networks []netip.Prefix, a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(a) })
}

// String says in words what was met.
func (c *conditions) String() string {
	var met []string
	if c.user != "" {
		met = append(met, fmt.Sprintf("the user matches %q", string(c.user)))
	}
	if c.Users != nil {
		met = append(met, "the user is in "+setName(c.Users))
	}
	if c.Match.Listener != "" {
		met = append(met, fmt.Sprintf("the listener is %q", c.Match.Listener))
	}
	if c.sni != "" {
		met = append(met, fmt.Sprintf("the server name matches %q", string(c.sni)))
	}
	if len(c.Networks) > 0 {
		met = append(met, "the client is in "+strings.Trim(fmt.Sprint(c.Networks), "[]"))
	}
	if met == nil {
		return "every user matches"
	}
	return strings.Join(met, ", ")
}

func setName(set UserSet) string {
	if s, ok := set.(fmt.Stringer); ok {
		return fmt.Sprintf("%q", s.String())
	}
	return "the set of users"
}
