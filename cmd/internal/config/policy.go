package config

import (
	"fmt"
	"strings"

	"github.com/imapgate/imapgate/proxy"
	"github.com/imapgate/imapgate/proxy/translate"
)

// An overlay writes the leaves of a policy block over a wider policy. A list replaces the wider list.
type overlay []func(*translate.Policy)

func (o overlay) over(p *translate.Policy) {
	for _, leaf := range o {
		leaf(p)
	}
}

// overlay returns the leaves that were written below a key.
func (l *loader) overlay(key string, p policy) (o overlay) {
	if l.written(key + ".xgwmove") {
		o = append(o, func(to *translate.Policy) { to.XGWMove = translate.XGWMove(p.XGWMove) })
	}
	if l.written(key + ".move") {
		o = append(o, func(to *translate.Policy) { to.Move = translate.Move(p.Move) })
	}
	if l.written(key + ".pass_commands") {
		o = append(o, func(to *translate.Policy) { to.PassCommands = p.PassCommands })
	}
	return o
}

// policies are the policy blocks of a configuration, ready to be merged. They never change.
type policies struct {
	top                         translate.Policy
	listeners, backends, routes map[string]overlay
}

// merged returns what holds for a session: top, listener, backend, route, the later over the earlier. A
// name that is not known, like the empty one before login, adds nothing.
func (p *policies) merged(listener, backend, route string) translate.Policy {
	out := p.top
	p.listeners[listener].over(&out)
	p.backends[backend].over(&out)
	p.routes[route].over(&out)
	return out
}

func (l *loader) policies() *policies {
	p := &policies{top: l.policy(), listeners: map[string]overlay{}, backends: map[string]overlay{}, routes: map[string]overlay{}}
	for i, ln := range l.f.Listeners {
		p.listeners[ln.Name] = l.overlay(fmt.Sprintf("listeners[%d].policy", i), ln.Policy)
	}
	for name, b := range l.f.Backends {
		p.backends[name] = l.overlay("backends."+name+".policy", b.Policy)
	}
	for i, r := range l.f.Routes {
		p.routes[routeName(i)] = l.overlay(routeName(i)+".policy", r.Policy)
	}
	return p
}

// routeName is what a route is called in logs and metrics: its key.
func routeName(i int) string { return fmt.Sprintf("routes[%d]", i) }

func (l *loader) policy() translate.Policy {
	p := translate.DefaultPolicy()
	p.XGWMove = translate.XGWMove(l.f.Policy.XGWMove)
	p.Move = translate.Move(l.f.Policy.Move)
	p.PassCommands = l.f.Policy.PassCommands
	return p
}

// A meeting is a combination of names that one session can have. Before login there is only a listener.
type meeting struct{ listener, route, backend string }

// meetings returns every combination that can come about, in the order of the file.
func (f *file) meetings() (all []meeting) {
	for _, ln := range f.Listeners {
		all = append(all, meeting{listener: ln.Name})
		for i, r := range f.Routes {
			if !r.Match.canMeet(ln) {
				continue
			}
			for _, b := range f.goal(r) {
				all = append(all, meeting{ln.Name, routeName(i), b})
			}
		}
	}
	return all
}

// goals returns where a login at each listener can lead.
func (f *file) goals() map[string][]proxy.Goal {
	all := make(map[string][]proxy.Goal)
	for _, m := range f.meetings() {
		if m.route != "" {
			all[m.listener] = append(all[m.listener], proxy.Goal{Backend: m.backend, Route: m.route})
		}
	}
	return all
}

// goal returns the backends that a route can lead to.
func (f *file) goal(r route) []string {
	if r.Pool != "" {
		return f.Pools[r.Pool].Backends
	}
	return []string{r.Backend}
}

// canMeet reports whether a client of the listener can match. A server name comes with TLS only, and the
// peers of a Unix socket have an address only where a PROXY header names it.
func (m match) canMeet(ln listener) bool {
	named := m.SNI == "" || ln.TLS != "none" || strings.Trim(m.SNI, "*") == ""
	addressed := len(m.Network) == 0 || !ln.isUnix() || ln.ProxyProtocol.Trusted != nil
	return (m.Listener == "" || m.Listener == ln.Name) && named && addressed
}

// describePolicy returns a policy as a flow mapping of YAML.
func describePolicy(p translate.Policy) string {
	return fmt.Sprintf("{xgwmove: %s, move: %s, pass_commands: [%s]}", p.XGWMove, p.Move, strings.Join(p.PassCommands, ", "))
}
