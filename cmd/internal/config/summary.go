package config

import (
	"fmt"
	"path/filepath"
	"strings"
	"text/tabwriter"
)

// Summary says in a few lines what the configuration opens and where it leads: listeners, routes in their
// order, pools, backends and what the notes say. It ends with a line end.
func (c *Config) Summary() string {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	f := c.keys
	for _, ln := range f.Listeners {
		fmt.Fprintf(t, "listener\t%s\t%s\ttls %s%s\n", ln.Name, ln.Address, ln.TLS, ln.doorNotes())
	}
	for i, r := range f.Routes {
		fmt.Fprintf(t, "route\t%s\t%s\tto %s\n", routeName(i), c.describeMatch(r.Match), r.describeGoal())
	}
	for _, name := range sortedKeys(f.Pools) {
		p := f.Pools[name]
		fmt.Fprintf(t, "pool\t%s\t%s\t%s\n", name, strings.Join(p.Backends, ", "), p.describe())
	}
	for _, name := range sortedKeys(f.Backends) {
		b := f.Backends[name]
		fmt.Fprintf(t, "backend\t%s\t%s\ttls %s%s\n", name, b.Address, b.TLS, b.Reuse.describe()+describeReady(int(b.Ready)))
	}
	if c.MetricsAddress != "" {
		fmt.Fprintf(t, "metrics\t\t%s\n", c.MetricsAddress)
	}
	t.Flush()
	for _, note := range c.Notes {
		fmt.Fprintf(&b, "note: %s\n", note)
	}
	return b.String()
}

func (ln listener) doorNotes() string {
	text := ""
	if ln.AllowPlaintextLogin && ln.TLS != "implicit" {
		text += ", passwords without TLS"
	}
	if ln.ProxyProtocol.Trusted != nil {
		text += ", PROXY header"
	}
	return text
}

func (c *Config) describeMatch(m match) string {
	var parts []string
	for _, part := range []struct{ key, value string }{{"user", m.User}, {"listener", m.Listener}, {"sni", m.SNI}} {
		if part.value != "" {
			parts = append(parts, part.key+" "+part.value)
		}
	}
	if m.UsersFile != "" {
		parts = append(parts, fmt.Sprintf("one of %d in %s", c.usersNamed(m.UsersFile), m.UsersFile))
	}
	if len(m.Network) > 0 {
		parts = append(parts, "from "+joinNetworks(m.Network))
	}
	if parts == nil {
		return "everyone"
	}
	return strings.Join(parts, " and ")
}

func (c *Config) usersNamed(name string) int {
	dir, err := filepath.Abs(filepath.Dir(c.file))
	if err != nil {
		return 0
	}
	l := loader{dir: dir}
	if u := c.usersFile(l.path(name)); u != nil {
		return u.Len()
	}
	return 0
}

func (r route) describeGoal() string {
	if r.Pool != "" {
		return "pool " + r.Pool
	}
	return "backend " + r.Backend
}

func (p pool) describe() string {
	switch {
	case len(p.Backends) < 2:
		return "one backend"
	case p.SharedStore:
		return p.Balance + ", another one when one is down"
	}
	return p.Balance + ", each user has one home"
}

func joinNetworks(list []network) string {
	var texts []string
	for _, n := range list {
		texts = append(texts, n.String())
	}
	return strings.Join(texts, ", ")
}

// describe is empty where no connections are kept.
func (r reuse) describe() string {
	if r.Idle == 0 {
		return ""
	}
	return fmt.Sprintf(", connections wait %s for their user, %d at most", &r.Idle, r.Connections)
}

// describeReady is empty where no connections are made ahead of logins.
func describeReady(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", %d connections ahead of logins", n)
}
