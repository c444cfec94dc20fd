package translate

import (
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/wire"
)

// xlist answers XLIST, by which old clients look for the mailboxes of special use, by LIST with the
// attributes of RFC 6154. It is understood always, and offered where the attributes can be told.
func xlist() *Translation {
	return &Translation{
		Name:     "xlist",
		Polyfill: true,
		Commands: []string{"XLIST"},
		Offers: func(p Peers) []imap.Cap {
			if p.Lacks(imap.CapSpecialUse) && !lists(p.Real, capXLIST) {
				return nil
			}
			return []imap.Cap{capXLIST}
		},
		Takes: func(Peers) bool { return true },
		Run:   runXLIST,
	}
}

func runXLIST(m *wire.Message, x Exchange) error {
	c, err := parseList(m)
	switch p := x.Peers(); {
	case err != nil:
		return err
	case c.extended:
		return bad("XLIST takes a reference and a mailbox name with possible wildcards")
	case p.Lacks(imap.CapSpecialUse) && lists(p.Real, capXLIST):
		return x.Send(m)
	case !c.root() && !p.Lacks(imap.CapSpecialUse) && !p.Lacks(imap.CapListExtended):
		c.wantReturn("SPECIAL-USE")
		c.wantReturn("CHILDREN")
	}
	passed := false
	sink := func(m *wire.Message) (Verdict, error) {
		v := toXLIST(m)
		passed = passed || v == Changed
		return v, nil
	}
	s, err := x.Do(c.message(), sink)
	if err == nil && s.Type == "BAD" && c.extended && !passed { // some servers announce more than they take
		s, err = x.Do(c.basic("LIST", c.patterns[0].Value()), sink)
	}
	if err == nil && s.OK() {
		s = completed("XLIST")
	}
	return replyOr(x, s, err)
}

// toXLIST turns a LIST response into one of XLIST. What its clients cannot know is taken out: a mailbox
// that does not exist is one that cannot be selected (RFC 5258 section 3).
func toXLIST(m *wire.Message) Verdict {
	if m.Name != "LIST" {
		return Pass
	}
	line, ok := readListLine(m)
	if !ok {
		return Drop
	}
	var attrs []wire.Token
	for _, t := range line.attrs {
		if name := xlistAttr(t); name != "" && !slices.ContainsFunc(attrs, func(o wire.Token) bool { return o.Is(name) }) {
			attrs = append(attrs, wire.Word(name))
		}
	}
	if strings.EqualFold(line.name.Value(), "INBOX") {
		attrs = append(attrs, wire.Word(`\Inbox`))
	}
	line.attrs, line.extended = attrs, nil
	line.put(m)
	m.Name = "XLIST"
	return Changed
}

// xlistAttr is what XLIST calls an attribute of LIST; empty where it has no word for it.
func xlistAttr(t wire.Token) string {
	for _, names := range useAttrs() {
		if t.Is(names[0]) {
			return names[1]
		}
	}
	if t.Is(`\NonExistent`) {
		return `\Noselect`
	}
	if t.Is(`\Inbox`) { // said by name alone
		return ""
	}
	return string(t.Text)
}
