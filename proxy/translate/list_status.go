package translate

import (
	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/wire"
)

// Bounds of a LIST with STATUS. For the mailboxes behind them no STATUS is given, as RFC 5819 section 2
// lets a server do.
const (
	maxStatuses     = 2000    // mailboxes
	maxStatusOctets = 1 << 20 // of their names
	statusWindow    = 20      // commands under way at once
)

// listStatus answers LIST with the return option STATUS (RFC 5819): LIST, then a STATUS for each mailbox
// that can be opened.
func listStatus() *Translation {
	return &Translation{
		Name:     "list-status",
		Polyfill: true,
		Commands: []string{"LIST"},
		Offers:   func(Peers) []imap.Cap { return []imap.Cap{imap.CapListStatus} },
		// A backend that has LIST-STATUS without LIST-EXTENDED is of no use to list-extended below.
		Takes: func(p Peers) bool {
			return !p.Lacks(imap.CapListExtended) && (p.Lacks(imap.CapListStatus) || !lists(p.Real, imap.CapListExtended))
		},
		Wants: listsMore,
		Run:   runListStatus,
	}
}

func runListStatus(m *wire.Message, x Exchange) error {
	c, err := parseList(m)
	if err != nil {
		return err
	}
	o, ok := c.takeReturn("STATUS")
	if !ok {
		return x.Send(m)
	}
	if !atomList(o.value) {
		return bad("LIST: STATUS takes a list of items")
	}
	names := statusNames{seen: make(map[string]bool)}
	s, err := x.Do(c.message(), names.sink)
	if err != nil || !s.OK() {
		return replyOr(x, s, err)
	}
	if err := names.ask(o.value, x); err != nil {
		return err
	}
	return x.Reply(s)
}

// replyOr answers with a status, unless there was an error.
func replyOr(x Exchange, s wire.Status, err error) error {
	if err != nil {
		return err
	}
	return x.Reply(s)
}

// atomList reports a list of one or more atoms, with its parentheses.
func atomList(tokens []wire.Token) bool {
	if len(tokens) < 3 {
		return false
	}
	for _, t := range tokens[1 : len(tokens)-1] {
		if t.Kind != wire.Atom {
			return false
		}
	}
	return true
}

// statusNames are the mailboxes whose STATUS is to be asked, in the order of the listing.
type statusNames struct {
	names  []wire.Token
	seen   map[string]bool
	octets int
}

func (n *statusNames) sink(m *wire.Message) (Verdict, error) {
	if m.Name != "LIST" {
		return Pass, nil
	}
	if line, ok := readListLine(m); ok && line.selectable() {
		n.add(&line)
	}
	return Pass, nil
}

func (n *statusNames) add(line *listLine) {
	name := line.name.Value()
	key := listKey(name, line.delimiter())
	if n.seen[key] || len(n.names) == maxStatuses || n.octets+len(name) > maxStatusOctets {
		return
	}
	n.seen[key] = true
	n.octets += len(name)
	n.names = append(n.names, mailboxToken(line.name).Clone())
}

// ask sends the STATUS commands. One that is answered NO leaves its STATUS out (RFC 5819 section 2); BAD
// means that the items are wrong, and would be for each.
func (n *statusNames) ask(items []wire.Token, x Exchange) error {
	for done := 0; done < len(n.names); done += statusWindow {
		x.Progress(done, len(n.names))
		var cmds []*wire.Message
		for _, name := range n.names[done:min(done+statusWindow, len(n.names))] {
			cmds = append(cmds, wire.Command("STATUS", append([]wire.Token{name}, items...)...))
		}
		answers, err := x.DoAll(cmds, nil)
		if err != nil {
			return err
		}
		for _, s := range answers {
			if s.Type == "BAD" {
				return &Refused{Status: s}
			}
		}
	}
	return nil
}
