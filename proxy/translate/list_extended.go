package translate

import (
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/wire"
)

// listExtended answers the extended LIST (RFC 5258) by LIST and LSUB in the basic form. The backend
// decides alone what matches a pattern.
func listExtended() *Translation {
	return &Translation{
		Name:     "list-extended",
		Polyfill: true,
		Commands: []string{"LIST"},
		Offers:   func(Peers) []imap.Cap { return []imap.Cap{imap.CapListExtended} },
		Takes:    func(p Peers) bool { return p.Lacks(imap.CapListExtended) },
		Wants:    listsMore,
		Run:      runListExtended,
	}
}

func runListExtended(m *wire.Message, x Exchange) error {
	c, err := parseList(m)
	if err != nil {
		return err
	}
	if !c.extended {
		return x.Send(m)
	}
	l, err := newExtendedList(c, x)
	switch {
	case err != nil:
		return err
	case len(c.patterns) == 0:
		return x.Reply(completed("LIST"))
	case len(c.patterns) == 1 && !l.subscribed && !l.only && (!l.children || !x.Peers().Lacks(imap.CapChildren)):
		return x.Send(c.basic("LIST", c.patterns[0].Value()))
	}
	return l.run()
}

// An extendedList is one extended LIST.
type extendedList struct {
	x          Exchange
	c          *listCommand
	only       bool // select subscribed names, whether they exist or not
	recursive  bool // and the names above them
	subscribed bool // return who is subscribed
	children   bool

	exist  listing         // what LIST says
	lsub   listing         // what LSUB says
	member map[string]bool // who is subscribed, by listKey
	above  map[string]childInfo
}

// A childInfo says of a name what is subscribed below it.
type childInfo uint8

const (
	listedBelow childInfo = 1 << iota // names that match the pattern themselves
	hiddenBelow                       // names that do not, so that only CHILDINFO tells of them
)

// newExtendedList reads the options. RFC 5258 section 3 demands BAD for those that are not known.
func newExtendedList(c *listCommand, x Exchange) (*extendedList, error) {
	l := &extendedList{x: x, c: c}
	_, l.only = c.takeSelect("SUBSCRIBED")
	_, l.recursive = c.takeSelect("RECURSIVEMATCH")
	c.takeSelect("REMOTE") // a backend without LIST-EXTENDED has no other mailboxes to show
	_, l.subscribed = c.takeReturn("SUBSCRIBED")
	_, l.children = c.takeReturn("CHILDREN")
	for _, o := range slices.Concat(c.selects, c.returns) {
		return nil, bad("LIST: unknown option " + printable(o.name))
	}
	if l.recursive && !l.only {
		return nil, bad("LIST: RECURSIVEMATCH needs another selection option")
	}
	var patterns []wire.Token
	for _, p := range c.patterns {
		if text := p.Value(); text != "" && !slices.ContainsFunc(patterns, func(o wire.Token) bool { return o.Value() == text }) {
			patterns = append(patterns, p)
		}
	}
	if c.patterns = patterns; len(patterns) > maxPatterns {
		return nil, no("LIMIT", "Too many patterns in one LIST")
	}
	return l, nil
}

// printable is a peer's word as it may stand in a text.
func printable(word string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '[' || r == ']' {
			return '?'
		}
		return r
	}, word[:min(len(word), 40)])
}

func (l *extendedList) run() error {
	for _, p := range l.c.patterns {
		if err := l.exist.fill(l.x, l.c.basic("LIST", p.Value())); err != nil {
			return err
		}
	}
	if l.children {
		if err := l.exist.markChildren(l.c, l.x); err != nil {
			return err
		}
	}
	if l.only || l.subscribed {
		if err := l.subscriptions(); err != nil {
			return err
		}
	}
	if l.recursive {
		if err := l.descendants(); err != nil {
			return err
		}
	}
	return l.answer()
}

// subscriptions asks who is subscribed. With "%" a server must also return names that are not subscribed
// but lead to such, as \Noselect (RFC 3501 section 6.3.9); where it may have, it is asked again with "*",
// which leads to nothing.
func (l *extendedList) subscriptions() error {
	l.member = make(map[string]bool)
	for _, p := range l.c.patterns {
		pattern, from := p.Value(), len(l.lsub.names)
		if err := l.lsub.fill(l.x, l.c.basic("LSUB", pattern)); err != nil {
			return err
		}
		found := l.lsub.names[from:]
		doubt := strings.Contains(pattern, "%") && slices.ContainsFunc(found, leading)
		var sure listing
		if doubt {
			if err := sure.fill(l.x, l.c.basic("LSUB", strings.ReplaceAll(pattern, "%", "*"))); err != nil {
				return err
			}
		}
		for _, n := range found {
			if key := listKey(n.name, n.delim); !doubt || !leading(n) || sure.has(key) {
				l.member[key] = true
			}
		}
	}
	return nil
}

// leading reports a name of LSUB that may only lead to others.
func leading(n listed) bool { return n.has(`\Noselect`) }

// descendants finds what is subscribed below the names that match, at any depth.
func (l *extendedList) descendants() error {
	delim := l.exist.delimiter()
	if delim == "" {
		delim = l.lsub.delimiter()
	}
	var deep listing
	for _, p := range l.c.patterns {
		pattern := p.Value()
		if delim == "" || strings.HasSuffix(pattern, "*") {
			continue
		}
		if err := deep.fill(l.x, l.c.basic("LSUB", pattern+delim+"*")); err != nil {
			return err
		}
	}
	l.above = make(map[string]childInfo)
	l.note(&l.lsub)
	l.note(&deep)
	return nil
}

func (l *extendedList) note(names *listing) {
	for i := range names.names {
		n := &names.names[i]
		key, info := listKey(n.name, n.delim), hiddenBelow
		switch {
		case l.member[key]:
			info = listedBelow
		case names == &l.lsub:
			continue // it only leads to others
		}
		n.ancestors(func(above string) bool {
			l.above[listKey(above, n.delim)] |= info
			return true
		})
	}
}

// answer writes the names that are selected: first those that exist, in the backend's order.
func (l *extendedList) answer() error {
	for i := range l.exist.names {
		if err := l.tell(&l.exist.names[i]); err != nil {
			return err
		}
	}
	for i := range l.lsub.names {
		n := &l.lsub.names[i]
		if !l.only || l.exist.has(listKey(n.name, n.delim)) {
			continue
		}
		n.attrs = `\NonExistent`
		if err := l.tell(n); err != nil {
			return err
		}
	}
	return l.x.Reply(completed("LIST"))
}

// tell writes a name with what is known of it, where it is selected. A name that is not subscribed itself
// is told of only for what no other line shows (RFC 5258 section 3.5).
func (l *extendedList) tell(n *listed) error {
	key := listKey(n.name, n.delim)
	subscribed, below := l.member[key], l.above[key]
	if l.only && !subscribed && below&hiddenBelow == 0 {
		return nil
	}
	if subscribed {
		n.add(`\Subscribed`)
	}
	if below != 0 {
		info := append([]wire.Token{wire.String("CHILDINFO")}, wire.List(wire.String("SUBSCRIBED"))...)
		n.extended = wire.List(info...)
	}
	return l.x.Untagged(n.message())
}
