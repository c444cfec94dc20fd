package translate

import (
	"iter"
	"slices"
)

// blockSize is how many messages a block of a [uidList] holds. Removing one message moves at most a block
// and steps over the blocks before it: some hundred of each in the largest list.
const blockSize = 1024

// A uidList is the UIDs of the first messages of a mailbox in the order of their numbers, in blocks, so
// that one message can be removed from the middle of many. 0 is a UID that is not known. Those that are
// known ascend. It takes 4 octets a message, and less than 16 right after many were removed.
type uidList struct {
	blocks  []uidBlock
	n       int // messages
	unknown int // of them
	reach   int // no message from this index on is known
}

type uidBlock struct {
	uids  []uint32
	known int
}

// grow appends messages that are not known, up to n altogether.
func (l *uidList) grow(n int) {
	l.compact()
	for l.n < n {
		last := len(l.blocks) - 1
		if last < 0 || len(l.blocks[last].uids) == blockSize {
			l.blocks = append(l.blocks, uidBlock{uids: make([]uint32, 0, min(blockSize, n-l.n))})
			last++
		}
		b := &l.blocks[last]
		add := min(n-l.n, blockSize-len(b.uids))
		b.uids = append(b.uids, make([]uint32, add)...)
		l.n += add
		l.unknown += add
	}
}

// locate finds the message with index i, from 0.
func (l *uidList) locate(i int) (block, at int) {
	for block = range l.blocks {
		if n := len(l.blocks[block].uids); i >= n {
			i -= n
			continue
		}
		break
	}
	return block, i
}

// set notes the UID of the message with index i; false where that contradicts what is known.
func (l *uidList) set(i int, uid uint32) bool {
	block, at := l.locate(i)
	b := &l.blocks[block]
	if known := b.uids[at]; known != 0 {
		return known == uid
	}
	if uid <= l.before(block, at) {
		return false
	}
	if next := l.behind(block, at); i < l.reach && next != 0 && uid >= next {
		return false
	}
	b.uids[at] = uid
	b.known++
	l.unknown--
	l.reach = max(l.reach, i+1)
	return true
}

// before returns the nearest UID that is known before a message; 0 for none.
func (l *uidList) before(block, at int) uint32 {
	for ; block >= 0; block-- {
		if b := &l.blocks[block]; b.known > 0 {
			if at < 0 {
				at = len(b.uids)
			}
			for at--; at >= 0; at-- {
				if b.uids[at] != 0 {
					return b.uids[at]
				}
			}
		}
		at = -1
	}
	return 0
}

// behind returns the nearest UID that is known behind a message; 0 for none.
func (l *uidList) behind(block, at int) uint32 {
	for ; block < len(l.blocks); block++ {
		if b := &l.blocks[block]; b.known > 0 {
			for at++; at < len(b.uids); at++ {
				if b.uids[at] != 0 {
					return b.uids[at]
				}
			}
		}
		at = -1
	}
	return 0
}

// remove takes out the message with index i.
func (l *uidList) remove(i int) {
	block, at := l.locate(i)
	b := &l.blocks[block]
	if b.uids[at] == 0 {
		l.unknown--
	} else {
		b.known--
	}
	b.uids = slices.Delete(b.uids, at, at+1)
	if l.n--; i < l.reach {
		l.reach--
	}
	if len(b.uids) == 0 {
		l.blocks = slices.Delete(l.blocks, block, block+1)
	}
	l.compact()
}

// compact fills the blocks again when more than half of their room is lost. It is done once for as many
// removals as half of the messages.
func (l *uidList) compact() {
	if len(l.blocks) <= 2*(l.n/blockSize)+2 {
		return
	}
	var blocks []uidBlock
	room := 0
	for _, uid := range l.all() {
		if room == 0 {
			room = blockSize
			blocks = append(blocks, uidBlock{uids: make([]uint32, 0, room)})
		}
		b := &blocks[len(blocks)-1]
		b.uids = append(b.uids, uid)
		if room--; uid != 0 {
			b.known++
		}
	}
	l.blocks = blocks
}

// find returns the index of the first message whose UID is at least uid. All of them are known.
func (l *uidList) find(uid uint32) int {
	i := 0
	for _, b := range l.blocks {
		if b.uids[len(b.uids)-1] >= uid {
			at, _ := slices.BinarySearch(b.uids, uid)
			return i + at
		}
		i += len(b.uids)
	}
	return i
}

// all yields each message's index and UID.
func (l *uidList) all() iter.Seq2[int, uint32] {
	return func(yield func(int, uint32) bool) {
		i := 0
		for _, b := range l.blocks {
			for _, uid := range b.uids {
				if !yield(i, uid) {
					return
				}
				i++
			}
		}
	}
}
