package imaptest

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// All of this runs under the store's lock.

const knownFlags = `\Answered \Flagged \Deleted \Seen \Draft`

// tell sends what has changed in the selected mailbox since the client was told last.
func (s *session) tell() {
	if s.selected == nil {
		return
	}
	s.tellExpunged()
	s.tellNew()
}

func (s *session) tellExpunged() {
	for i := len(s.view) - 1; i >= 0; i-- {
		if s.selected.find(s.view[i].uid) == nil {
			s.printf("* %d %s", i+1, s.gone())
			s.view = slices.Delete(s.view, i, i+1)
		}
	}
}

// gone is what a removal is called.
func (s *session) gone() string {
	if s.has("XGWEXTENSIONS") {
		return "XGWMOVE"
	}
	return "EXPUNGE"
}

// tellNew sends changed flags and new messages, which renumber nothing.
func (s *session) tellNew() {
	if s.selected == nil {
		return
	}
	for i := range s.view {
		if m := s.selected.find(s.view[i].uid); m != nil && flagList(m) != s.view[i].flags {
			s.tellFlags(i, m)
		}
	}
	if s.learn() {
		s.printf("* %d EXISTS", len(s.view))
	}
}

func (s *session) tellFlags(i int, m *Stored) {
	s.view[i].flags = flagList(m)
	s.printf("* %d FETCH (UID %d FLAGS %s)", i+1, m.UID, flagList(m))
}

// learn takes new messages into the view and reports whether there were any.
func (s *session) learn() bool {
	before := len(s.view)
	for i := range s.selected.messages {
		if m := &s.selected.messages[i]; m.UID >= s.told {
			s.view = append(s.view, seen{m.UID, flagList(m)})
		}
	}
	s.told = s.selected.next
	return len(s.view) > before
}

func flagList(m *Stored) string { return "(" + strings.Join(m.Flags, " ") + ")" }

func (s *session) doSelect(c *command) string {
	s.unselect(c)
	b := s.store.box(c.str(0))
	if b == nil {
		return "NO [NONEXISTENT] no such mailbox"
	}
	s.selected, s.name, s.readOnly = b, canonicalName(c.str(0)), c.name == "EXAMINE"
	s.learn()
	s.printf("* FLAGS (%s)", knownFlags)
	s.printf("* %d EXISTS", len(s.view))
	s.printf("* 0 RECENT")
	s.printf("* OK [UIDVALIDITY %d] valid", b.validity)
	s.printf("* OK [UIDNEXT %d] next", b.next)
	if s.readOnly {
		s.printf("* OK [PERMANENTFLAGS ()] none")
		return "OK [READ-ONLY] selected"
	}
	s.printf(`* OK [PERMANENTFLAGS (%s \*)] kept`, knownFlags)
	return "OK [READ-WRITE] selected"
}

func (s *session) unselect(c *command) string {
	s.selected, s.name, s.view, s.told = nil, "", nil, 0
	return done(s, c)
}

// closeMailbox expunges without telling (RFC 3501 section 6.4.2).
func (s *session) closeMailbox(c *command) string {
	if !s.readOnly {
		s.selected.remove(func(m Stored) bool { return m.Has(`\Deleted`) })
	}
	return s.unselect(c)
}

func (s *session) create(c *command) string {
	if c.str(0) == "" || !s.store.create(c.str(0)) {
		return "NO [ALREADYEXISTS] mailbox exists"
	}
	return done(s, c)
}

func (s *session) delete(c *command) string {
	name := canonicalName(c.str(0))
	switch {
	case name == "INBOX" || name == s.name:
		return "NO [CANNOT] not this mailbox"
	case s.store.boxes[name] == nil:
		return "NO [NONEXISTENT] no such mailbox"
	}
	delete(s.store.boxes, name)
	return done(s, c)
}

// list knows "*" and "%"; there is no hierarchy but by name.
func (s *session) list(c *command) string {
	if len(c.args) != 2 {
		return "BAD " + c.name + " takes a reference and a pattern"
	}
	if c.str(1) == "" {
		s.printf(`* %s (\Noselect) "/" ""`, c.name)
		return done(s, c)
	}
	pattern := c.str(0) + c.str(1)
	for _, name := range slices.Sorted(maps.Keys(s.store.boxes)) {
		if matches(pattern, name) {
			s.printf(`* %s () "/" %s`, c.name, quote(name))
		}
	}
	return done(s, c)
}

// matches follows RFC 3501 section 6.3.8: "*" takes anything, "%" anything but the delimiter.
func matches(pattern, name string) bool {
	expr := strings.NewReplacer(`\*`, ".*", "%", "[^/]*").Replace(regexp.QuoteMeta(pattern))
	if name == "INBOX" {
		expr = "(?i)" + expr
	}
	ok, err := regexp.MatchString("^(?:"+expr+")$", name)
	return ok && err == nil
}

func quote(s string) string {
	return `"` + strings.NewReplacer(`"`, `\"`, `\`, `\\`).Replace(s) + `"`
}

func (s *session) namespace(c *command) string {
	s.printf(`* NAMESPACE (("" "/")) NIL NIL`)
	return done(s, c)
}

func (s *session) status(c *command) string {
	b := s.store.box(c.str(0))
	if b == nil {
		return "NO [NONEXISTENT] no such mailbox"
	}
	if len(c.args) != 2 || !c.args[1].isList {
		return "BAD STATUS takes a mailbox and a list"
	}
	var items []string
	for _, a := range c.args[1].list {
		n, ok := b.status(strings.ToUpper(a.text))
		if !ok {
			return "BAD unknown item " + a.text
		}
		items = append(items, strings.ToUpper(a.text), strconv.Itoa(n))
	}
	s.printf("* STATUS %s (%s)", quote(c.str(0)), strings.Join(items, " "))
	return done(s, c)
}

func (b *box) status(item string) (int, bool) {
	switch item {
	case "MESSAGES":
		return len(b.messages), true
	case "RECENT":
		return 0, true
	case "UIDNEXT":
		return int(b.next), true
	case "UIDVALIDITY":
		return int(b.validity), true
	case "UNSEEN":
		n := 0
		for _, m := range b.messages {
			if !m.Has(`\Seen`) {
				n++
			}
		}
		return n, true
	}
	return 0, false
}
