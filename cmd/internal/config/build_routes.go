package config

import (
	"cmp"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"github.com/imapgate/imapgate/routing"
	"github.com/imapgate/imapgate/routing/lookup/usersfile"
)

// table returns nil when the routes are at fault.
func (l *loader) table() *routing.Table {
	config := routing.Config{DefaultDomain: l.f.DefaultDomain}
	if l.old != nil {
		config.State = l.old.options.Table.State()
	}
	for _, name := range sortedKeys(l.f.Backends) {
		b := l.f.Backends[name]
		config.Backends = append(config.Backends, routing.Backend{Name: name, Weight: b.Weight, MaxSessions: b.MaxSessions})
	}
	for _, name := range sortedKeys(l.f.Pools) {
		p := l.f.Pools[name]
		config.Pools = append(config.Pools, routing.Pool{
			Name: name, Backends: p.Backends, Balance: routing.Balance(p.Balance), SharedStore: p.SharedStore,
		})
	}
	for i, r := range l.f.Routes {
		config.Routes = append(config.Routes, routing.Route{
			Name: routeName(i), Match: l.match(routeName(i)+".match", r.Match), Pool: r.Pool, Backend: r.Backend,
		})
	}
	table, err := routing.NewTable(config)
	if err != nil {
		l.addMistakes(err)
	}
	return table
}

func (l *loader) match(key string, m match) routing.Match {
	out := routing.Match{User: m.User, Listener: m.Listener, SNI: m.SNI, Networks: prefixes(m.Network)}
	if m.UsersFile != "" {
		if u := l.usersFile(key+".users_file", m.UsersFile); u != nil {
			out.Users = u
		}
	}
	return out
}

// usersFile returns the table of a file, the same for all routes that name it; nil when it is at fault.
func (l *loader) usersFile(key, name string) *UsersFile {
	path := l.path(name)
	if u := l.users[path]; u != nil {
		return u
	}
	c := usersfile.Config{
		Path: path, Name: name, DefaultDomain: l.f.DefaultDomain, Shrink: usersfile.Shrink(l.f.UsersFileShrink),
	}
	u := &UsersFile{Name: name, path: path}
	if before := l.old.usersFile(path); before != nil {
		c.Before = before.File
		c.Report = func(o usersfile.Outcome) {
			l.rereads = append(l.rereads, Reread{Users: u, Result: o.Result, Err: o.Err})
		}
	}
	var err error
	if u.File, err = usersfile.Open(c); err != nil {
		l.addUnreadable(key, err)
		return nil
	}
	if l.users == nil {
		l.users = map[string]*UsersFile{}
	}
	l.users[path] = u
	return u
}

// addUnreadable says what to do about a file that cannot be read. Where its content is at fault, err does.
func (l *loader) addUnreadable(key string, err error) {
	if pathError := (*fs.PathError)(nil); errors.As(err, &pathError) {
		l.add(key, "%s; give it the path of a file with one user name or glob a line", err)
	} else {
		l.add(key, "%s", err)
	}
}

func (c *Config) usersFile(path string) *UsersFile {
	if c == nil {
		return nil
	}
	if i := slices.IndexFunc(c.Users, func(u *UsersFile) bool { return u.path == path }); i >= 0 {
		return c.Users[i]
	}
	return nil
}

func (l *loader) usersFiles() (all []*UsersFile) {
	for _, path := range sortedKeys(l.users) {
		all = append(all, l.users[path])
	}
	slices.SortStableFunc(all, func(a, b *UsersFile) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// addMistakes adds what the routing table found, one fault for each mistake, but for what follows from a
// fault that is known already.
func (l *loader) addMistakes(err error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, err := range joined.Unwrap() {
			l.addMistakes(err)
		}
		return
	}
	mistake := (*routing.Mistake)(nil)
	if !errors.As(err, &mistake) {
		l.add("routes", "%s; look at match and backend of the routes", err)
		return
	}
	key := strings.Replace(mistake.Key, ".match.networks", ".match.network", 1)
	if !l.follows(key) {
		l.add(key, "%s", mistake.Text)
	}
}

// follows reports whether a mistake may be owed to a fault at, around or below its key, or to backends or
// pools that could not be read.
func (l *loader) follows(key string) bool {
	around := slices.ContainsFunc(l.faults, func(f Fault) bool {
		rest, ok := strings.CutPrefix(key, f.Key)
		return ok && (rest == "" || strings.ContainsAny(rest[:1], ".["))
	})
	pools := l.faulty("pools") && strings.HasSuffix(key, ".pool")
	backends := l.faulty("backends") && (strings.HasSuffix(key, ".backend") || strings.Contains(key, ".backends["))
	return around || pools || backends || l.faultyWithin(key)
}
