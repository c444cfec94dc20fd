package translate

import (
	"slices"

	"github.com/imapgate/imapgate/proxy/wire"
)

// store marks or unmarks uids and hides the FETCH responses that come of it: the mark is not the
// client's business (RFC 6851 section 3.3). It stops at the first command that is not OK.
func (t *transfer) store(uids []uint32, item string) (wire.Status, error) {
	sink := func(m *wire.Message) (Verdict, error) {
		if _, gone := removed(m); gone {
			t.numbers = nil
		}
		f, ok := readFetch(m)
		if _, ours := slices.BinarySearch(uids, f.uid); ok && ours {
			return Drop, nil
		}
		return Pass, nil
	}
	s := wire.Status{Type: "OK"}
	for _, chunk := range Chunks(uids, setOctets) {
		var err error
		if s, err = t.x.Do(storeCommand(chunk, item), sink); err != nil || !s.OK() {
			return s, err
		}
	}
	return s, nil
}

// remove expunges what was copied, by UID, and returns what is still there, after a second attempt for messages
// whose mark another session has cleared in the meantime.
func (t *transfer) remove() ([]uint32, error) {
	if err := t.announce(); err != nil {
		return nil, err
	}
	left, err := t.expunge(t.copied)
	if err != nil || len(left) == 0 {
		return nil, err
	}
	if s, err := t.store(left, "+FLAGS.SILENT"); err != nil || !s.OK() {
		return left, err
	}
	return t.expunge(left)
}

// expunge runs UID EXPUNGE, passes what it removes to the client and returns which uids are left. Where the
// removals do not say for sure that none is, the backend is asked.
func (t *transfer) expunge(uids []uint32) ([]uint32, error) {
	numbers := t.numbersOf(uids)
	t.numbers = nil // they are others from here on
	all := true
	before := 0
	for _, chunk := range Chunks(uids, setOctets) {
		g := goneCounter{uids: chunk.UIDs}
		if all && numbers != nil {
			g.nums = numbers[before : before+len(chunk.UIDs)]
			for i := range g.nums {
				g.nums[i] -= uint32(before)
			}
		}
		before += len(chunk.UIDs)
		s, err := t.x.Do(wire.Command("UID EXPUNGE", wire.Word(chunk.Text)), g.sink)
		if err != nil {
			return nil, err
		}
		if s.Code == "HIGHESTMODSEQ" {
			t.highest = s.Args
		}
		all = all && g.all()
	}
	if all {
		return nil, nil
	}
	return t.present(uids)
}

// numbersOf returns the numbers of the sorted uids; nil where they are not known, or cannot be.
func (t *transfer) numbersOf(uids []uint32) []uint32 {
	nums := make([]uint32, 0, len(uids))
	for _, n := range t.numbers {
		if i := len(nums); i < len(uids) && n.uid == uids[i] {
			if i > 0 && n.num <= nums[i-1] {
				return nil
			}
			nums = append(nums, n.num)
		}
	}
	if len(nums) < len(uids) {
		return nil
	}
	return nums
}

// present returns which of the sorted uids are in the mailbox. Where the backend does not say, all of
// them may be.
func (t *transfer) present(uids []uint32) ([]uint32, error) {
	var left []uint32
	for _, chunk := range Chunks(uids, setOctets) {
		c := collector{among: chunk.UIDs}
		s, err := t.x.Do(wire.Command("UID SEARCH", wire.Word("UID"), wire.Word(chunk.Text)), c.sink)
		if err != nil {
			return nil, err
		}
		if !s.OK() || s.Code == "MESSAGELIMIT" { // RFC 9738: not all were looked at
			c.uids = chunk.UIDs
		}
		left = append(left, c.uids...)
	}
	slices.Sort(left)
	return slices.Compact(left), nil
}

// leave answers for messages that were copied but would not go.
func (t *transfer) leave(left []uint32) error {
	word := "partial"
	if len(left) == len(t.copied) {
		word = "rollback"
	}
	if t.why.Type == "" {
		t.why = wire.Status{Type: "NO", Code: "EXPUNGEISSUED", Text: "Some messages were copied but not removed"}
	}
	return t.giveUp(left, word, t.why)
}

// giveUp takes back the marks that are ours, never one that was there before, lets the client see the
// flags as they now are, and answers.
func (t *transfer) giveUp(left []uint32, word string, s wire.Status) error {
	ours := slices.DeleteFunc(slices.Clone(left), func(uid uint32) bool { return t.marked[uid] })
	// An answer that is not OK leaves nothing more to try; what follows shows the client the marks.
	if _, err := t.store(ours, "-FLAGS.SILENT"); err != nil {
		return err
	}
	for _, chunk := range Chunks(left, setOctets) {
		if _, err := t.x.Do(fetchCommand("UID FETCH", chunk.Text), nil); err != nil {
			return err
		}
	}
	return t.refuse(word, s)
}

// refuse answers that part of the work is not done. HIGHESTMODSEQ goes ahead, because messages may be
// gone and the tagged line has no room for it (RFC 6851 section 4.4).
func (t *transfer) refuse(word string, s wire.Status) error {
	t.x.Result(word)
	if t.highest != "" {
		info := wire.Status{Type: "OK", Code: "HIGHESTMODSEQ", Args: t.highest, Text: "Highest"}
		if err := t.x.Info(info); err != nil {
			return err
		}
	}
	return t.x.Reply(s)
}

// finish answers with s when all that was copied is gone, or marked, and nothing else is wrong.
func (t *transfer) finish(s wire.Status) error {
	if t.failed != nil {
		return t.refuse("partial", *t.failed)
	}
	missed, err := t.present(t.missed)
	if err != nil {
		return err
	}
	if len(missed) > 0 {
		return t.refuse("partial", wire.Status{Type: "NO", Text: "Some messages were not copied and stay where they are"})
	}
	if t.highest != "" {
		s.Code, s.Args = "HIGHESTMODSEQ", t.highest
	}
	return t.x.Reply(s)
}

// unremoved turns the answer to a STORE into the answer to a MOVE. NOPERM tells the user something;
// other codes of STORE must not come with MOVE (RFC 6851 section 3.3).
func unremoved(s wire.Status, text string) wire.Status {
	if s.Code == "NOPERM" {
		return wire.Status{Type: "NO", Code: "NOPERM", Text: text}
	}
	return wire.Status{Type: "NO", Code: "SERVERBUG", Text: text}
}

func errTooMany() error { return no("LIMIT", "Too many messages for one command") }

func fetchCommand(name, set string) *wire.Message {
	items := wire.List(wire.Word("UID"), wire.Word("FLAGS"))
	return wire.Command(name, append([]wire.Token{wire.Word(set)}, items...)...)
}

func storeCommand(chunk Chunk, item string) *wire.Message {
	args := []wire.Token{wire.Word(chunk.Text), wire.Word(item)}
	return wire.Command("UID STORE", append(args, wire.List(wire.Word(`\Deleted`))...)...)
}

func sortedKeys(m map[uint32]bool) []uint32 {
	keys := make([]uint32, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
