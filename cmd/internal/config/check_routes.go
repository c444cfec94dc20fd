package config

import (
	"fmt"
	"slices"
	"strings"
)

func (l *loader) checkPools() {
	backends := sortedKeys(l.f.Backends)
	for _, name := range sortedKeys(l.f.Pools) {
		p, key := l.f.Pools[name], "pools."+name
		if name == "" {
			l.add(key, "the pool has no name; give it one, it stands in logs and metrics")
		}
		if len(p.Backends) == 0 && !l.faultyWithin(key+".backends") {
			l.add(key+".backends", "the pool has no backend; write at least one of the backends: %s", strings.Join(backends, ", "))
		}
		for i, b := range p.Backends {
			key := fmt.Sprintf("%s.backends[%d]", key, i)
			l.checkKnown(key, "backend", b, backends)
			if slices.Index(p.Backends, b) < i {
				l.add(key, "%s is in the pool already; remove it here, and write a weight if it shall have more users", b)
			}
		}
		l.checkStore(key, name, p)
	}
}

// checkStore keeps apart the pools whose members hold the same mail and those where each user has one home.
func (l *loader) checkStore(key, name string, p pool) {
	switch {
	case p.SharedStore || len(p.Backends) < 2 || l.faultyWithin(key+".balance"):
	case p.Balance != "user_hash":
		l.add(key+".balance", "%s sends a user now here and now there, and clients drop all they have when they are shown an empty mailbox; "+
			"write user_hash, or shared_store: true if every backend of the pool serves the same mail", p.Balance)
	default:
		l.note("in the pool %s each user has one home, by the hash of the name: without shared_store: true nobody is sent to another backend when his own is down, and a change of the list or of a weight moves users", name)
	}
}

func (l *loader) checkRoutes() {
	if len(l.f.Routes) == 0 {
		l.add("routes", "there is no route; add one that takes everyone, as in - {backend: NAME}")
	}
	everyone := ""
	for i, r := range l.f.Routes {
		key := fmt.Sprintf("routes[%d]", i)
		if everyone != "" {
			l.add(key, "no login ever comes here, %s takes everyone; move this route before it or remove it", everyone)
		}
		l.checkAim(key, r)
		l.checkMatch(key+".match", r.Match)
		if everyone == "" && !l.faultyWithin(key+".match") && r.Match.takesEveryone() {
			everyone = key
		}
	}
	l.noteUnused()
}

func (m match) empty() bool {
	return m.User == "" && m.UsersFile == "" && m.Listener == "" && m.SNI == "" && len(m.Network) == 0
}

func (m match) takesEveryone() bool {
	m.User = strings.Trim(m.User, "*")
	return m.empty()
}

func (l *loader) checkAim(key string, r route) {
	switch {
	case l.faulty(key) || l.faulty(key+".pool") || l.faulty(key+".backend"):
	case r.Pool != "" && r.Backend != "":
		l.add(key, "the route leads to a pool and to a backend; remove one of them")
	case r.Pool != "":
		l.checkKnown(key+".pool", "pool", r.Pool, sortedKeys(l.f.Pools))
	case r.Backend != "":
		l.checkKnown(key+".backend", "backend", r.Backend, sortedKeys(l.f.Backends))
	default:
		l.add(key, "the route leads nowhere; write pool or backend")
	}
}

func (l *loader) checkMatch(key string, m match) {
	if l.written(key) && m.empty() && !l.faultyWithin(key) {
		l.add(key, "the match is empty; write user, users_file, listener, sni or network, or remove match for a route that takes everyone")
	}
	if m.Listener == "" {
		return
	}
	var names []string
	for _, ln := range l.f.Listeners {
		names = append(names, ln.Name)
		if ln.Name == m.Listener && ln.TLS == "none" && m.SNI != "" {
			l.add(key+".sni", "the listener %s has no TLS, where alone clients send a server name; remove sni or name another listener", m.Listener)
		}
	}
	l.checkKnown(key+".listener", "listener", m.Listener, names)
}

func (l *loader) noteUnused() {
	used := map[string]bool{}
	for _, r := range l.f.Routes {
		used[r.Backend] = true
		for _, b := range l.f.Pools[r.Pool].Backends {
			used[b] = true
		}
	}
	for _, name := range sortedKeys(l.f.Pools) {
		if !slices.ContainsFunc(l.f.Routes, func(r route) bool { return r.Pool == name }) {
			l.note("no route leads to the pool %s", name)
		}
	}
	for _, name := range sortedKeys(l.f.Backends) {
		if !used[name] {
			l.note("no route leads to the backend %s", name)
		}
	}
}
