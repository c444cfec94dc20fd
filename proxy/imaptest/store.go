package imaptest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// A Stored message stands in a mailbox of a [Store]. The values handed out are copies.
type Stored struct {
	UID   uint32
	Flags []string // sorted, as written first: \Seen
	Body  string
}

// Has reports whether the message has the flag, in any case.
func (m Stored) Has(flag string) bool {
	return slices.ContainsFunc(m.Flags, func(f string) bool { return strings.EqualFold(f, flag) })
}

// A Store holds one user's mailboxes for any number of [Backend]s and connections. It has an INBOX from
// the start. All methods may be called at any time from any goroutine.
type Store struct {
	mu       sync.Mutex
	boxes    map[string]*box
	made     uint32 // mailboxes so far
	watchers map[*session]struct{}
}

type box struct {
	validity uint32
	next     uint32
	messages []Stored
}

// NewStore returns a Store with an empty INBOX.
func NewStore() *Store {
	st := &Store{boxes: map[string]*box{}, watchers: map[*session]struct{}{}}
	st.Create("INBOX")
	return st
}

// Create makes a mailbox; it reports whether there was none of that name. UIDVALIDITY is 1 for the
// first, 2 for the second, and so on.
func (st *Store) Create(mailbox string) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.create(mailbox)
}

// Add puts a message into a mailbox, which is made where it is missing, and returns its UID. Sessions
// that IDLE there are told.
func (st *Store) Add(mailbox, body string, flags ...string) uint32 {
	st.mu.Lock()
	defer st.mu.Unlock()
	defer st.notify()
	st.create(mailbox)
	return st.box(mailbox).add(body, flags)
}

// SetFlags replaces the flags of a message, as another session would; it reports whether it is there.
func (st *Store) SetFlags(mailbox string, uid uint32, flags ...string) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	defer st.notify()
	m := st.message(mailbox, uid)
	if m != nil {
		m.Flags = sortedFlags(flags)
	}
	return m != nil
}

// Remove expunges a message, as another session would; it reports whether it was there.
func (st *Store) Remove(mailbox string, uid uint32) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	defer st.notify()
	if st.message(mailbox, uid) == nil {
		return false
	}
	st.box(mailbox).remove(func(m Stored) bool { return m.UID == uid })
	return true
}

// Messages returns what a mailbox holds, in order of UIDs; nil where it does not exist.
func (st *Store) Messages(mailbox string) []Stored {
	st.mu.Lock()
	defer st.mu.Unlock()
	b := st.box(mailbox)
	if b == nil {
		return nil
	}
	out := []Stored{}
	for _, m := range b.messages {
		m.Flags = slices.Clone(m.Flags)
		out = append(out, m)
	}
	return out
}

// Mailboxes returns the names of all mailboxes, sorted.
func (st *Store) Mailboxes() []string {
	st.mu.Lock()
	defer st.mu.Unlock()
	return slices.Sorted(maps.Keys(st.boxes))
}

// String returns the whole state, one line a message: "INBOX 3 (\Seen) body".
func (st *Store) String() string {
	var b strings.Builder
	for _, name := range st.Mailboxes() {
		for _, m := range st.Messages(name) {
			fmt.Fprintf(&b, "%s %d (%s) %s\n", name, m.UID, strings.Join(m.Flags, " "), m.Body)
		}
	}
	return b.String()
}

// What follows needs st.mu.

func (st *Store) box(mailbox string) *box { return st.boxes[canonicalName(mailbox)] }

func (st *Store) create(mailbox string) bool {
	if st.box(mailbox) != nil {
		return false
	}
	st.made++
	st.boxes[canonicalName(mailbox)] = &box{validity: st.made, next: 1}
	return true
}

func (st *Store) message(mailbox string, uid uint32) *Stored {
	if b := st.box(mailbox); b != nil {
		return b.find(uid)
	}
	return nil
}

func (st *Store) notify() {
	for s := range st.watchers {
		s.wake()
	}
}

func (b *box) add(body string, flags []string) uint32 {
	uid := b.next
	b.next++
	b.messages = append(b.messages, Stored{UID: uid, Flags: sortedFlags(flags), Body: body})
	return uid
}

func (b *box) find(uid uint32) *Stored {
	i, ok := slices.BinarySearchFunc(b.messages, uid, func(m Stored, uid uint32) int { return int(m.UID) - int(uid) })
	if !ok {
		return nil
	}
	return &b.messages[i]
}

func (b *box) remove(gone func(Stored) bool) { b.messages = slices.DeleteFunc(b.messages, gone) }

func canonicalName(mailbox string) string {
	if strings.EqualFold(mailbox, "INBOX") {
		return "INBOX"
	}
	return mailbox
}

func sortedFlags(flags []string) []string {
	out := slices.Clone(flags)
	slices.SortFunc(out, func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) })
	return slices.CompactFunc(out, strings.EqualFold)
}
