package config

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"

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
	leaf := func(name string, write func(*translate.Policy)) {
		if l.written(key + "." + name) {
			o = append(o, write)
		}
	}
	leaf("xgwmove", func(to *translate.Policy) { to.XGWMove = translate.XGWMove(p.XGWMove) })
	leaf("move", func(to *translate.Policy) { to.Move = translate.Move(p.Move) })
	leaf("move_without_uidplus", func(to *translate.Policy) {
		to.MoveWithoutUIDPlus = translate.MoveWithoutUIDPlus(p.MoveWithoutUIDPlus)
	})
	leaf("capabilities.remove", func(to *translate.Policy) { to.Remove = capNames(p.Capabilities.Remove) })
	leaf("capabilities.add", func(to *translate.Policy) { to.Add = capNames(p.Capabilities.Add) })
	leaf("polyfills", func(to *translate.Policy) { to.Polyfills = p.Polyfills.choice() })
	leaf("quirks", func(to *translate.Policy) { to.Quirks = p.Quirks.choice() })
	leaf("id", func(to *translate.Policy) { to.ID = translate.IDMode(p.ID) })
	leaf("idle_poll", func(to *translate.Policy) { to.IdlePoll = time.Duration(p.IdlePoll) })
	leaf("pass_commands", func(to *translate.Policy) { to.PassCommands = p.PassCommands })
	leaf("mailbox_map.prefix", func(to *translate.Policy) { to.Names.Prefix = p.MailboxMap.Prefix })
	leaf("mailbox_map.separator", func(to *translate.Policy) { to.Names.Separator = p.MailboxMap.Separator })
	leaf("mailbox_map.client_separator", func(to *translate.Policy) { to.Names.ClientSeparator = p.MailboxMap.ClientSeparator })
	for _, use := range p.SpecialUse.all() {
		leaf("special_use."+use.key, func(to *translate.Policy) {
			to.SpecialUse = maps.Clone(to.SpecialUse) // a wider policy's is shared
			if to.SpecialUse == nil {
				to.SpecialUse = make(map[imap.MailboxAttr]string)
			}
			to.SpecialUse[use.attr] = use.name
		})
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
	l.overlay("policy", l.f.Policy).over(&p)
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
