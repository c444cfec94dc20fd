package translate

import (
	"strings"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/wire"
)

// namespace answers NAMESPACE (RFC 2342) for a backend that only knows LIST. It says what LIST shows: the
// personal namespace, its delimiter, and the prefix of servers that have all mailboxes below INBOX.
func namespace() *Translation {
	return &Translation{
		Name:     "namespace",
		Polyfill: true,
		Commands: []string{"NAMESPACE"},
		Offers:   func(Peers) []imap.Cap { return []imap.Cap{imap.CapNamespace} },
		Takes:    func(p Peers) bool { return p.Lacks(imap.CapNamespace) },
		Run:      runNamespace,
	}
}

func runNamespace(m *wire.Message, x Exchange) error {
	if len(m.Tokens) != 0 {
		return bad("NAMESPACE takes no arguments")
	}
	var root, top, below levels
	for _, ask := range []struct {
		pattern string
		l       *levels
		needed  func() bool
	}{
		{"", &root, func() bool { return true }},
		{"%", &top, func() bool { return true }},
		{"INBOX%s%", &below, func() bool { return top.inbox && top.others == 0 && delimOf(&root, &top) != "" }},
	} {
		if !ask.needed() {
			continue
		}
		pattern := strings.Replace(ask.pattern, "%s", delimOf(&root, &top), 1)
		s, err := x.Do(wire.Command("LIST", wire.String(""), wire.String(pattern)), ask.l.sink)
		if err != nil {
			return err
		}
		if !s.OK() {
			return x.Reply(s)
		}
	}
	prefix, delim := "", delimOf(&root, &top)
	if below.others > 0 {
		prefix = "INBOX" + delim
	}
	if err := x.Untagged(namespaceData(prefix, delim)); err != nil {
		return err
	}
	return x.Reply(completed("NAMESPACE"))
}

// levels are what a LIST shows, in numbers.
type levels struct {
	delim  string
	inbox  bool
	others int // names besides INBOX
}

func (l *levels) sink(m *wire.Message) (Verdict, error) {
	if m.Name != "LIST" {
		return Pass, nil
	}
	line, ok := readListLine(m)
	if !ok {
		return Drop, nil
	}
	if l.delim == "" {
		l.delim = line.delimiter()
	}
	switch name := listKey(line.name.Value(), line.delimiter()); name {
	case "INBOX":
		l.inbox = true
	case "":
	default:
		l.others++
	}
	return Drop, nil
}

func delimOf(root, top *levels) string {
	if root.delim != "" {
		return root.delim
	}
	return top.delim
}

// namespaceData is the response: one personal namespace, none of other users, none shared.
func namespaceData(prefix, delim string) *wire.Message {
	d := wire.Word("NIL")
	if delim != "" {
		d = wire.Token{Kind: wire.Quoted, Text: escaped(delim)}
	}
	inner := wire.List(patternToken(prefix), d)
	return wire.Data("NAMESPACE", append(wire.List(inner...), wire.Word("NIL"), wire.Word("NIL"))...)
}
