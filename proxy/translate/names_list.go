package translate

import (
	"slices"
	"strings"

	"github.com/imapgate/imapgate/proxy/wire"
)

// listNames answers LIST, LSUB and XLIST where no one pattern of the backend's means the client's: with a
// prefix, because INBOX and other namespaces do not begin with it; and where the names are UTF-8, because
// a wildcard does not stop in front of what the backend writes as one shift. It is the lowest of the
// layers that know LIST, and what it sends [Names] can write.
func listNames() *Translation {
	return &Translation{
		Name: "names", Commands: []string{"LIST", "LSUB", "XLIST"},
		Takes: func(p Peers) bool {
			return p.Policy.Names.Prefix != "" || p.Policy.Polyfills.Has("utf8") && lacksUTF8(p)
		},
		Wants: func(_ *wire.Message, st *Memory) bool { return st.prefixed || st.UTF8() },
		Run: func(m *wire.Message, x Exchange) error {
			l, ok := parseListArgs(m.Tokens)
			if !ok {
				return bad(m.Name + " takes a reference and a pattern")
			}
			n := nameList{m: x.Peers().Policy.Names, listArgs: l, utf8: x.Memory().UTF8()}
			if !n.plan(m.Tokens) {
				return x.Send(m)
			}
			if n.tooLong {
				return no("CANNOT", "The pattern is too long")
			}
			return n.run(m, x)
		},
	}
}

// A nameList is one LIST whose results are compared with what the client meant.
type nameList struct {
	listArgs
	m       NameMap
	utf8    bool
	asked   []string // the client's patterns, with the reference before them
	sent    []string // patterns that together find all that is meant, as clients would write them
	exact   bool     // what they find is what is meant
	tooLong bool

	top       bool   // the client asks for the top of what is outside, and not for what lies there
	separator string // of the entry before; empty where it has none
}

// plan decides which patterns are sent; false where the client's own are right.
func (n *nameList) plan(tokens []wire.Token) (needed bool) {
	n.exact = true
	ref := tokens[n.reference].Value()
	for _, at := range n.patterns {
		pattern := tokens[at].Value()
		if pattern == "" {
			n.sent = append(n.sent, "")
			continue
		}
		n.add(ref, pattern)
		n.tooLong = n.tooLong || len(ref)+len(pattern) > maxPattern
	}
	return !n.exact
}

// add asks for what one pattern means. No mailbox is found by two of what a plain LIST becomes: without
// "*" a pattern says how deep names lie, and with it one pattern finds all, but no levels that are not
// mailboxes.
func (n *nameList) add(ref, pattern string) {
	if n.utf8 && (ref == "" || n.m.Prefix != "") { // a reference alone is read by servers in their own ways
		if _, exact := patternToUTF7(ref + pattern); !exact {
			n.exact = false
		}
	}
	if n.m.Prefix == "" {
		n.asked, n.sent = append(n.asked, ref+pattern), append(n.sent, pattern)
		return
	}
	pattern = ref + pattern
	n.asked = append(n.asked, pattern)
	inbox, top, below := matchesInbox(pattern), matches(pattern, Outside, n.m.client()), mayBegin(pattern, n.m.outside(), n.m.client())
	if inbox || top || below {
		n.exact = false
	}
	switch {
	case below && strings.Contains(pattern, "*") && !strings.HasPrefix(pattern, n.m.outside()):
		n.ask(n.m.outside() + "*") // which finds all mailboxes
	case below && !strings.HasPrefix(pattern, n.m.outside()):
		n.ask(pattern)
		if _, rest, _ := strings.Cut(pattern, n.m.client()); rest != "" {
			n.ask(n.m.outside() + rest)
		}
	case isInbox(pattern):
		n.ask("INBOX")
	case top: // INBOX is among what this finds
		n.top = true
		n.ask(pattern, n.m.outside()+"%")
	case inbox:
		n.ask(pattern, "INBOX")
	default:
		n.ask(pattern)
	}
}

func (n *nameList) ask(patterns ...string) {
	for _, p := range patterns {
		if !slices.Contains(n.sent, p) {
			n.sent = append(n.sent, p)
		}
	}
}

// run sends the patterns, and shows what the client has asked for.
func (n *nameList) run(m *wire.Message, x Exchange) error {
	answers, err := x.DoAll(n.commands(m), n.show)
	if err != nil {
		return err
	}
	for _, status := range answers {
		if status.Type != "OK" {
			return x.Reply(status)
		}
	}
	return x.Reply(answers[0])
}

// commands are one for each pattern, but one for all of an extended LIST (RFC 5258 section 3).
func (n *nameList) commands(m *wire.Message) (cmds []*wire.Message) {
	if n.extended {
		return []*wire.Message{n.command(m, n.sent...)}
	}
	for _, pattern := range n.sent {
		cmds = append(cmds, n.command(m, pattern))
	}
	return cmds
}

// command is m with other patterns, and without a reference where the patterns have it.
func (n *nameList) command(m *wire.Message, patterns ...string) *wire.Message {
	tokens := make([]wire.Token, len(patterns))
	for i, p := range patterns {
		tokens[i] = wire.String(p)
	}
	if len(tokens) > 1 {
		tokens = wire.List(tokens...)
	}
	all := slices.Concat(m.Tokens[:n.from], tokens, m.Tokens[n.to:])
	if n.m.Prefix != "" {
		all[n.reference] = glueLike(all[n.reference], wire.String(""))
	}
	return wire.Command(m.Name, all...)
}

// show lets through what the client has asked for.
func (n *nameList) show(m *wire.Message) (Verdict, error) {
	if !isEntry(m.Name) {
		// What RETURN asks for of each mailbox: of one that is not shown it is not either.
		find := responseNames[m.Name]
		if find == nil || !namedFirst(m.Name) || !n.extended {
			return Pass, nil
		}
		if spots, ok := find(m.Tokens); ok && !n.meant(m.Tokens[spots[0].at].Value()) {
			return Drop, nil
		}
		return Pass, nil
	}
	spots, ok := inEntry(m.Tokens)
	if !ok {
		return Drop, nil
	}
	n.separator = ""
	if t := m.Tokens[spots[0].at]; !t.Is("NIL") {
		n.separator = t.Value()
	}
	name := m.Tokens[spots[1].at].Value()
	switch {
	case n.isRoot(name) && !selectable(m.Tokens[:spots[0].at]):
		return Drop, nil
	case n.meant(name):
		return Pass, nil
	case n.top && !n.selects && strings.HasPrefix(name, n.m.outside()):
		n.top = false
		m.Tokens = append(wire.List(wire.Word(`\Noselect`), wire.Word(`\HasChildren`)), wire.String(n.m.client()), wire.String(Outside))
		return Changed, nil
	}
	return Drop, nil
}

// meant reports whether the client has asked for a mailbox.
func (n *nameList) meant(name string) bool {
	return slices.ContainsFunc(n.asked, func(pattern string) bool {
		return isInbox(name) && matchesInbox(pattern) || matches(pattern, name, n.separator)
	})
}

// isRoot reports whether a name is the map's prefix without its end: what lies above all that clients
// see.
func (n *nameList) isRoot(name string) bool {
	root := strings.TrimSuffix(n.m.Prefix, n.m.Separator)
	return root != "" && name == n.m.down(root)
}

func selectable(attributes []wire.Token) bool {
	return !slices.ContainsFunc(attributes, func(t wire.Token) bool { return t.Is(`\Noselect`) || t.Is(`\NonExistent`) })
}
