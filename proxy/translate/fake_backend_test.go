package translate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/wire"
)

func (f *fake) run(cmd *wire.Message, hear Sink) (wire.Status, error) {
	byUID := strings.HasPrefix(cmd.Name, "UID ")
	if byUID || cmd.Name == "MOVE" {
		f.flush(hear)
	}
	switch strings.TrimPrefix(cmd.Name, "UID ") {
	case "FETCH":
		return f.fetch(f.named(cmd, byUID), hear)
	case "COPY":
		return f.copy(cmd, f.named(cmd, true), hear)
	case "STORE":
		return f.store(cmd, f.named(cmd, true), hear)
	case "EXPUNGE":
		if !byUID {
			f.flush(hear)
			f.plain = true
			return f.expunge(slices.Clone(f.box), hear)
		}
		return f.expunge(f.named(cmd, true), hear)
	case "SEARCH":
		return f.search(cmd, hear)
	case "SELECT":
		return wire.Status{Type: "OK", Code: "READ-WRITE", Text: "done"}, nil
	case "MOVE":
		return f.nativeMove(cmd, f.named(cmd, byUID), hear)
	}
	return wire.Status{Type: "BAD", Text: "unknown command"}, nil
}

// flush tells what other sessions did, as a server does where EXPUNGE is permitted.
func (f *fake) flush(hear Sink) {
	pending := f.pending
	f.pending = nil
	for _, p := range pending {
		if p == "exists" {
			continue
		}
		var num, uid uint32
		if _, err := fmt.Sscanf(p, "gone %d %d", &num, &uid); err != nil {
			f.t.Fatal(err)
		}
		f.tellGone(num, uid, hear)
	}
	if len(pending) > 0 {
		hear(wire.Numbered(uint32(len(f.box)), "EXISTS"))
	}
}

func (f *fake) tellGone(num, uid uint32, hear Sink) {
	if f.vanish {
		hear(wire.Data("VANISHED", wire.Word(fmt.Sprint(uid))))
		return
	}
	hear(wire.Numbered(num, "EXPUNGE"))
}

// named lists the messages of a command's first argument.
func (f *fake) named(cmd *wire.Message, byUID bool) []*stored {
	set, err := ParseSet(string(cmd.Tokens[0].Text))
	if err != nil {
		f.t.Fatalf("%s: %v", render(cmd), err)
	}
	var found []*stored
	for i, s := range f.box {
		n, last := uint32(i+1), uint32(len(f.box))
		if byUID {
			n, last = s.uid, f.box[len(f.box)-1].uid
		}
		if set.Contains(n, last) {
			found = append(found, s)
		}
	}
	return found
}

func (f *fake) fetch(found []*stored, hear Sink) (wire.Status, error) {
	for _, s := range found {
		hear(f.fetched(s))
	}
	return wire.Status{Type: "OK", Text: "done"}, nil
}

func (f *fake) fetched(s *stored) *wire.Message {
	var flags []wire.Token
	for _, flag := range s.flags {
		flags = append(flags, wire.Word(flag))
	}
	args := append([]wire.Token{wire.Word("UID"), wire.Word(fmt.Sprint(s.uid)), wire.Word("FLAGS")}, wire.List(flags...)...)
	return wire.Numbered(uint32(f.index(s.uid)+1), "FETCH", wire.List(args...)...)
}

func (f *fake) copy(cmd *wire.Message, found []*stored, hear Sink) (wire.Status, error) {
	name := cmd.Tokens[1].Value()
	box, ok := f.other[name]
	if !ok {
		return wire.Status{Type: "NO", Code: "TRYCREATE", Text: "No such mailbox"}, nil
	}
	var u CopyUID
	u.Validity = f.validity[name]
	for _, s := range found {
		if s.uid == f.skip {
			continue
		}
		c := &stored{uid: uint32(len(box) + 501), body: s.body, flags: slices.Clone(s.flags)}
		box = append(box, c)
		u.Source, u.Dest = append(u.Source, s.uid), append(u.Dest, c.uid)
		f.copiedOK[s.uid] = true
	}
	f.other[name] = box
	return f.copyStatus(u, hear), nil
}

func (f *fake) copyStatus(u CopyUID, hear Sink) wire.Status {
	s := wire.Status{Type: "OK", Text: "done"}
	if _, plus := f.peers.Backend[imap.CapUIDPlus]; !plus || f.noCode || len(u.Source) == 0 {
		return s
	}
	if f.infoUID {
		hear(&wire.Message{Tag: []byte("*"), Name: "OK", Text: []byte("[COPYUID " + u.Args() + "] x")})
		return s
	}
	s.Code, s.Args = "COPYUID", u.Args()
	return s
}

func (f *fake) store(cmd *wire.Message, found []*stored, hear Sink) (wire.Status, error) {
	item := string(cmd.Tokens[1].Text)
	fail := f.faults[f.step] == half
	for i, s := range found {
		if fail && i >= len(found)/2 {
			return wire.Status{Type: "NO", Text: "half"}, nil
		}
		f.mark(item, s)
		if !strings.HasSuffix(item, ".SILENT") || f.loud {
			hear(f.fetched(s))
		}
	}
	return wire.Status{Type: "OK", Text: "done"}, nil
}

func (f *fake) mark(item string, s *stored) {
	if strings.HasPrefix(item, "-") {
		s.clear(`\Deleted`)
		return
	}
	if !f.copiedOK[s.uid] && !f.wasMarked[s.uid] {
		f.t.Errorf("UID %d is marked and was never copied", s.uid)
	}
	s.set(`\Deleted`)
}

func (f *fake) expunge(found []*stored, hear Sink) (wire.Status, error) {
	for _, s := range found {
		if !s.has(`\Deleted`) {
			continue
		}
		if f.plain && f.late[s.uid] {
			f.raced[s.uid] = true
		} else if !f.copiedOK[s.uid] {
			f.t.Errorf("UID %d is expunged and was never copied", s.uid)
		}
		if _, plus := f.peers.Backend[imap.CapUIDPlus]; plus && !f.noCode && !f.told {
			f.early = true
		}
		i := f.index(s.uid)
		f.box = slices.Delete(f.box, i, i+1)
		f.tellGone(uint32(i+1), s.uid, hear)
		if f.faults[f.step] == half {
			return wire.Status{Type: "NO", Text: "half"}, nil
		}
	}
	s := wire.Status{Type: "OK", Text: "done"}
	if f.vanish {
		f.modseq++
		s.Code, s.Args = "HIGHESTMODSEQ", fmt.Sprint(f.modseq)
	}
	return s, nil
}

// search answers in two lines, or in none.
func (f *fake) search(cmd *wire.Message, hear Sink) (wire.Status, error) {
	uids := f.saved
	switch {
	case cmd.Tokens[0].Is("$"):
	case cmd.Tokens[0].Is("DELETED"):
		clear(f.late)
		uids = nil
		for _, s := range f.box {
			if s.has(`\Deleted`) {
				f.wasMarked[s.uid] = true
				uids = append(uids, s.uid)
			}
		}
	default:
		uids = nil
		for _, s := range f.named(&wire.Message{Tokens: cmd.Tokens[1:]}, true) {
			uids = append(uids, s.uid)
		}
	}
	for i := 0; i < len(uids); i += 2 {
		var line []wire.Token
		for _, uid := range uids[i:min(i+2, len(uids))] {
			line = append(line, wire.Word(fmt.Sprint(uid)))
		}
		hear(wire.Data("SEARCH", line...))
	}
	return wire.Status{Type: "OK", Text: "done"}, nil
}

func (f *fake) nativeMove(cmd *wire.Message, found []*stored, hear Sink) (wire.Status, error) {
	s, err := f.copy(cmd, found, hear)
	if err != nil || !s.OK() {
		return s, err
	}
	if s.Code != "" {
		f.told = true
		hear(&wire.Message{Tag: []byte("*"), Name: "OK", Text: []byte("[COPYUID " + s.Args + "] Moved")})
	}
	for _, m := range found {
		m.set(`\Deleted`)
	}
	return f.expunge(found, hear)
}

func render(m *wire.Message) string {
	var b strings.Builder
	if len(m.Tag) > 0 {
		b.WriteString(string(m.Tag) + " ")
	}
	if m.Num > 0 {
		fmt.Fprintf(&b, "%d ", m.Num)
	}
	b.WriteString(m.Name)
	if m.Text != nil {
		return b.String() + " " + string(m.Text)
	}
	space := true
	for _, t := range m.Tokens {
		if space && t.Kind != wire.Close {
			b.WriteByte(' ')
		}
		space = t.Kind != wire.Open
		switch t.Kind {
		case wire.Open:
			b.WriteByte('(')
		case wire.Close:
			b.WriteByte(')')
		case wire.Quoted:
			b.WriteString(`"` + string(t.Text) + `"`)
		case wire.Literal:
			fmt.Fprintf(&b, "{%d}%s", t.Size, t.Text)
		default:
			b.Write(t.Text)
		}
	}
	return b.String()
}
