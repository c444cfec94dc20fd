package translate

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/imapgate/imapgate/proxy/wire"
)

// Memory is what the translations of one session remember from one command to the next. Each field
// belongs to one file of this package; all are empty until they are needed.
type Memory struct {
	mu       sync.Mutex
	watchers atomic.Pointer[[]Watcher]
	utf8     atomic.Bool // utf8.go: UTF8=ACCEPT is enabled, and the proxy keeps it
	prefixed bool        // names.go: the map of names has a prefix; never changes

	rev2    atomic.Bool   // rev2.go: IMAP4rev2 is enabled, and the proxy keeps it
	speaks2 atomic.Bool   // moveorder.go: the client has enabled IMAP4rev2, whoever keeps it
	apart   atomic.Uint32 // unselect.go: how far the client and the backend are apart

	marks *UserMarks // marks.go: debts that outlive sessions; nil until Begin
	lore  atomic.Pointer[lore]
}

// Begin is called before the first command.
func (s *Memory) Begin(p *Peers, marks *UserMarks) {
	s.marks, s.prefixed = marks, p.Policy.Names.Prefix != ""
}

// A lore is what few sessions ever remember.
type lore struct {
	uids  uidMap // uidmap.go
	saved saved  // searchres.go, for the goroutine that reads the client
}

// rare is made when it is first asked for.
func (s *Memory) rare() *lore {
	if s.lore.Load() == nil {
		s.lore.CompareAndSwap(nil, new(lore))
	}
	return s.lore.Load()
}

func (s *Memory) uids() *uidMap { return &s.rare().uids }
func (s *Memory) saved() *saved { return &s.rare().saved }

// A Watcher follows the selected mailbox, in the order of the backend's words, on the goroutine that
// reads the backend.
type Watcher interface {
	// Watch sees EXISTS, EXPUNGE, VANISHED and FETCH, of FETCH the tokens of its first line. An error
	// ends the session.
	Watch(m *wire.Message) error
	// Left says that another mailbox is going to be selected, or none; the watcher is detached. It runs on
	// the goroutine that reads the client.
	Left()
}

// Attach adds a watcher. Nothing that a command says which is sent later escapes it.
func (s *Memory) Attach(w Watcher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := append(slices.Clone(s.all()), w)
	s.watchers.Store(&all)
}

// Detach takes a watcher away.
func (s *Memory) Detach(w Watcher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := slices.DeleteFunc(slices.Clone(s.all()), func(other Watcher) bool { return other == w })
	if len(all) == 0 {
		s.watchers.Store(nil)
		return
	}
	s.watchers.Store(&all)
}

func (s *Memory) all() []Watcher {
	if all := s.watchers.Load(); all != nil {
		return *all
	}
	return nil
}

// Watched reports whether anybody follows responses of this name.
func (s *Memory) Watched(name string) bool {
	if s.watchers.Load() == nil {
		return false
	}
	switch name {
	case "EXISTS", "EXPUNGE", "VANISHED", "FETCH":
		return true
	}
	return false
}

// Watch shows a response to every watcher.
func (s *Memory) Watch(m *wire.Message) error {
	for _, w := range s.all() {
		if err := w.Watch(m); err != nil {
			return err
		}
	}
	return nil
}

// Left tells every watcher that a command is sent which leaves the mailbox.
func (s *Memory) Left() {
	if all := s.watchers.Swap(nil); all != nil {
		for _, w := range *all {
			w.Left()
		}
	}
}
