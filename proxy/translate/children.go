package translate

import (
	"strings"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/wire"
)

// children adds \HasChildren and \HasNoChildren (RFC 3348) to what a backend without them lists. Nothing
// is remembered from one LIST to the next, so nothing can be out of date.
func children() *Translation {
	return &Translation{
		Name:     "children",
		Polyfill: true,
		Commands: []string{"LIST"},
		Offers:   func(Peers) []imap.Cap { return []imap.Cap{imap.CapChildren} },
		Takes:    func(p Peers) bool { return p.Lacks(imap.CapChildren) },
		Run:      runChildren,
	}
}

func runChildren(m *wire.Message, x Exchange) error {
	c, err := parseList(m)
	if err != nil || c.root() {
		return x.Send(m)
	}
	if lists(x.Peers().Backend, imap.CapListExtended) {
		c.wantReturn("CHILDREN")
		return x.Send(c.message())
	}
	if c.extended {
		return x.Send(m)
	}
	return listChildren(c, x)
}

// listChildren holds a listing until it is known who has children. A listing beyond the bounds goes on
// to the client without: RFC 3348 section 3 lets a server leave both attributes out.
func listChildren(c *listCommand, x Exchange) error {
	var l listing
	s, err := x.Do(c.message(), l.holdSome())
	if err != nil {
		return err
	}
	if s.OK() && !l.tooMany {
		if err := l.markChildren(c, x); err != nil {
			return err
		}
	}
	if err := l.tell(x); err != nil {
		return err
	}
	return x.Reply(s)
}

// markChildren gives each name of a listing that has neither attribute one of them, unless the backend
// refuses to say, or has several delimiters and was asked with another one. What matches "a*" holds all
// that is below it; below what matches any other pattern the backend is asked once more.
func (l *listing) markChildren(c *listCommand, x Exchange) error {
	parents := make(map[string]bool)
	for i := range l.names {
		l.names[i].ancestors(func(above string) bool {
			if key := listKey(above, l.names[i].delim); l.has(key) {
				parents[key] = true
			}
			return true
		})
	}
	known, asked := true, "" // asked is the delimiter with which the backend was asked
	for _, p := range c.patterns {
		pattern := p.Value()
		if strings.HasSuffix(pattern, "*") || !l.lacksChildren() {
			continue
		}
		ok, err := l.askChildren(c, pattern, x, parents)
		if err != nil {
			return err
		}
		known, asked = known && ok, l.delimiter()
	}
	for i := range l.names {
		switch n := &l.names[i]; {
		case n.has(`\HasChildren`) || n.has(`\HasNoChildren`) || n.has(`\NonExistent`):
		case parents[listKey(n.name, n.delim)] && !n.has(`\Noinferiors`):
			n.add(`\HasChildren`)
		case known && (asked == "" || n.delim == "" || n.delim == asked):
			n.add(`\HasNoChildren`)
		}
	}
	return nil
}

// lacksChildren reports whether any name of the listing has neither attribute, and can have one.
func (l *listing) lacksChildren() bool {
	for i := range l.names {
		n := &l.names[i]
		if n.delim != "" && !n.has(`\HasChildren`) && !n.has(`\HasNoChildren`) && !n.has(`\Noinferiors`) {
			return true
		}
	}
	return false
}

// askChildren lists one level more than the pattern did, and notes what is above the names that come.
func (l *listing) askChildren(c *listCommand, pattern string, x Exchange, parents map[string]bool) (known bool, err error) {
	if strings.EqualFold(pattern, "INBOX") {
		pattern = "INBOX"
	}
	s, err := x.Do(c.basic("LIST", below(pattern, l.delimiter())+"%"), func(m *wire.Message) (Verdict, error) {
		if m.Name != "LIST" {
			return Pass, nil
		}
		if line, ok := readListLine(m); ok {
			ancestors(line.name.Value(), line.delimiter())(func(above string) bool {
				if key := listKey(above, ""); l.has(key) {
					parents[key] = true
				}
				return true
			})
		}
		return Drop, nil
	})
	return s.OK(), err
}

// below begins a pattern for what is below the names that match another one, which may end in the delimiter
// itself as some servers write names that only hold others.
func below(pattern, delim string) string { return strings.TrimSuffix(pattern, delim) + delim }

// delimiter is the first one in the listing; a backend's own namespace has one.
func (l *listing) delimiter() string {
	for i := range l.names {
		if d := l.names[i].delim; d != "" {
			return d
		}
	}
	return ""
}
