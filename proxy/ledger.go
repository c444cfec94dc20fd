package proxy

import (
	"sync"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/translate"
)

// A ledger is what one session knows about the state of its conversation. The goroutine that reads the
// backend writes it; anybody may read it.
type ledger struct {
	mu       sync.Mutex
	enabled  imap.CapSet // by ENABLE, and CONDSTORE also by implication (RFC 7162 section 3.1)
	mailbox  Selected
	commands int64
	client   string // what it says it is (ID)
}

// Selected is what a session knows of its mailbox.
type Selected struct {
	Name          string // as the client wrote it; empty where none is selected
	ReadOnly      bool
	Exists        uint32
	UIDValidity   string
	UIDNext       string
	HighestModSeq string
}

func (l *ledger) selected() Selected {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mailbox
}

func (l *ledger) peers(p translate.Peers) translate.Peers {
	l.mu.Lock()
	defer l.mu.Unlock()
	p.Enabled = l.enabled.Copy()
	return p
}

func (l *ledger) enable(names []imap.Cap) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range names {
		l.enabled[n] = struct{}{}
	}
}

// exists notes how many messages the backend told; it reports a number that shrank, which only EXPUNGE
// may do (RFC 3501 section 7.3.1).
func (l *ledger) exists(n uint32) (shrank bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	shrank = l.mailbox.Name != "" && n < l.mailbox.Exists
	l.mailbox.Exists = n
	return shrank
}

func (l *ledger) expunged(n uint32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mailbox.Exists -= min(n, l.mailbox.Exists)
}

// opening clears what was known: from the moment SELECT or EXAMINE is sent, what comes belongs to the
// new mailbox.
func (l *ledger) opening() (former Selected) {
	l.mu.Lock()
	defer l.mu.Unlock()
	former, l.mailbox = l.mailbox, Selected{}
	return former
}

// reopened takes back opening.
func (l *ledger) reopened(former Selected) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mailbox = former
}

// opened notes the answer to SELECT or EXAMINE.
func (l *ledger) opened(name string, mode access) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mailbox.Name, l.mailbox.ReadOnly = name, mode == readOnly
}

// code notes a response code that tells of the mailbox.
func (l *ledger) code(name, args string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch name {
	case "UIDVALIDITY":
		l.mailbox.UIDValidity = args
	case "UIDNEXT":
		l.mailbox.UIDNext = args
	case "HIGHESTMODSEQ":
		l.mailbox.HighestModSeq = args
	case "READ-ONLY":
		l.mailbox.ReadOnly = true
	case "READ-WRITE":
		l.mailbox.ReadOnly = false
	}
}

type access bool

const (
	readWrite access = false
	readOnly  access = true
)

func (l *ledger) count() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.commands++
}

// named notes what the client says it is.
func (l *ledger) named(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.client = name
}

func (l *ledger) counted() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.commands
}

func (l *ledger) clientName() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.client
}
