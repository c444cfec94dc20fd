package translate

import (
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/wire"
)

const capXLIST imap.Cap = "XLIST"

// maxUses bounds what is remembered of one XLIST: mailboxes with a use are few.
const maxUses = 64

// specialUse gives mailboxes the attributes of RFC 6154 on a backend without them: those that its XLIST
// says, else those of the names that the policy special_use lists. It also takes the options of RFC 6154
// for a backend that writes the attributes but does not know the extended LIST.
func specialUse() *Translation {
	return &Translation{
		Name:     "special-use",
		Polyfill: true,
		Commands: []string{"LIST", "CREATE"},
		Offers:   func(Peers) []imap.Cap { return []imap.Cap{imap.CapSpecialUse} },
		Takes: func(p Peers) bool {
			if p.Lacks(imap.CapSpecialUse) {
				return lists(p.Backend, capXLIST) || len(p.Policy.SpecialUse) > 0
			}
			return !p.Lacks(imap.CapListExtended) && !lists(p.Real, imap.CapListExtended)
		},
		Wants: func(m *wire.Message, st *Memory) bool { return m.Name == "LIST" || listsMore(m, st) },
		Run: func(m *wire.Message, x Exchange) error {
			if m.Name == "CREATE" {
				return runCreateUse(m, x)
			}
			return runSpecialUse(m, x)
		},
	}
}

// runCreateUse refuses CREATE with an attribute (RFC 6154 section 3): nothing here could keep it.
func runCreateUse(m *wire.Message, x Exchange) error {
	for _, t := range m.Tokens[min(1, len(m.Tokens)):] {
		if t.Is("USE") && !lists(x.Peers().Real, imap.CapCreateSpecialUse) {
			return no("USEATTR", "This server cannot give a mailbox a special use")
		}
	}
	return x.Send(m)
}

func runSpecialUse(m *wire.Message, x Exchange) error {
	c, err := parseList(m)
	if err != nil || c.root() {
		return x.Send(m)
	}
	u := useFilter{}
	_, u.only = c.takeSelect("SPECIAL-USE")
	c.takeReturn("SPECIAL-USE")
	if u.only && slices.ContainsFunc(c.selects, func(o listOption) bool { return o.name == "RECURSIVEMATCH" }) {
		return no("CANNOT", "RECURSIVEMATCH is not possible with SPECIAL-USE here")
	}
	switch p := x.Peers(); {
	case !p.Lacks(imap.CapSpecialUse):
		if !c.extended {
			return x.Send(m)
		}
		if !u.only {
			return x.Send(c.message())
		}
	case lists(p.Backend, capXLIST):
		if err := u.ask(c, x); err != nil {
			return err
		}
	default:
		u.byPolicy(p)
	}
	s, err := x.Do(c.message(), u.sink)
	return replyOr(x, s, err)
}

// useAttrs are the attributes of RFC 6154 section 2 and RFC 8457, and what XLIST calls them.
func useAttrs() [8][2]string {
	return [8][2]string{
		{`\All`, `\AllMail`}, {`\Archive`, ""}, {`\Drafts`, `\Drafts`}, {`\Flagged`, `\Starred`},
		{`\Junk`, `\Spam`}, {`\Sent`, `\Sent`}, {`\Trash`, `\Trash`}, {`\Important`, `\Important`},
	}
}

// useOf gives the attribute for a token of LIST or XLIST; empty for others.
func useOf(t wire.Token) string {
	for _, names := range useAttrs() {
		if t.Is(names[0]) || names[1] != "" && t.Is(names[1]) {
			return names[0]
		}
	}
	return ""
}

// A useFilter adds attributes to a listing, or takes the names out that have none.
type useFilter struct {
	only   bool                // SPECIAL-USE selects
	ours   bool                // uses decides, and what else LIST says of uses is taken out
	uses   map[string][]string // attributes by listKey
	inbox  string              // the name that XLIST gave to INBOX, where it is another
	inboxs int                 // how many names were passed on as INBOX
}

// byPolicy takes the uses from the policy. Each attribute has one name, so it is given once at most; a
// name that the backend does not list has none.
func (u *useFilter) byPolicy(p Peers) {
	u.ours, u.uses = true, make(map[string][]string)
	for _, a := range useAttrs() {
		if name := p.Policy.SpecialUse[imap.MailboxAttr(a[0])]; name != "" {
			key := listKey(configuredName(name, p), "")
			u.uses[key] = append(u.uses[key], a[0])
		}
	}
}

// ask takes the uses from the backend's XLIST, under the patterns of the client. A backend that refuses
// it says nothing of uses.
func (u *useFilter) ask(c *listCommand, x Exchange) error {
	if len(c.patterns) > maxPatterns {
		return no("LIMIT", "Too many patterns in one LIST")
	}
	u.ours, u.uses = true, make(map[string][]string)
	for _, p := range c.patterns {
		if p.Value() == "" {
			continue
		}
		if _, err := x.Do(c.basic("XLIST", p.Value()), u.note); err != nil {
			return err
		}
	}
	return nil
}

// note reads the answers to XLIST, which some servers call LIST.
func (u *useFilter) note(m *wire.Message) (Verdict, error) {
	if m.Name != "XLIST" && m.Name != "LIST" {
		return Pass, nil
	}
	line, ok := readListLine(m)
	if !ok {
		return Drop, nil
	}
	name := line.name.Value()
	if len(name) > maxName {
		return Drop, nil
	}
	key := listKey(name, line.delimiter())
	if line.has(`\Inbox`) && key != "INBOX" && u.inbox == "" {
		u.inbox = name
	}
	for _, t := range line.attrs {
		use := useOf(t)
		if use != "" && len(u.uses) < maxUses && !slices.Contains(u.uses[key], use) {
			u.uses[key] = append(u.uses[key], use)
		}
	}
	return Drop, nil
}

func (u *useFilter) sink(m *wire.Message) (Verdict, error) {
	if m.Name != "LIST" {
		return Pass, nil
	}
	line, ok := readListLine(m)
	switch {
	case !ok && u.only:
		return Drop, nil
	case !ok:
		return Pass, nil
	}
	verdict := Pass
	if u.ours {
		if verdict = u.change(&line); verdict == Changed {
			line.put(m)
		}
	}
	if u.only && !slices.ContainsFunc(line.attrs, func(t wire.Token) bool { return useOf(t) != "" }) {
		return Drop, nil
	}
	return verdict, nil
}

// change writes the uses that we know into a line, and the name of INBOX, of which there is one.
func (u *useFilter) change(line *listLine) Verdict {
	name := line.name.Value()
	uses := u.uses[listKey(name, line.delimiter())]
	if !line.selectable() {
		uses = nil
	}
	verdict := Pass
	if len(uses) > 0 || slices.ContainsFunc(line.attrs, func(t wire.Token) bool { return useOf(t) != "" }) {
		verdict = Changed
		line.attrs = slices.DeleteFunc(slices.Clone(line.attrs), func(t wire.Token) bool { return useOf(t) != "" })
		for _, use := range uses {
			line.attrs = append(line.attrs, wire.Word(use))
		}
	}
	if u.inbox == "" {
		return verdict
	}
	switch {
	case strings.EqualFold(name, "INBOX"):
		if u.inboxs++; u.inboxs > 1 {
			return Drop
		}
	case name == u.inbox && u.inboxs == 0:
		u.inboxs++
		line.name, verdict = wire.String("INBOX"), Changed
	}
	return verdict
}
