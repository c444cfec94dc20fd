package proxy

import (
	"sync"
	"sync/atomic"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/translate"
)

// A ledger is what one session knows about the state of its conversation. The goroutine that reads the
// backend writes it; anybody may read it.
type ledger struct {
	mu        sync.Mutex
	enabled   imap.CapSet // by ENABLE, and CONDSTORE also by implication (RFC 7162 section 3.1)
	mailbox   Selected
	selecting int    // SELECT and EXAMINE that are not answered
	visits    uint64 // mailboxes that were selected or left
	client    string // what it says it is (ID)

	commands atomic.Int64 // that were read
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

// visit returns the mailbox and how many were selected or left before.
func (l *ledger) visit() (Selected, uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mailbox, l.visits
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
	if l.enabled == nil {
		l.enabled = make(imap.CapSet)
	}
	for _, n := range names {
		l.enabled[n] = struct{}{}
	}
}

// exists notes how many messages the backend told; it reports a number that shrank, which only EXPUNGE
// may do (RFC 3501 section 7.3.1).
func (l *ledger) exists(n uint32) (shrank bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	shrank = l.mailbox.Name != "" && l.selecting == 0 && n < l.mailbox.Exists
	l.mailbox.Exists = n
	return shrank
}

func (l *ledger) expunged(n uint32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mailbox.Exists -= min(n, l.mailbox.Exists)
}

// opening notes that SELECT or EXAMINE is sent. What was told of the mailbox goes; its name and its number
// of messages stay, because a command that the backend does not understand changes nothing, and one that
// succeeds tells both.
func (l *ledger) opening() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.selecting++
	l.mailbox.UIDValidity, l.mailbox.UIDNext, l.mailbox.HighestModSeq = "", "", ""
}

// notOpened notes that SELECT or EXAMINE was answered NO or BAD: a failed one leaves nothing selected (RFC
// 3501 section 6.3.1), one that was not understood has done nothing.
func (l *ledger) notOpened(typ string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.selecting--
	if typ == "NO" {
		l.visits++
		l.mailbox = Selected{}
	}
}

// closed notes that no mailbox is selected any more.
func (l *ledger) closed() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.visits++
	l.mailbox = Selected{}
}

// opened notes that SELECT or EXAMINE was answered OK.
func (l *ledger) opened(name string, mode access) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.selecting--
	l.visits++
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

func (l *ledger) count(n int64) { l.commands.Add(n) }

// named notes what the client says it is.
func (l *ledger) named(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.client = name
}

func (l *ledger) counted() int64 { return l.commands.Load() }

func (l *ledger) clientName() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.client
}
