package translate

import (
	"cmp"
	"slices"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/wire"
)

// setOctets bounds a set in a command of our own, so that the command with a quoted mailbox name (at
// most 2000 octets with escapes) stays below the 8000 octets that every server takes (RFC 7162
// section 4).
const setOctets = 5500

// move answers MOVE (RFC 6851) in front of a backend without it: by commands that the backend has, where
// the policy has a way, else with BAD.
func move() *Translation {
	return &Translation{
		Name:     "move",
		Commands: []string{"MOVE", "UID MOVE"},
		Offers: func(p Peers) []imap.Cap {
			if moveWayOf(p) != noWay {
				return []imap.Cap{imap.CapMove}
			}
			return nil
		},
		Takes: func(p Peers) bool { return p.Lacks(imap.CapMove) },
		Run:   runMove,
	}
}

func runMove(m *wire.Message, x Exchange) error {
	way := moveWayOf(x.Peers())
	if way == noWay {
		return bad("Unknown command")
	}
	t, err := newTransfer(m, x)
	if err != nil {
		return err
	}
	switch way {
	case byDance:
		return t.moveDance()
	case ifAlone:
		return t.moveAlone()
	}
	return t.moveByUID()
}

// A moveWay is how the originals are removed.
type moveWay uint8

const (
	noWay   moveWay = iota
	byUID           // UID EXPUNGE
	byDance         // EXPUNGE while nothing else is marked, for which marks of others are taken away
	ifAlone         // EXPUNGE if nothing else is marked
)

// moveWayOf chooses the way for a backend without MOVE; noWay where it has MOVE.
func moveWayOf(p Peers) moveWay {
	switch {
	case p.Policy.Move != MoveAuto || !p.Lacks(imap.CapMove):
		return noWay
	case lists(p.Backend, imap.CapUIDPlus):
		return byUID
	case p.Policy.MoveWithoutUIDPlus == MoveDance:
		return byDance
	case p.Policy.MoveWithoutUIDPlus == MoveIfAlone:
		return ifAlone
	}
	return noWay
}

// A transfer is one client command that moves messages by COPY, STORE and an expunge.
//
// Nothing is marked before every COPY is answered, and nothing is marked or expunged but UIDs that the
// backend has said it copied. So at every moment each message is in the source, in the mailbox it goes
// to, or in both.
type transfer struct {
	x       Exchange
	head    string // the client's command, for texts
	byUID   bool
	saved   bool // the set is "$" (RFC 5182)
	set     Set
	mailbox wire.Token

	setToken wire.Token // as the client wrote it

	marked  map[uint32]bool // the messages meant, by UID: whether \Deleted was set before we came
	numbers []numbered      // theirs, by UID; nil once a message was removed
	copied  []uint32        // sorted; what COPY is known to have copied
	missed  []uint32        // what COPY said OK to but left out of its COPYUID
	failed  *wire.Status    // the COPY that was not OK, after others that were
	uids    CopyUID         // zero unless every COPY that gave one named the same UIDVALIDITY
	mixed   bool            // they did not
	highest string          // HIGHESTMODSEQ of the last expunge (RFC 7162 section 3.2.10)
	why     wire.Status     // what to say of messages that are left; the zero value for the usual
}

// newTransfer checks the arguments and the mailbox before anything is sent.
func newTransfer(m *wire.Message, x Exchange) (*transfer, error) {
	if len(m.Tokens) != 2 || m.Tokens[0].Kind != wire.Atom || !m.Tokens[1].IsString() {
		return nil, bad(m.Name + " takes a message set and a mailbox name")
	}
	t := &transfer{x: x, head: m.Name, marked: make(map[uint32]bool)}
	t.byUID = len(m.Name) > 4 && m.Name[:4] == "UID "
	t.setToken, t.mailbox = wire.Word(string(m.Tokens[0].Text)), mailboxToken(m.Tokens[1])
	if err := t.readSet(string(m.Tokens[0].Text)); err != nil {
		return nil, err
	}
	switch box := x.Mailbox(); {
	case box.Name == "":
		return nil, bad("No mailbox is selected")
	case box.ReadOnly:
		return nil, no("NOPERM", "Mailbox is read-only")
	}
	return t, nil
}

func (t *transfer) readSet(text string) (err error) {
	if text == "$" && lists(t.x.Peers().Backend, imap.CapSearchRes) {
		t.saved = true
		return nil
	}
	if t.set, err = ParseSet(text); err != nil {
		return bad(t.head + ": " + err.Error())
	}
	return nil
}

// mailboxToken quotes a name, because some servers misread atoms. A quoted string with UTF-8 in it
// (RFC 6855 section 3) keeps its form: as a literal it would mean something else.
func mailboxToken(t wire.Token) wire.Token {
	name := wire.String(t.Value())
	if t.Kind == wire.Quoted && name.Kind == wire.Literal && len(t.Text) < 1000 {
		t.Glued = false
		return t
	}
	return name
}

// moveByUID runs MOVE by UID EXPUNGE.
func (t *transfer) moveByUID() error { return t.move(func() error { return nil }, t.remove) }

// move runs all steps: ready before anything is copied, and remove when everything that was copied is
// marked. remove returns what it has left; before it removes anything, it calls announce.
func (t *transfer) move(ready func() error, remove func() (left []uint32, err error)) error {
	done, err := t.gather(ready)
	if done || err != nil {
		return err
	}
	if s, err := t.store(t.copied, "+FLAGS.SILENT"); err != nil {
		return err
	} else if !s.OK() {
		return t.giveUp(t.copied, "rollback", unremoved(s, "Messages were copied, but the originals could not be removed"))
	}
	left, err := remove()
	if err != nil {
		return err
	}
	if len(left) > 0 {
		return t.leave(left)
	}
	return t.finish(completed(t.head))
}

// gather finds the messages and copies them, if ready lets it. done says that the client has its answer
// already.
func (t *transfer) gather(ready func() error) (done bool, err error) {
	if err := t.resolve(); err != nil {
		return true, err
	}
	if len(t.marked) == 0 {
		return true, t.x.Reply(wire.Status{Type: "OK", Text: "No matching messages"})
	}
	if err := ready(); err != nil {
		return true, err
	}
	return false, t.copyAll()
}

// resolve fills t.marked. The client's numbers are turned into UIDs by one FETCH, during which a
// server must not renumber (RFC 9051 section 7.5.1), so they mean what the client meant.
func (t *transfer) resolve() error {
	name := "FETCH"
	if t.saved {
		if err := t.resolveSaved(); err != nil {
			return err
		}
	}
	if t.byUID {
		name = "UID FETCH"
	}
	r := &resolver{set: t.set, byUID: t.byUID, exists: t.x.Mailbox().Exists, found: t.marked}
	for _, text := range t.set.Texts(setOctets) {
		s, err := t.x.Do(fetchCommand(name, text), r.sink)
		if err != nil {
			return err
		}
		if err := r.check(s); err != nil {
			return err
		}
	}
	if !r.renumbered {
		t.numbers = r.numbers
		slices.SortFunc(t.numbers, func(a, b numbered) int { return cmp.Compare(a.uid, b.uid) })
	}
	return nil
}

// resolveSaved replaces "$" by the UIDs it stands for. The messages that $ names do not depend on
// numbers, so the rest runs by UID.
func (t *transfer) resolveSaved() error {
	var c collector
	s, err := t.x.Do(wire.Command("UID SEARCH", wire.Word("$")), c.sink)
	if err != nil {
		return err
	}
	if !s.OK() {
		return &Refused{Status: s}
	}
	if c.tooMany || s.Code == "MESSAGELIMIT" { // RFC 9738: some were left out
		return errTooMany()
	}
	t.byUID = true
	for _, uid := range c.uids {
		t.set.ranges = append(t.set.ranges, Range{uid, uid})
	}
	t.set.shorten()
	return nil
}

// copyAll runs every COPY before anything is marked. A COPY that fails after others went well ends the
// copying, but what was copied is moved to its end.
func (t *transfer) copyAll() error {
	for _, chunk := range Chunks(sortedKeys(t.marked), setOctets) {
		c := copier{found: t.marked}
		s, err := t.x.Do(wire.Command("UID COPY", wire.Word(chunk.Text), t.mailbox), c.sink)
		if err != nil {
			return err
		}
		if c.renumbered {
			t.numbers = nil
		}
		if !s.OK() {
			t.failed = &s
			break
		}
		if s.Code == "COPYUID" {
			c.args = s.Args
		}
		if s.Code == "MESSAGELIMIT" && c.args == "" {
			t.missed = append(t.missed, chunk.UIDs...) // nobody says which were copied
			continue
		}
		t.took(chunk.UIDs, c.args)
	}
	if t.failed != nil && len(t.copied)+len(t.missed) == 0 {
		return &Refused{Status: *t.failed}
	}
	slices.Sort(t.copied)
	return nil
}

// took notes what a COPY of uids has copied: what its COPYUID lists, else all, because OK says so.
func (t *transfer) took(uids []uint32, args string) {
	u, err := ParseCopyUID(args)
	if err != nil {
		t.copied = append(t.copied, uids...)
		return
	}
	u = u.Only(uids)
	listed := slices.Sorted(slices.Values(u.Source))
	for _, uid := range uids {
		if _, ok := slices.BinarySearch(listed, uid); ok {
			t.copied = append(t.copied, uid)
		} else {
			t.missed = append(t.missed, uid)
		}
	}
	merged, ok := t.uids.Merge(u)
	t.uids, t.mixed = merged, t.mixed || !ok
}

// announce tells COPYUID, before the first message is removed (RFC 9051 section 6.4.8).
func (t *transfer) announce() error {
	args := t.uids.Args()
	if t.mixed || args == "" {
		return nil
	}
	return t.x.Info(wire.Status{Type: "OK", Code: "COPYUID", Args: args, Text: "Moved"})
}
