package translate

import (
	"math"
	"strconv"
	"sync"

	"github.com/imapgate/imapgate/proxy/wire"
)

// maxMapped bounds the map from message numbers to UIDs: 4 octets a message make 1 MB. Commands that need
// the map are refused in larger mailboxes.
const maxMapped = 250_000

// maxBuilds is how often the map is built anew within one command because the backend removed messages
// while it must not (RFC 9051 section 7.5.1).
const maxBuilds = 3

// errContradiction ends the session: a message has two UIDs, or the backend counts otherwise than it told.
// Whatever was named by number from then on could be another message.
var errContradiction = &wire.Desync{Text: "numbers and UIDs of messages contradict each other"}

// A uidMap knows the UID of each message in the selected mailbox. It is built by FETCH when it is needed
// first, follows EXISTS, EXPUNGE and VANISHED from then on, and is held against every FETCH response that
// tells a UID before its first literal. It has its own lock: [uidMap.Watch] runs on the goroutine that reads
// the backend, everything else on the other.
type uidMap struct {
	mu       sync.Mutex
	attached bool
	list     uidList // as many messages as were asked for, which may be fewer than there are
	counted  bool    // count is right; before that the map does not follow yet
	count    uint32  // messages in the mailbox
	told     bool    // EXISTS came before count was known; it is in count
	unsure   bool    // something came that cannot be followed: the map has to be built anew
	removals uint64  // EXPUNGE and VANISHED responses so far
}

// Watch follows the mailbox.
func (u *uidMap) Watch(m *wire.Message) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch m.Name {
	case "EXISTS":
		return u.grown(m.Num)
	case "EXPUNGE":
		u.removals++
		return u.expunged(m.Num)
	case "VANISHED":
		if gone, ok := removed(m); ok {
			u.removals++
			u.vanished(gone)
		}
	case "FETCH":
		if f, ok := readFetch(m); ok && f.uid != 0 {
			return u.fetched(m.Num, f.uid)
		}
	}
	return nil
}

// Left forgets everything.
func (u *uidMap) Left() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.attached = false
	u.forget()
	u.unsure = false
}

// forget gives the memory back. What arrives until the map is built again is not looked at.
func (u *uidMap) forget() {
	u.list, u.counted, u.count, u.told, u.unsure = uidList{}, false, 0, false, true
}

func (u *uidMap) grown(n uint32) error {
	if u.counted && n < u.count {
		return errContradiction
	}
	u.count, u.told = n, true
	return nil
}

func (u *uidMap) expunged(num uint32) error {
	switch {
	case !u.counted:
		u.unsure = true
		return nil
	case num == 0 || num > u.count:
		return errContradiction
	}
	u.count--
	if int(num) <= u.list.n {
		u.list.remove(int(num) - 1)
	}
	return nil
}

// vanished removes messages by UID. One that is not known could be any of those whose UID is not, and then
// the map is given up.
func (u *uidMap) vanished(gone Set) {
	if !u.counted || u.list.unknown > 0 || gone.open != 0 {
		u.forget()
		return
	}
	for _, r := range gone.ranges {
		from, to := u.list.find(r.Low), u.list.n
		if r.High < math.MaxUint32 {
			to = u.list.find(r.High + 1)
		}
		more := uint64(r.High-r.Low) + 1 - uint64(to-from) // of messages behind the list, which has an end
		if more > 0 && (to < u.list.n || more > uint64(u.count)-uint64(u.list.n)) {
			u.forget()
			return
		}
		for range to - from {
			u.list.remove(from)
		}
		u.count -= uint32(to-from) + uint32(more)
	}
}

// fetched holds the map against a FETCH response. A number above that of EXISTS is no contradiction, for
// Exchange sends such.
func (u *uidMap) fetched(num, uid uint32) error {
	if u.unsure || int64(num) > int64(u.list.n) {
		return nil
	}
	if !u.list.set(int(num)-1, uid) {
		return errContradiction
	}
	return nil
}

// ready builds the map, or asks for what it lacks, by FETCH with numbers: nothing can be renumbered by
// that. Every earlier command is answered when it returns. Messages that come meanwhile may be left out.
func (u *uidMap) ready(x Exchange) error {
	for range maxBuilds {
		set, err := u.lacks(x)
		if set == "" || err != nil {
			return err
		}
		cmd := wire.Command("FETCH", append([]wire.Token{wire.Word(set)}, wire.List(wire.Word("UID"))...)...)
		s, err := x.Do(cmd, onlyUID)
		switch {
		case err != nil:
			return err
		case !s.OK():
			return &Refused{Status: wire.Status{Type: "NO", Code: s.Code, Args: s.Args, Text: s.Text}}
		case s.Code == "MESSAGELIMIT": // RFC 9738: the backend has left messages out
			return no("LIMIT", "Too many messages for one command")
		}
		if u.built(x.Mailbox().Exists) {
			return nil
		}
	}
	return no("EXPUNGEISSUED", "Message numbers have changed")
}

// lacks makes room for the messages that are not in the map and says which to ask for; "" for none.
func (u *uidMap) lacks(x Exchange) (set string, err error) {
	exists := x.Mailbox().Exists
	u.follow(x.Memory(), exists)
	u.mu.Lock()
	defer u.mu.Unlock()
	n := exists
	if u.counted {
		n = u.count
	}
	if n > maxMapped {
		u.forget()
		return "", no("LIMIT", "The mailbox has more than "+strconv.Itoa(maxMapped)+" messages")
	}
	from := u.list.n + 1
	switch {
	case !u.counted:
		u.list, from = uidList{}, 1
		u.told, u.unsure = false, false
	case n < uint32(from):
		return "", nil
	}
	u.list.grow(int(n))
	if n == 0 {
		return "", nil
	}
	return Set{ranges: []Range{{uint32(from), n}}}.String(), nil
}

// follow attaches the map, unless there is nothing to follow.
func (u *uidMap) follow(mem *Memory, exists uint32) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.attached || exists == 0 {
		return
	}
	u.forget()
	u.attached = true
	mem.Attach(u)
}

// numbering attaches the map and returns a value that changes when messages are renumbered.
func (u *uidMap) numbering(x Exchange) uint64 {
	u.follow(x.Memory(), x.Mailbox().Exists)
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.removals
}

// known returns a message's UID; 0 where the map does not have it.
func (u *uidMap) known(num uint32) uint32 {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.unsure || num == 0 || int64(num) > int64(u.list.n) {
		return 0
	}
	block, at := u.list.locate(int(num) - 1)
	return u.list.blocks[block].uids[at]
}

// built notes that a FETCH is answered. exists is the number of messages after it, so that it holds all
// that came before the map was attached. It is false when the map has to be built anew.
func (u *uidMap) built(exists uint32) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.unsure {
		u.forget()
		return false
	}
	if !u.counted {
		if !u.told {
			u.count = exists
		}
		u.counted = true
	}
	if uint32(u.list.n) > u.count {
		u.forget()
		return false
	}
	return true
}

// onlyUID keeps from the client what our FETCH asked for, and nothing else.
func onlyUID(m *wire.Message) (Verdict, error) {
	if m.Name == "FETCH" && len(m.Tokens) == 4 && m.Tokens[1].Is("UID") {
		return Drop, nil
	}
	return Pass, nil
}

// numbers returns the messages that a set of UIDs names, by number.
func (u *uidMap) numbers(uids Set) Set {
	u.mu.Lock()
	defer u.mu.Unlock()
	var found Set
	left := uids.ranges
	for i, uid := range u.list.all() {
		for len(left) > 0 && uid > left[0].High {
			left = left[1:]
		}
		if len(left) == 0 {
			break
		}
		if uid != 0 && uid >= left[0].Low {
			found.push(uint32(i) + 1)
		}
	}
	return found
}

// uids returns the messages that a set of numbers names, by UID. Runs of numbers become ranges, which also
// span UIDs that do not exist, and never will: UIDs ascend. A message whose UID the backend has not told is
// about to go, and left out.
func (u *uidMap) uids(numbers Set) Set {
	u.mu.Lock()
	defer u.mu.Unlock()
	var found Set
	left := numbers.ranges
	within := false
	for i, uid := range u.list.all() {
		num := uint32(i) + 1
		for len(left) > 0 && num > left[0].High {
			left, within = left[1:], false
		}
		if len(left) == 0 {
			break
		}
		switch {
		case num < left[0].Low || uid == 0:
		case within:
			found.ranges[len(found.ranges)-1].High = uid
		default:
			found.ranges = append(found.ranges, Range{uid, uid})
			within = true
		}
	}
	return found
}

// push adds a number that is above all in the set.
func (s *Set) push(n uint32) {
	if last := len(s.ranges) - 1; last >= 0 && s.ranges[last].High == n-1 {
		s.ranges[last].High = n
		return
	}
	s.ranges = append(s.ranges, Range{n, n})
}
