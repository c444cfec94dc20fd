package translate

import (
	"slices"

	"github.com/imapgate/imapgate/proxy/wire"
)

// A dance is MOVE for backends that can only expunge everything that is marked. The marks of all other
// messages are noted in the journal, taken away for the EXPUNGE, and set again.
//
// Another session that marks a message between the search and the EXPUNGE loses that message at once
// instead of later; there is no way to see it. Sessions of the same user through the same proxy take
// turns.
type dance struct {
	t     *transfer
	claim *claim
	kept  []uint32 // sorted; marked and not ours to remove
	stale bool     // the client may have been told their flags without the mark
}

// moveDance runs MOVE by the dance.
func (t *transfer) moveDance() error {
	d := &dance{t: t}
	defer d.release()
	return t.move(d.claimed, d.run)
}

// claimed makes the mailbox ours, and pays what is owed to it.
func (d *dance) claimed() error {
	x := d.t.x
	if x.Mailbox().UIDValidity == "" {
		return no("", "Mailbox has no UIDVALIDITY, so that messages cannot be moved out of it")
	}
	if d.claim = x.Memory().marks.claim(x.Memory().plain(x.Mailbox())); d.claim != nil {
		paid, err := d.claim.pay(x)
		if paid || err != nil {
			return err
		}
	}
	return no("INUSE", "Messages of this mailbox are being moved, try again")
}

func (d *dance) release() {
	if d.claim != nil {
		d.claim.release()
	}
}

func (d *dance) run() (left []uint32, err error) {
	t := d.t
	var ok bool
	if d.kept, ok, err = t.markedBeside(); err != nil || !ok {
		return t.copied, err
	}
	if len(d.kept) == 0 {
		if err := t.announce(); err != nil {
			return nil, err
		}
		if err := t.expungeAll(d.sink); err != nil {
			return nil, err
		}
		return t.present(t.copied)
	}
	if !d.claim.owe(d.kept, t.copied) {
		t.why = wire.Status{Type: "NO", Code: "LIMIT", Text: "Too many other messages are marked as deleted; expunge them first"}
		return t.copied, nil
	}
	return d.around()
}

// around runs EXPUNGE while nothing but what was copied is marked.
func (d *dance) around() (left []uint32, err error) {
	t := d.t
	s, err := d.store("-FLAGS.SILENT")
	if err != nil {
		return nil, err
	}
	if s.OK() {
		if err := t.announce(); err != nil {
			return nil, err
		}
		d.claim.expunging()
		if err := t.expungeAll(d.sink); err != nil {
			return nil, err
		}
	}
	if err := d.restore(); err != nil {
		return nil, err
	}
	if !s.OK() {
		return t.copied, nil
	}
	return t.present(t.copied)
}

// restore sets the marks again. Where the backend refuses they stay owed, and the client sees what is.
func (d *dance) restore() error {
	s, err := d.store("+FLAGS.SILENT")
	if err != nil {
		return err
	}
	if s.OK() {
		d.claim.paid()
	}
	if s.OK() && !d.stale {
		return nil
	}
	for _, chunk := range Chunks(d.kept, setOctets) {
		if _, err := d.t.x.Do(fetchCommand("UID FETCH", chunk.Text), nil); err != nil {
			return err
		}
	}
	return nil
}

// store is for the marks of others. The first command that is not OK ends it.
func (d *dance) store(item string) (wire.Status, error) {
	s := wire.Status{Type: "OK"}
	for _, chunk := range Chunks(d.kept, setOctets) {
		var err error
		if s, err = d.t.x.Do(storeCommand(chunk, item), d.sink); err != nil || !s.OK() {
			return s, err
		}
	}
	return s, nil
}

// sink keeps the flags of all messages that we touch from the client. Of a FETCH without a UID nobody
// knows whose it is: it passes, and is corrected in the end.
func (d *dance) sink(m *wire.Message) (Verdict, error) {
	f, ok := readFetch(m)
	if !ok {
		return Pass, nil
	}
	if _, ours := slices.BinarySearch(d.t.copied, f.uid); ours {
		return Drop, nil
	}
	if _, theirs := slices.BinarySearch(d.kept, f.uid); theirs {
		d.stale = d.stale || f.flags
		return Drop, nil
	}
	d.stale = d.stale || f.uid == 0 && f.flags
	return Pass, nil
}

// moveAlone runs MOVE by EXPUNGE as long as no other message is marked. That is looked at before anything
// is copied, and again as late as it can be.
func (t *transfer) moveAlone() error {
	return t.move(t.beforeAlone, func() ([]uint32, error) {
		others, ok, err := t.markedBeside()
		switch {
		case err != nil || !ok:
			return t.copied, err
		case len(others) > 0:
			t.why = othersMarked()
			return t.copied, nil
		}
		if err := t.announce(); err != nil {
			return nil, err
		}
		d := &dance{t: t}
		if err := t.expungeAll(d.sink); err != nil {
			return nil, err
		}
		return t.present(t.copied)
	})
}

func (t *transfer) beforeAlone() error {
	marked, s, err := t.searchMarked()
	if err != nil {
		return err
	}
	if !s.OK() {
		return &Refused{Status: s}
	}
	for _, uid := range marked {
		if _, meant := t.marked[uid]; !meant {
			return &Refused{Status: othersMarked()}
		}
	}
	return nil
}

func othersMarked() wire.Status {
	return wire.Status{Type: "NO", Text: "Other messages are marked as deleted; expunge them or remove the marks first"}
}

// markedBeside returns the marked messages that were not copied, sorted. ok is false where that is not
// known for sure: none of those that were just marked is said to be marked, or the backend does not
// answer.
func (t *transfer) markedBeside() (others []uint32, ok bool, err error) {
	marked, s, err := t.searchMarked()
	if err != nil || !s.OK() {
		return nil, false, err
	}
	for _, uid := range marked {
		if _, ours := slices.BinarySearch(t.copied, uid); ours {
			ok = true
			continue
		}
		others = append(others, uid)
	}
	return others, ok, nil
}

// searchMarked asks for all marked messages, sorted, so that the command's length does not depend on how
// many are moved. An answer that is not complete is none.
func (t *transfer) searchMarked() ([]uint32, wire.Status, error) {
	var c collector
	s, err := t.x.Do(wire.Command("UID SEARCH", wire.Word("DELETED")), c.sink)
	switch {
	case err != nil:
		return nil, s, err
	case c.tooMany || s.Code == "MESSAGELIMIT": // RFC 9738
		s = wire.Status{Type: "NO", Code: "LIMIT", Text: "Too many messages are marked as deleted"}
	}
	slices.Sort(c.uids)
	return slices.Compact(c.uids), s, nil
}

// expungeAll removes whatever is marked. The answer does not matter: afterwards the backend is asked what
// is left.
func (t *transfer) expungeAll(sink Sink) error {
	s, err := t.x.Do(wire.Command("EXPUNGE"), sink)
	if s.Code == "HIGHESTMODSEQ" {
		t.highest = s.Args
	}
	return err
}
