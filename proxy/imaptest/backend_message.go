package imaptest

import (
	"fmt"
	"slices"
	"strings"
)

// All of this runs under the store's lock.

func (s *session) append(c *command) string {
	n := len(c.args)
	if n < 2 || !c.args[n-1].quoted {
		return "BAD APPEND takes a mailbox and a literal"
	}
	b := s.store.box(c.str(0))
	if b == nil {
		return "NO [TRYCREATE] no such mailbox"
	}
	var flags []string
	for _, a := range c.args[1].list {
		flags = append(flags, a.text)
	}
	uid := b.add(c.str(n-1), flags)
	if !s.has("UIDPLUS") {
		return done(s, c)
	}
	return fmt.Sprintf("OK [APPENDUID %d %d] stored", b.validity, uid)
}

// resolve returns the places in the view that argument 0 names. UIDs that do not exist are left out;
// message numbers that do not exist are an error.
func (s *session) resolve(c *command) ([]int, error) {
	set, err := parseSet(c.str(0))
	if err != nil {
		return nil, err
	}
	last := uint32(len(s.view))
	if c.uid && last > 0 {
		last = s.view[last-1].uid
	}
	for _, r := range set {
		if high := max(r.from, r.to); !c.uid && (high > last || last == 0) {
			return nil, fmt.Errorf("there is no message %d", high)
		}
	}
	var out []int
	for i, v := range s.view {
		n := uint32(i + 1)
		if c.uid {
			n = v.uid
		}
		if contains(set, n, last) {
			out = append(out, i)
		}
	}
	return out, nil
}

func (s *session) fetch(c *command) string {
	places, err := s.resolve(c)
	if err != nil || len(c.args) != 2 {
		return fmt.Sprintf("BAD FETCH: %v", err)
	}
	items := c.args[1].list
	if !c.args[1].isList {
		items = c.args[1:]
	}
	for _, i := range places {
		m := s.selected.find(s.view[i].uid)
		if m == nil { // expunged by another session, which the client does not know yet
			continue
		}
		data, ok := s.fetched(c, m, items)
		if !ok {
			return "BAD unknown item"
		}
		s.printf("* %d FETCH (%s)", i+1, data)
	}
	return done(s, c)
}

func (s *session) fetched(c *command, m *Stored, items []arg) (string, bool) {
	var out []string
	if c.uid {
		out = append(out, fmt.Sprintf("UID %d", m.UID))
	}
	for _, a := range items {
		item := strings.ToUpper(a.text)
		if item == "UID" && c.uid {
			continue
		}
		data, ok := s.item(m, item)
		if !ok {
			return "", false
		}
		out = append(out, data)
	}
	return strings.Join(out, " "), true
}

func (s *session) item(m *Stored, item string) (string, bool) {
	switch item {
	case "UID":
		return fmt.Sprintf("UID %d", m.UID), true
	case "FLAGS":
		return "FLAGS " + flagList(m), true
	case "RFC822.SIZE":
		return fmt.Sprintf("RFC822.SIZE %d", len(m.Body)), true
	case "INTERNALDATE":
		return `INTERNALDATE "01-Jan-2000 00:00:00 +0000"`, true
	case "BODY[]":
		if !s.readOnly && !m.Has(`\Seen`) { // the session tells the flag behind the data
			m.Flags = sortedFlags(append(m.Flags, `\Seen`))
		}
		fallthrough
	case "BODY.PEEK[]":
		return fmt.Sprintf("BODY[] {%d}\r\n%s", len(m.Body), m.Body), true
	case "BODY.PEEK[2]": // part 2 of any message is all of it, in base64
		return fmt.Sprintf("BODY[2] {%d}\r\n%s", len(m.Body), m.Body), true
	case "BODY.PEEK[2.MIME]":
		const header = "Content-Transfer-Encoding: base64\r\n\r\n"
		return fmt.Sprintf("BODY[2.MIME] {%d}\r\n%s", len(header), header), true
	}
	return "", false
}

func (s *session) storeFlags(c *command) string {
	places, err := s.resolve(c)
	if err != nil || len(c.args) < 3 {
		return fmt.Sprintf("BAD STORE: %v", err)
	}
	if s.readOnly {
		return "NO [NOPERM] the mailbox is read-only"
	}
	flags := c.args[2:]
	if c.args[2].isList {
		flags = c.args[2].list
	}
	how, silent := strings.CutSuffix(strings.ToUpper(c.str(1)), ".SILENT")
	for _, i := range places {
		m := s.selected.find(s.view[i].uid)
		if m == nil {
			continue
		}
		known := s.view[i].flags == flagList(m)
		if !m.change(how, flags) {
			return "BAD STORE takes FLAGS, +FLAGS or -FLAGS"
		}
		switch {
		case !silent:
			s.tellFlags(i, m)
		case known: // otherwise another session's change is due
			s.view[i].flags = flagList(m)
		}
	}
	return done(s, c)
}

// change reports whether how is a way to change flags.
func (m *Stored) change(how string, flags []arg) bool {
	named := func(flag string) bool {
		return slices.ContainsFunc(flags, func(a arg) bool { return strings.EqualFold(a.text, flag) })
	}
	kept := slices.Clone(m.Flags)
	switch how {
	case "-FLAGS":
		m.Flags = slices.DeleteFunc(kept, named)
		return true
	case "FLAGS":
		kept = nil
	case "+FLAGS":
	default:
		return false
	}
	for _, a := range flags {
		kept = append(kept, a.text)
	}
	m.Flags = sortedFlags(kept)
	return true
}

// expunge removes what is marked; UID EXPUNGE only what its set names too (RFC 4315 section 2.1).
func (s *session) expunge(c *command) string {
	if s.readOnly {
		return "NO [NOPERM] the mailbox is read-only"
	}
	set := []span{{1, 1<<32 - 1}}
	var last uint32
	if c.uid {
		var err error
		if set, err = parseSet(c.str(0)); err != nil {
			return "BAD " + err.Error()
		}
		if n := len(s.view); n > 0 {
			last = s.view[n-1].uid
		}
	}
	s.selected.remove(func(m Stored) bool { return m.Has(`\Deleted`) && contains(set, m.UID, last) })
	return done(s, c)
}

func (s *session) copy(c *command) string {
	_, code, refusal := s.duplicate(c)
	if refusal != "" {
		return refusal
	}
	return "OK " + code + "copied"
}

// move tells COPYUID before it expunges (RFC 6851 section 4.3).
func (s *session) move(c *command) string {
	if s.readOnly {
		return "NO [NOPERM] the mailbox is read-only"
	}
	uids, code, refusal := s.duplicate(c)
	if refusal != "" {
		return refusal
	}
	if code != "" {
		s.printf("* OK %smoved", code)
	}
	s.selected.remove(func(m Stored) bool { return slices.Contains(uids, m.UID) })
	return done(s, c)
}

// duplicate copies all that argument 0 names, or nothing. It returns the UIDs that were copied and,
// with UIDPLUS, the COPYUID code with a space behind it; or the tagged answer that refuses.
func (s *session) duplicate(c *command) (uids []uint32, code, refusal string) {
	places, err := s.resolve(c)
	if err != nil || len(c.args) != 2 {
		return nil, "", fmt.Sprintf("BAD %s: %v", c.name, err)
	}
	to := s.store.box(c.str(1))
	if to == nil {
		return nil, "", "NO [TRYCREATE] no such mailbox"
	}
	var copies []uint32
	for _, i := range places {
		if m := s.selected.find(s.view[i].uid); m != nil {
			uids = append(uids, m.UID)
			copies = append(copies, to.add(m.Body, m.Flags))
		}
	}
	if len(uids) > 0 && s.has("UIDPLUS") {
		code = fmt.Sprintf("[COPYUID %d %s %s] ", to.validity, formatSet(uids), formatSet(copies))
	}
	return uids, code, ""
}

// formatSet writes ascending numbers as a set with ranges.
func formatSet(numbers []uint32) string {
	var parts []string
	for i := 0; i < len(numbers); {
		j := i
		for j+1 < len(numbers) && numbers[j+1] == numbers[j]+1 {
			j++
		}
		part := fmt.Sprint(numbers[i])
		if j > i {
			part += fmt.Sprintf(":%d", numbers[j])
		}
		parts = append(parts, part)
		i = j + 1
	}
	return strings.Join(parts, ",")
}
