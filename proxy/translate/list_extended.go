package translate

import (
	"maps"
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/wire"
)

const (
	// maxAbove bounds the names that are noted because they are above others, besides those that are held.
	maxAbove = 2 * maxListed
	// maxMatching bounds the work of comparing such names with the patterns, in octets of both.
	maxMatching = 50_000_000
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

	exist  listing              // what LIST says
	lsub   listing              // what LSUB says
	deep   listing              // what LSUB says of names below those that match
	member map[string]bool      // names of lsub that are subscribed, by listKey
	above  map[string]childInfo // names that are above subscribed ones
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
	return l.answer()
}

// subscriptions asks who is subscribed, and for RECURSIVEMATCH also who is below the names that match.
//
// LSUB lists names that are not subscribed but lead to such, as \Noselect: with "%" it must (RFC 3501
// section 6.3.9), and some servers always do. A subscribed mailbox may be \Noselect too. So the names
// below are asked for where there is such a one: only a name that is above no other is subscribed.
func (l *extendedList) subscriptions() error {
	for _, p := range l.c.patterns {
		if err := l.lsub.fill(l.x, l.c.basic("LSUB", p.Value())); err != nil {
			return err
		}
	}
	if l.recursive || slices.ContainsFunc(l.lsub.names, unclear) {
		if err := l.descend(); err != nil {
			return err
		}
	}
	l.above = make(map[string]childInfo)
	l.climb(&l.lsub, 0)
	l.climb(&l.deep, 0)
	l.member = make(map[string]bool)
	for i := range l.lsub.names {
		if key := l.lsub.names[i].key(); l.subscribes(&l.lsub.names[i]) {
			l.member[key] = true
		}
	}
	l.climb(&l.lsub, listedBelow)
	l.climb(&l.deep, hiddenBelow)
	return nil
}

// unclear reports a name of LSUB that may only lead to others.
func unclear(n listed) bool { return n.has(`\Noselect`) }

// subscribes reports whether a name of LSUB is subscribed itself, once all names above others are known.
func (l *extendedList) subscribes(n *listed) bool {
	_, leads := l.above[n.key()]
	return !leads || !unclear(*n)
}

// descend lists what is subscribed below the names that match, at any depth. "*" has shown it already.
func (l *extendedList) descend() error {
	delim := l.delimiter()
	if delim == "" { // neither LIST nor LSUB has shown anything
		sink := func(m *wire.Message) (Verdict, error) { return delimiterOf(m, &delim), nil }
		if _, err := l.x.Do(l.c.basic("LIST", ""), sink); err != nil {
			return err
		}
	}
	for _, p := range l.c.patterns {
		pattern := p.Value()
		if delim == "" || strings.HasSuffix(pattern, "*") {
			continue
		}
		if err := l.deep.fill(l.x, l.c.basic("LSUB", below(pattern, delim)+"*")); err != nil {
			return err
		}
	}
	return nil
}

// delimiterOf reads the answer to a LIST for the hierarchy delimiter.
func delimiterOf(m *wire.Message, delim *string) Verdict {
	if m.Name != "LIST" {
		return Pass
	}
	if line, ok := readListLine(m); ok {
		*delim = line.delimiter()
	}
	return Drop
}

func (l *extendedList) delimiter() string {
	if d := l.lsub.delimiter(); d != "" {
		return d
	}
	if d := l.deep.delimiter(); d != "" {
		return d
	}
	return l.exist.delimiter()
}

// climb notes the names that are above those of a listing; with info 0 above any, else above subscribed
// ones. A name that matches itself is no hidden one, whichever listing it stands in.
func (l *extendedList) climb(names *listing, info childInfo) {
	for i := range names.names {
		n := &names.names[i]
		if info != 0 && !l.subscribes(n) {
			continue
		}
		what := info
		if info != 0 && l.member[n.key()] {
			what = listedBelow
		}
		n.ancestors(func(above string) bool {
			key := listKey(above, n.delim)
			if _, known := l.above[key]; known || len(l.above) < maxAbove || l.exist.has(key) || l.lsub.has(key) {
				l.above[key] |= what
			}
			return true
		})
	}
}

// answer writes the names that are selected: first those that exist, in the backend's order, then those
// that are only subscribed, then those that do not even exist but are above subscribed ones.
func (l *extendedList) answer() error {
	for i := range l.exist.names {
		if err := l.tell(&l.exist.names[i]); err != nil {
			return err
		}
	}
	for i := range l.lsub.names {
		n := &l.lsub.names[i]
		if !l.only || l.exist.has(n.key()) {
			continue
		}
		n.attrs = `\NonExistent`
		if err := l.tell(n); err != nil {
			return err
		}
	}
	if l.recursive {
		if err := l.tellMissing(); err != nil {
			return err
		}
	}
	return l.x.Reply(completed("LIST"))
}

// tellMissing tells of the names above subscribed ones that neither LIST nor LSUB has shown. The reference
// is taken for what stands before the pattern.
func (l *extendedList) tellMissing() error {
	delim, work := l.delimiter(), 0
	for _, key := range slices.Sorted(maps.Keys(l.above)) {
		if l.exist.has(key) || l.lsub.has(key) {
			continue
		}
		meant := slices.ContainsFunc(l.c.patterns, func(p wire.Token) bool {
			pattern := l.c.reference.Value() + p.Value()
			work += len(pattern) * len(key)
			return len(pattern) <= maxPattern && work <= maxMatching && matches(pattern, key, delim)
		})
		if !meant {
			continue
		}
		if err := l.tell(&listed{name: key, delim: delim, attrs: `\NonExistent`}); err != nil {
			return err
		}
	}
	return nil
}

// tell writes a name with what is known of it, where it is selected. A name that is not subscribed itself
// is told of only for what no other line shows (RFC 5258 section 3.5).
func (l *extendedList) tell(n *listed) error {
	subscribed, below := l.member[n.key()], l.above[n.key()]
	if l.only && !subscribed && (!l.recursive || below&hiddenBelow == 0) {
		return nil
	}
	if subscribed {
		n.add(`\Subscribed`)
	}
	if l.recursive && below != 0 {
		info := append([]wire.Token{wire.String("CHILDINFO")}, wire.List(wire.String("SUBSCRIBED"))...)
		n.extended = wire.List(info...)
	}
	return l.x.Untagged(n.message())
}
