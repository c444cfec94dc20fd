package translate

import (
	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/wire"
)

const (
	// maxStatuses bounds the mailboxes whose STATUS is asked in one LIST. For others none is given, as RFC
	// 5819 section 2 lets a server do.
	maxStatuses = 2000
	// statusWindow is how many commands are under way at once.
	statusWindow = 20
	// maxStatusTokens and maxName bound the STATUS responses that are held.
	maxStatusTokens = 100
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
	l := statusList{x: x, items: o.value}
	s, err := x.Do(c.message(), l.names.holdSome())
	if err == nil && s.OK() {
		err = l.tell()
	} else if err == nil {
		err = l.names.tell(x)
	}
	return replyOr(x, s, err)
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

// A statusList is a listing to which each mailbox's STATUS is added. The names are held, because clients
// look for a STATUS right behind its LIST, as RFC 5819 section 2 has it; a listing beyond the bounds has
// passed without.
type statusList struct {
	x     Exchange
	items []wire.Token // with their parentheses
	names listing
	asked int
	found map[string]*wire.Message // the answers in a window, by listKey
	other []*wire.Message          // answers that name no mailbox of the window as LIST did
}

// tell writes the listing, one window after another.
func (l *statusList) tell() error {
	for done := 0; done < len(l.names.names); done += statusWindow {
		l.x.Progress(done, len(l.names.names))
		window := l.names.names[done:min(done+statusWindow, len(l.names.names))]
		if err := l.ask(window); err != nil {
			return err
		}
		for i := range window {
			if err := l.x.Untagged(window[i].message()); err != nil {
				return err
			}
			if m := l.found[window[i].key()]; m != nil {
				if err := l.x.Untagged(m); err != nil {
					return err
				}
			}
		}
		for _, m := range l.other {
			if err := l.x.Untagged(m); err != nil {
				return err
			}
		}
	}
	return nil
}

// ask sends the STATUS commands of a window. One that is answered NO leaves its STATUS out (RFC 5819
// section 2); BAD means that the items are wrong, and would be for each.
func (l *statusList) ask(window []listed) error {
	var cmds []*wire.Message
	l.found, l.other = make(map[string]*wire.Message), nil
	for i := range window {
		if n := &window[i]; l.asked < maxStatuses && !n.has(`\Noselect`) && !n.has(`\NonExistent`) {
			l.found[n.key()] = nil
			cmds = append(cmds, wire.Command("STATUS", append([]wire.Token{mailboxToken(n.token())}, l.items...)...))
			l.asked++
		}
	}
	if len(cmds) == 0 {
		return nil
	}
	answers, err := l.x.DoAll(cmds, l.take)
	if err != nil {
		return err
	}
	for _, s := range answers {
		if s.Type == "BAD" {
			return &Refused{Status: s}
		}
	}
	return nil
}

// take keeps the answers, those too that call a mailbox by another name than LIST: none may come before
// the LIST of its mailbox. One that is no ordinary one passes.
func (l *statusList) take(m *wire.Message) (Verdict, error) {
	if m.Name != "STATUS" || len(m.Tokens) > maxStatusTokens || octets(m.Tokens) > maxName {
		return Pass, nil
	}
	if _, more := m.Literal(); more || len(m.Tokens) == 0 {
		return Pass, nil
	}
	key := listKey(m.Tokens[0].Value(), "")
	known, asked := l.found[key]
	switch {
	case asked && known == nil:
		l.found[key] = m.Clone()
	case len(l.other) < statusWindow:
		l.other = append(l.other, m.Clone())
	default:
		return Pass, nil
	}
	return Drop, nil
}
