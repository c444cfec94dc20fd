package translate

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxOwedSet bounds the sets of one mailbox's debt in octets: 8,000 scattered UIDs, or any number that
	// stand side by side.
	maxOwedSet = 64 << 10
	// maxOwed bounds all debts of a server, with the names in their keys. The oldest make room.
	maxOwed = 16 << 20
	// maxOwedMailboxes bounds the mailboxes of one user with debts; the oldest makes room.
	maxOwedMailboxes = 8
	// maxOwedName bounds a mailbox name in a key.
	maxOwedName = 1000
	// maxOwedAge is how long a debt is owed. Who has not come back for so long may have seen the messages
	// in another way, and wanted them.
	maxOwedAge = 7 * 24 * time.Hour
	// lateExpunge is how long after its connection's end a backend may still carry out an EXPUNGE whose
	// answer was never seen; twice the time that it was waited for comes on top, because a server that
	// hangs may hang on.
	lateExpunge = 30 * time.Second
)

// Marks is the journal of \Deleted marks that were taken away for a moment and have to be set again. A
// debt outlives the session that made it, and is paid when the same user selects the mailbox again. It
// lives in memory: what a proxy owes that is killed is lost, and the messages are then not deleted.
// The zero value is ready to use.
type Marks struct {
	mu     sync.Mutex
	debts  map[debtKey]*debt
	octets int
	count  atomic.Int64
}

type debtKey struct{ user, store, mailbox string }

// A debt is the marks of one mailbox. While a session works on it, it is busy: two at once would take one
// another's marks for the user's.
type debt struct {
	busy     bool
	validity string
	kept     []string  // sets of UIDs that were marked, and have to be marked again; nil: nothing is owed
	copied   []string  // UIDs that EXPUNGE was to remove: the first ones and the last ones
	sent     time.Time // of EXPUNGE; zero where it was not
	since    time.Time // of the session's end
}

func (d *debt) octets() (n int) {
	for _, sets := range [][]string{d.kept, d.copied} {
		for _, set := range sets {
			n += len(set)
		}
	}
	return n
}

func (k debtKey) octets() int { return len(k.user) + len(k.store) + len(k.mailbox) }

// Of returns the view of one user's marks in one store of mail.
func (m *Marks) Of(user, store string) *UserMarks { return &UserMarks{m, user, store} }

// UserMarks are the debts of one user in one store of mail. Nil has none and takes none.
type UserMarks struct {
	all         *Marks
	user, store string
}

// Owes reports whether anything may be owed, to whomever. It does not allocate.
func (u *UserMarks) Owes() bool { return u != nil && u.all.count.Load() > 0 }

// claim takes a mailbox, with what is owed to it. It is nil where another session has it, or where it
// cannot be told apart from others.
func (u *UserMarks) claim(box Mailbox) *claim {
	if u == nil || box.UIDValidity == "" || len(box.Name) > maxOwedName {
		return nil
	}
	c := &claim{all: u.all, key: debtKey{u.user, u.store, mailboxKey(box.Name)}}
	u.all.mu.Lock()
	defer u.all.mu.Unlock()
	d := u.all.debts[c.key]
	switch {
	case d == nil:
		d = &debt{validity: box.UIDValidity}
		if u.all.debts == nil {
			u.all.debts = make(map[debtKey]*debt)
		}
		u.all.debts[c.key] = d
		u.all.octets += c.key.octets()
		u.all.count.Add(1)
	case d.busy:
		return nil
	case d.validity != box.UIDValidity, !d.since.IsZero() && time.Since(d.since) > maxOwedAge: // its UIDs mean nothing any more
		u.all.octets -= d.octets()
		*d = debt{validity: box.UIDValidity}
	}
	d.busy = true
	c.debt = d
	return c
}

// mailboxKey writes INBOX in one way (RFC 3501 section 5.1).
func mailboxKey(name string) string {
	if strings.EqualFold(name, "INBOX") {
		return "INBOX"
	}
	return name
}

// A claim is a session's hold on a mailbox's debt, until release.
type claim struct {
	all  *Marks
	key  debtKey
	debt *debt
	made bool // the debt is of this session's own making
}

// owe notes that the marks of kept are about to be taken away, for an EXPUNGE of copied; false where that
// is more than may be remembered, or others are owed still.
func (c *claim) owe(kept, copied []uint32) bool {
	d := debt{validity: c.debt.validity, busy: true}
	for _, chunk := range Chunks(kept, setOctets) {
		d.kept = append(d.kept, chunk.Text)
	}
	for i, chunks := 0, Chunks(copied, setOctets); i < len(chunks); i += max(1, len(chunks)-1) {
		d.copied = append(d.copied, chunks[i].Text)
	}
	c.all.mu.Lock()
	defer c.all.mu.Unlock()
	if c.debt.kept != nil || d.octets() > maxOwedSet || !c.all.makeRoom(c.key, d.octets()) {
		return false
	}
	c.all.octets += d.octets()
	*c.debt, c.made = d, true
	return true
}

// makeRoom forgets the oldest debts that nobody works on: of this user, who has too many mailboxes, and of
// anybody until there is room for so many octets more.
func (m *Marks) makeRoom(of debtKey, octets int) bool {
	own := func(k debtKey) bool { return k.user == of.user }
	if k, d, n := m.oldest(own); n > maxOwedMailboxes && d != nil {
		m.remove(k, d)
	}
	for m.octets+octets > maxOwed {
		k, d, _ := m.oldest(func(debtKey) bool { return true })
		if d == nil {
			return false
		}
		m.remove(k, d)
	}
	return true
}

// oldest returns the oldest debt among some that nobody works on, and how many they are with the others.
func (m *Marks) oldest(among func(debtKey) bool) (key debtKey, found *debt, n int) {
	for k, d := range m.debts {
		if !among(k) {
			continue
		}
		n++
		if !d.busy && (found == nil || d.since.Before(found.since)) {
			key, found = k, d
		}
	}
	return key, found, n
}

func (m *Marks) remove(k debtKey, d *debt) {
	delete(m.debts, k)
	m.octets -= k.octets() + d.octets()
	m.count.Add(-1)
}

// expunging notes that EXPUNGE is sent.
func (c *claim) expunging() {
	c.all.mu.Lock()
	defer c.all.mu.Unlock()
	c.debt.sent = time.Now()
}

// paid notes that the marks are set again.
func (c *claim) paid() {
	c.all.mu.Lock()
	defer c.all.mu.Unlock()
	c.all.octets -= c.debt.octets()
	*c.debt = debt{validity: c.debt.validity, busy: true}
}

// release gives the mailbox to the next session; what is owed stays.
func (c *claim) release() {
	c.all.mu.Lock()
	defer c.all.mu.Unlock()
	c.debt.busy = false
	if c.made {
		c.debt.since = time.Now()
	}
	if c.debt.kept == nil {
		c.all.remove(c.key, c.debt)
	}
}

// late reports whether an EXPUNGE may still be carried out whose answer was not seen.
func (c *claim) late() bool {
	d := c.debt
	return !d.sent.IsZero() && time.Since(d.since) < lateExpunge+2*d.since.Sub(d.sent)
}
