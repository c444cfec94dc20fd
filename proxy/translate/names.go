package translate

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/imapgate/imapgate/proxy/wire"
)

// Names returns the rewrite that lets clients and translations see mailbox names as the map has them,
// and once the client has enabled UTF8=ACCEPT where the backend lacks it, in UTF-8 (RFC 6855 section 3).
// Without either it touches nothing.
func Names(m NameMap) Rewrite {
	n := &names{m, m.On()}
	return Rewrite{Name: "names", Commands: n.takes, Up: n.up, Responses: n.hears, Down: n.down, Reads: reads}
}

type names struct {
	m      NameMap
	mapped bool
}

func (n *names) takes(st *Memory, head string) bool {
	if !n.mapped && !st.UTF8() {
		return false
	}
	switch head {
	case "LIST", "LSUB", "XLIST",
		"SEARCH", "UID SEARCH", "SORT", "UID SORT", "THREAD", "UID THREAD", "SETQUOTA", "GETQUOTA":
		return true
	case "FETCH", "UID FETCH", "STORE", "UID STORE":
		return n.mapped
	}
	return commandNames[head] != nil
}

func (n *names) hears(st *Memory, name string) bool {
	if !n.mapped && !st.UTF8() {
		return false
	}
	switch name {
	case "OK", "NO", "BAD":
		return true
	}
	return responseNames[name] != nil
}

// reads holds what stands before the last name of a response, and none of the values behind it.
func reads(m *wire.Message) bool { return !namedFirst(m.Name) || len(m.Tokens) == 1 }

// up writes a command's names as the backend has them.
func (n *names) up(st *Memory, m *wire.Message) error {
	var err error
	switch m.Name {
	case "LIST", "LSUB", "XLIST":
		err = n.upListing(st, m)
	case "FETCH", "UID FETCH", "STORE", "UID STORE", "SEARCH", "UID SEARCH", "SORT", "UID SORT", "THREAD", "UID THREAD":
		err = n.refuseWords(m)
	default:
		err = n.upNames(st, m)
	}
	if err != nil || !st.UTF8() {
		return err
	}
	return upText(m)
}

func (n *names) refuseWords(m *wire.Message) error {
	if n.mapped && slices.ContainsFunc(m.Tokens, isUnmapped) {
		return no("CANNOT", "Items that name mailboxes are not available here")
	}
	return nil
}

// isUnmapped also finds "+X-GM-LABELS.SILENT".
func isUnmapped(t wire.Token) bool {
	if t.Kind != wire.Atom {
		return false
	}
	text := bytes.TrimLeft(t.Text, "+-")
	return slices.ContainsFunc(unmappedWords, func(w string) bool {
		return len(text) >= len(w) && bytes.EqualFold(text[:len(w)], []byte(w))
	})
}

func (n *names) upNames(st *Memory, m *wire.Message) error {
	find := commandNames[m.Name]
	if find == nil {
		return nil
	}
	spots, ok := find(m.Tokens)
	if !ok {
		return bad("A mailbox name is missing or is not alone in its place")
	}
	for _, s := range spots {
		t := &m.Tokens[s.at]
		name := t.Value()
		theirs, ok := n.upName(st, name)
		switch {
		case !ok && openNowhere(m, t, n.m.Prefix):
		case !ok:
			return no("CANNOT", "No mailbox can have this name")
		case s.kind == aTree && n.mapped && n.m.above(theirs):
			return no("CANNOT", "What lies below this mailbox cannot be named at once")
		case theirs != name:
			*t = stringLike(*t, theirs)
		}
	}
	return nil
}

// upName returns the backend's name of a client's; false where no mailbox has that one.
func (n *names) upName(st *Memory, name string) (theirs string, ok bool) {
	if len(name) > maxMailboxName {
		return "", false
	}
	if st.UTF8() {
		if name, ok = toUTF7(name); !ok {
			return "", false
		}
	}
	return n.m.up(name)
}

// upListing writes reference and patterns as the backend has them. With a prefix the reference becomes
// the beginning of the patterns (RFC 3501 section 6.3.8), because the prefix belongs before it.
func (n *names) upListing(st *Memory, m *wire.Message) error {
	l, ok := parseListArgs(m.Tokens)
	if !ok {
		return bad(m.Name + " takes a reference and a pattern")
	}
	ref := m.Tokens[l.reference].Value()
	for _, at := range l.patterns {
		t := &m.Tokens[at]
		pattern := t.Value()
		theirs := n.upPattern(st, pattern)
		if n.m.Prefix != "" && pattern != "" {
			theirs = n.upPattern(st, ref+pattern)
		}
		if theirs != pattern {
			*t = stringLike(*t, theirs)
		}
	}
	theirs := n.upPattern(st, ref)
	if n.m.Prefix != "" && !(strings.HasPrefix(ref, n.m.outside()) && m.Tokens[l.patterns[0]].Value() == "") {
		theirs = ""
	}
	if theirs != ref {
		m.Tokens[l.reference] = stringLike(m.Tokens[l.reference], theirs)
	}
	return nil
}

func (n *names) upPattern(st *Memory, pattern string) string {
	if st.UTF8() {
		pattern, _ = patternToUTF7(pattern)
	}
	return n.m.upPattern(pattern)
}

// down writes a response's names as the client has them.
func (n *names) down(st *Memory, m *wire.Message) (Verdict, error) {
	if m.IsStatus() {
		return n.downStatus(m), nil
	}
	spots, ok := responseNames[m.Name](m.Tokens)
	if !ok {
		return Drop, nil
	}
	v := Pass
	for _, s := range spots {
		t := &m.Tokens[s.at]
		theirs := t.Value()
		if len(theirs) > maxMailboxName {
			return Drop, nil
		}
		if s.kind == aSeparator && t.Is("NIL") {
			continue
		}
		if seen := n.downText(st, theirs, s.kind); seen != theirs {
			*t, v = n.seenToken(st, *t, seen), Changed
		}
	}
	if n.mapped && n.m.above("INBOX") && isEntry(m.Name) && m.Tokens[spots[1].at].Value() == "INBOX" && childless(m, spots[0].at) {
		v = Changed
	}
	return v, nil
}

func (n *names) downText(st *Memory, theirs string, kind nameKind) (seen string) {
	switch kind {
	case aSeparator:
		return n.m.swap(theirs)
	case aNamespace:
		seen = n.m.namespace(theirs)
	default:
		seen = n.m.down(theirs)
	}
	if st.UTF8() {
		seen = fromUTF7(seen)
	}
	return seen
}

// downStatus takes a name out of a response code: NEWNAME (RFC 2060 section 7.1) has two, which no
// client of today looks at.
func (n *names) downStatus(m *wire.Message) Verdict {
	if len(m.Text) == 0 || m.Text[0] != '[' {
		return Pass
	}
	if code, _, text := wire.Code(m.Text); code == "NEWNAME" {
		m.Text = text
		return Changed
	}
	return Pass
}

// seenToken returns a name for the client, in quotes also where it is UTF-8.
func (n *names) seenToken(st *Memory, was wire.Token, text string) wire.Token {
	if st.UTF8() && utf8.ValidString(text) {
		return glueLike(was, wire.UTF8String(text))
	}
	return stringLike(was, text)
}

func isEntry(name string) bool { return name == "LIST" || name == "LSUB" || name == "XLIST" }

// childless takes away what says that INBOX has mailboxes below it: those are others for the client.
// attributes end before the token at.
func childless(m *wire.Message, at int) (changed bool) {
	from, to := childInfoPlace(m.Tokens)
	if from < to {
		m.Tokens = slices.Delete(m.Tokens, from, to)
	}
	kept := slices.DeleteFunc(m.Tokens[:at:at], func(t wire.Token) bool { return t.Is(`\HasChildren`) })
	if len(kept) == at && from == to {
		return false
	}
	m.Tokens = append(kept, m.Tokens[at:]...)
	return true
}

// childInfoPlace finds CHILDINFO and its value in the extended data of LIST, or all of the data where it is
// alone (RFC 5258 section 4).
func childInfoPlace(tokens []wire.Token) (from, to int) {
	args := arguments(tokens)
	if len(args) < 4 || !args[3].list(tokens) {
		return 0, 0
	}
	items := args[3].inside(tokens)
	for i := 0; i+1 < len(items); i += 2 {
		switch {
		case !says(tokens[items[i].from], "CHILDINFO"):
		case len(items) == 2:
			return args[3].from, args[3].to
		default:
			return items[i].from, items[i+1].to
		}
	}
	return 0, 0
}

// stringLike is a string in the place of a token: 8-bit in quotes only where that was.
func stringLike(was wire.Token, text string) wire.Token {
	if was.Kind == wire.Quoted && hasWide(was.Text) && utf8.ValidString(text) {
		return glueLike(was, wire.UTF8String(text))
	}
	return glueLike(was, wire.String(text))
}

func glueLike(was, t wire.Token) wire.Token {
	t.Glued = was.Glued
	return t
}
