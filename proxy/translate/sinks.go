package translate

import (
	"math"
	"slices"

	"github.com/imapgate/imapgate/proxy/wire"
)

// A fetched is what a FETCH response says of a message's identity and flags.
type fetched struct {
	uid     uint32 // 0 where it is not told
	flags   bool   // flags are told
	deleted bool   // \Deleted is among them
}

// readFetch reads UID and FLAGS at the top level of a FETCH response and looks into nothing else.
func readFetch(m *wire.Message) (f fetched, ok bool) {
	if m.Name != "FETCH" || m.Num == 0 {
		return f, false
	}
	depth := 0
	for i, t := range m.Tokens {
		switch {
		case t.Kind == wire.Open:
			depth++
		case t.Kind == wire.Close:
			depth--
		case depth != 1 || i+1 == len(m.Tokens):
		case t.Is("UID"):
			if uid, ok := m.Tokens[i+1].Number(); ok {
				f.uid = uid
			}
		case t.Is("FLAGS") && m.Tokens[i+1].Kind == wire.Open:
			f.flags, f.deleted = true, hasDeleted(m.Tokens[i+2:])
		}
	}
	return f, true
}

// hasDeleted looks for \Deleted up to the end of the list that has begun.
func hasDeleted(flags []wire.Token) bool {
	for _, t := range flags {
		if t.Kind == wire.Close {
			return false
		}
		if t.Is(`\Deleted`) {
			return true
		}
	}
	return false
}

// removed reads EXPUNGE and VANISHED. set is empty for EXPUNGE. VANISHED (EARLIER) is not a removal
// that renumbers (RFC 7162 section 3.2.10).
func removed(m *wire.Message) (set Set, ok bool) {
	switch {
	case m.Name == "EXPUNGE" && m.Num != 0:
		return Set{}, true
	case m.Name == "VANISHED" && len(m.Tokens) == 1 && m.Tokens[0].Kind == wire.Atom:
		set, err := ParseSet(string(m.Tokens[0].Text))
		return set, err == nil
	}
	return Set{}, false
}

// Vanished returns how many messages a VANISHED removes; false for any other response, and with EARLIER.
func Vanished(m *wire.Message) (n uint32, ok bool) {
	set, ok := removed(m)
	return uint32(min(set.Len(), math.MaxUint32)), ok && m.Name == "VANISHED"
}

// A numbered is a message and the number that it had when nothing was removed yet.
type numbered struct{ uid, num uint32 }

// A resolver finds the messages of the client's set in FETCH responses. What it did not ask for passes.
type resolver struct {
	set        Set
	byUID      bool
	exists     uint32          // the highest number in use
	found      map[uint32]bool // by UID: whether \Deleted is set
	numbers    []numbered      // of what was found
	renumbered bool
	tooMany    bool
}

func (r *resolver) sink(m *wire.Message) (Verdict, error) {
	if m.Name == "EXISTS" {
		r.exists = m.Num
		return Pass, nil
	}
	if gone, ok := removed(m); ok {
		r.renumbered = true
		r.exists -= uint32(min(max(gone.Len(), 1), uint64(r.exists)))
		return Pass, nil
	}
	f, ok := readFetch(m)
	if !ok || !f.flags || f.uid == 0 || !r.meant(m.Num, f.uid) {
		return Pass, nil
	}
	if len(r.found) >= MaxMessages {
		r.tooMany = true
		return Drop, nil
	}
	_, again := r.found[f.uid]
	r.found[f.uid] = f.deleted
	if again { // one of the two is news for the client
		return Pass, nil
	}
	r.numbers = append(r.numbers, numbered{f.uid, m.Num})
	return Drop, nil
}

// meant reports whether a message is in the client's set. By UID, "*" is the UID of the message with
// the highest number; any other message is below that UID, whatever it is.
func (r *resolver) meant(num, uid uint32) bool {
	switch {
	case !r.byUID:
		return r.set.Contains(num, r.exists)
	case num == r.exists:
		return r.set.Contains(uid, uid)
	}
	return r.set.Contains(uid, math.MaxUint32)
}

// check judges a FETCH that is over. Nothing has been done yet, so every doubt ends the command.
func (r *resolver) check(s wire.Status) error {
	switch {
	case !s.OK():
		return &Refused{Status: s}
	case r.renumbered && !r.byUID:
		return no("EXPUNGEISSUED", "Message numbers have changed; nothing was moved")
	case r.tooMany:
		return errTooMany()
	case s.Code == "MESSAGELIMIT": // RFC 9738: the backend has left messages out
		return &Refused{Status: wire.Status{Type: "NO", Code: s.Code, Args: s.Args, Text: "Too many messages for one command"}}
	}
	return nil
}

// A copier watches a COPY: a COPYUID in an untagged OK is taken out, and flags of messages that are
// being copied are kept up to date, so that a mark set by another session is not taken for ours.
type copier struct {
	found      map[uint32]bool
	args       string
	renumbered bool
}

func (c *copier) sink(m *wire.Message) (Verdict, error) {
	if m.Name == "OK" && m.IsStatus() {
		if s := m.Status(); s.Code == "COPYUID" {
			c.args = s.Args
			return Drop, nil
		}
	}
	if _, gone := removed(m); gone {
		c.renumbered = true
	}
	if f, ok := readFetch(m); ok && f.flags {
		if _, ours := c.found[f.uid]; ours {
			c.found[f.uid] = f.deleted
		}
	}
	return Pass, nil
}

// A goneCounter follows UID EXPUNGE, to see whether all of the sorted uids are removed. Where responses name
// numbers, a removal by another session looks like any other. Each number is that of the message that was
// meant only where all come in the order of the numbers or against it, as servers send them.
type goneCounter struct {
	uids     []uint32
	nums     []uint32 // the numbers of uids; nil where they are not known
	heard    int      // EXPUNGE
	up, down bool     // what was heard does not fit the numbers upwards, downwards
	vanished uint64   // of uids
}

func (g *goneCounter) sink(m *wire.Message) (Verdict, error) {
	gone, ok := removed(m)
	switch {
	case !ok:
	case m.Name == "EXPUNGE":
		if i := g.heard; i < len(g.nums) {
			g.up = g.up || m.Num != g.nums[i]-uint32(i)
			g.down = g.down || m.Num != g.nums[len(g.nums)-1-i]
		}
		g.heard++
	default:
		g.vanished += uint64(gone.Count(g.uids))
	}
	return Pass, nil
}

// all reports whether all are gone for sure.
func (g *goneCounter) all() bool {
	if g.heard == 0 {
		return g.vanished == uint64(len(g.uids))
	}
	return g.vanished == 0 && g.heard == len(g.nums) && !(g.up && g.down)
}

// A collector takes the numbers of SEARCH responses, which may come in several lines or not at all.
type collector struct {
	among   []uint32 // sorted; nil: any, at most MaxMessages
	uids    []uint32
	tooMany bool
}

func (c *collector) sink(m *wire.Message) (Verdict, error) {
	if m.Name != "SEARCH" || m.Num != 0 {
		return Pass, nil
	}
	for _, t := range m.Tokens {
		uid, ok := t.Number()
		if !ok || uid == 0 {
			break
		}
		c.take(uid)
	}
	return Drop, nil
}

func (c *collector) take(uid uint32) {
	if c.among != nil {
		if _, ok := slices.BinarySearch(c.among, uid); !ok {
			return
		}
	}
	if len(c.uids) >= MaxMessages {
		c.tooMany = true
		return
	}
	c.uids = append(c.uids, uid)
}
