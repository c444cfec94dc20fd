package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/auth"
	"github.com/imapgate/imapgate/proxy/translate"
)

// commandName is an atom of RFC 3501 section 9 as commands are named, with UID before it or not.
var commandName = regexp.MustCompile(`^(UID )?[A-Z][A-Z0-9._-]*$`)

func (l *loader) checkPolicies() {
	l.checkPolicy("policy", l.f.Policy)
	for i, ln := range l.f.Listeners {
		l.checkPolicy(fmt.Sprintf("listeners[%d].policy", i), ln.Policy)
	}
	for name, b := range l.f.Backends {
		l.checkPolicy("backends."+name+".policy", b.Policy)
	}
	for i, r := range l.f.Routes {
		l.checkPolicy(routeName(i)+".policy", r.Policy)
	}
	l.checkMerged()
}

func (l *loader) checkPolicy(key string, p policy) {
	l.checkPassCommands(key, p)
	l.checkCapabilities(key+".capabilities", p.Capabilities)
	l.checkNames(key+".polyfills", "polyfill", p.Polyfills.names, polyfillNames())
	l.checkNames(key+".quirks", "quirk", p.Quirks.names, translate.QuirkNames())
	if poll := time.Duration(p.IdlePoll); l.written(key+".idle_poll") && (poll < leastIdlePoll || poll > mostIdlePoll) {
		l.add(key+".idle_poll", "%s is not from 5s to 29m; write a duration between them, as in 60s", p.IdlePoll.String())
	}
	l.noteMailboxMap(key + ".mailbox_map")
	l.checkSpecialUse(key+".special_use", p.SpecialUse)
}

// checkPassCommands also writes the names of commands in upper case.
func (l *loader) checkPassCommands(key string, p policy) {
	for i, name := range p.PassCommands {
		upper := strings.ToUpper(name)
		p.PassCommands[i] = upper
		if !commandName.MatchString(upper) {
			l.add(fmt.Sprintf("%s.pass_commands[%d]", key, i), "%q is no name of a command; write one, as in XFOO", name)
			continue
		}
		l.checkPassed(fmt.Sprintf("%s.pass_commands[%d]", key, i), upper)
	}
}

// checkPassed refuses the names of commands that would change what the connection is, and of those that
// the proxy has to understand: what passes as it is goes past everything that it knows of the session.
func (l *loader) checkPassed(key, name string) {
	switch name {
	case "COMPRESS", "STARTTLS", "UNAUTHENTICATE", "AUTHENTICATE", "LOGIN":
		l.add(key, "%s never passes: behind it the connection would be another one than imapgate reads; remove it", name)
		return
	}
	if _, known := translate.Lookup(name); known {
		l.add(key, "imapgate knows %s and carries it without this; remove it", name)
	}
}

func polyfillNames() (names []string) {
	for _, t := range translate.All() {
		if t.Polyfill {
			names = append(names, t.Name)
		}
	}
	slices.Sort(names)
	return names
}

// checkNames looks for the names of a list among those that there are.
func (l *loader) checkNames(key, what string, names, known []string) {
	for i, name := range names {
		key := fmt.Sprintf("%s[%d]", key, i)
		switch near := nearest(name, known); {
		case slices.Index(names, name) < i:
			l.add(key, "%s stands in the list already; remove it here", name)
		case slices.Contains(known, name):
		case near != "":
			l.add(key, "there is no %s %s; did you mean %s?", what, name, near)
		default:
			l.add(key, "there is no %s %s; write some of %s", what, name, strings.Join(known, ", "))
		}
	}
}

func (l *loader) checkCapabilities(key string, c capabilities) {
	for i, name := range c.Remove {
		l.checkRemoved(fmt.Sprintf("%s.remove[%d]", key, i), name)
	}
	for i, name := range c.Add {
		key := fmt.Sprintf("%s.add[%d]", key, i)
		l.checkAdded(key, name)
		if cap, _ := translate.ReadCap(name); slices.Contains(capNames(c.Remove), cap) {
			l.add(key, "%s is added and removed in the same place; remove it from one of the lists", cap)
		}
	}
}

// checkRemoved looks at a capability that is to be taken away. One that is in no row is never offered, and
// to remove it makes sense only where a wider policy adds it.
func (l *loader) checkRemoved(key, name string) {
	c, valid := translate.ReadCap(name)
	row, known := translate.CapRow(c)
	if strings.HasSuffix(name, "*") {
		known = row.Name == string(c)
	}
	switch near := nearest(name, capabilityNames()); {
	case !valid:
		l.add(key, "%q is no name of a capability; write one, as in CONDSTORE", name)
	case c == imap.CapIMAP4rev1:
		l.add(key, "IMAP4rev1 is what imapgate speaks, and cannot be removed; remove it here")
	case c == imap.CapStartTLS || c == imap.CapLoginDisabled:
		l.add(key, "%s follows from what the listener does, and cannot be removed; remove it here", c)
	case known || l.addedSomewhere(c):
	case near != "":
		l.add(key, "imapgate knows no capability %s; did you mean %s?", name, near)
	default:
		l.add(key, "imapgate knows no capability %s, so nobody is offered it; remove it here", name)
	}
}

// checkAdded looks at a capability that is to be offered although it is not in every list. A name that is
// not known may be right: vendors make names as they like.
func (l *loader) checkAdded(key, name string) {
	c, valid := translate.ReadCap(name)
	row, known := translate.CapRow(c)
	near := nearest(name, capabilityNames())
	switch {
	case !valid || strings.HasSuffix(name, "*"):
		l.add(key, "%q is no name of a capability; write one, as in XDELTAPUSH", name)
	case row.Name == "AUTH=*" && !slices.Contains(mechanisms(), c):
		l.add(key, "imapgate has no mechanism %s; write some of %s", c, flowList(mechanisms()))
	case row.Fate == translate.BeforeLogin && row.Name != "AUTH=*":
		l.add(key, "%s follows from what the listener does, and cannot be added; remove it", c)
	case row.Fate == translate.Removed && row.Barred:
		l.add(key, "nobody could keep %s: %s; remove it", c, row.Reason)
	case known:
	case near != "" && !strings.HasPrefix(string(c), "X"):
		l.add(key, "imapgate knows no capability %s; did you mean %s?", name, near)
	default:
		l.note("%s: imapgate does not know %s: it is offered where the backend has it, and its commands need pass_commands", key, c)
	}
}

func mechanisms() (caps []imap.Cap) {
	for _, m := range auth.Mechanisms() {
		caps = append(caps, imap.AuthCap(m))
	}
	return caps
}

func capabilityNames() (names []string) {
	for _, row := range translate.Table() {
		names = append(names, row.Name)
	}
	return names
}

func (l *loader) addedSomewhere(c imap.Cap) bool {
	blocks := []policy{l.f.Policy}
	for _, ln := range l.f.Listeners {
		blocks = append(blocks, ln.Policy)
	}
	for _, b := range l.f.Backends {
		blocks = append(blocks, b.Policy)
	}
	for _, r := range l.f.Routes {
		blocks = append(blocks, r.Policy)
	}
	return slices.ContainsFunc(blocks, func(p policy) bool { return slices.Contains(capNames(p.Capabilities.Add), c) })
}

// checkMerged looks at what comes of policies that meet.
func (l *loader) checkMerged() {
	merging := l.policies()
	for _, m := range l.f.meetings() {
		p := merging.merged(m.listener, m.backend, m.route)
		if err := p.Names.Check(); err != nil {
			l.add(l.writes(m, "mailbox_map").key, "%s; correct it", err)
		}
		add, remove := l.writes(m, "capabilities.add"), l.writes(m, "capabilities.remove")
		if l.faultyWithin(add.key) || l.faultyWithin(remove.key) {
			continue
		}
		has := func(list []imap.Cap, c imap.Cap) bool { return slices.Contains(list, c) }
		if has(p.Add, imap.CapLiteralMinus) && !has(p.Remove, imap.CapLiteralPlus) {
			l.add(add.key, "LITERAL- and LITERAL+ exclude each other (RFC 7888 section 5); write remove: [LITERAL+] too")
		}
		for _, c := range p.Add {
			if has(p.Remove, c) && add.narrower(remove) {
				l.add(add.key, "%s is added here, but %s removes it and still holds; write remove in this place as well, without it", c, remove.key)
			}
		}
		if has(p.Add, imap.CapIMAP4rev2) {
			l.checkRev2(remove.key, p.Remove)
		}
	}
}

// checkRev2 looks for what IMAP4rev2 has in it: a client that enables that may use it.
func (l *loader) checkRev2(key string, remove []imap.Cap) {
	rev2 := imap.CapSet{imap.CapIMAP4rev2: {}}
	for _, c := range remove {
		if rev2.Has(c) {
			l.add(key, "%s is a part of IMAP4rev2, which is added; remove one of them", c)
		}
	}
}

// A writer is the policy block that decides a leaf; rank says how narrow it is.
type writer struct {
	key  string
	rank int
}

func (w writer) narrower(than writer) bool { return w.rank > than.rank }

// writes returns where a leaf is written that holds for a meeting.
func (l *loader) writes(m meeting, leaf string) writer {
	listener := slices.IndexFunc(l.f.Listeners, func(ln listener) bool { return ln.Name == m.listener })
	blocks := []string{"policy", fmt.Sprintf("listeners[%d].policy", listener), "backends." + m.backend + ".policy", m.route + ".policy"}
	for rank, block := range slices.Backward(blocks) {
		if key := block + "." + leaf; l.written(key) {
			return writer{key, rank}
		}
	}
	return writer{"policy." + leaf, 0}
}

// noteMailboxMap tells of a map that holds for more than the one backend whose names it describes.
func (l *loader) noteMailboxMap(key string) {
	if l.written(key) && !strings.HasPrefix(key, "backends.") && len(l.f.Backends) > 1 && !strings.HasPrefix(key, "routes[") {
		l.note("%s holds for every backend, also for those whose names begin otherwise; it is meant for a backend's own policy", key)
	}
}

func (l *loader) checkSpecialUse(key string, s specialUse) {
	first := map[string]string{}
	for _, use := range s.all() {
		switch other := first[use.name]; {
		case !l.written(key + "." + use.key):
			continue
		case use.name == "":
			l.add(key+"."+use.key, "there is no name; write a mailbox as clients see it, as in \"Sent Items\"")
		case strings.ContainsFunc(use.name, unicode.IsControl):
			l.add(key+"."+use.key, "%q has a control character in it; write a mailbox as clients see it", use.name)
		case strings.EqualFold(use.name, "INBOX"):
			l.add(key+"."+use.key, "INBOX has no special use; write another mailbox")
		case other != "":
			l.add(key+"."+use.key, "%q is %s already; a mailbox is for one use", use.name, other)
		}
		first[use.name] = use.key
	}
}
