package translate

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/imapgate/imapgate/proxy/wire"
)

// A restless server has a mailbox in which mail comes and goes at any moment, also where that is forbidden.
// Its goroutine is the one that reads the backend.
type restless struct {
	Exchange
	t      *testing.T
	r      *rand.Rand
	memory Memory
	box    []uint32
	next   uint32
	ledger atomic.Uint32 // written behind the watchers, as a session does
	orders chan func()
}

func newRestless(t *testing.T, seed uint64, n int) *restless {
	s := &restless{t: t, r: rand.New(rand.NewPCG(seed, 3)), orders: make(chan func())}
	for range n {
		s.next += 1 + s.r.Uint32N(4)
		s.box = append(s.box, s.next)
	}
	s.ledger.Store(uint32(n))
	go s.run()
	return s
}

// run does what it is asked, and behind each order lets things happen while the other goroutine goes on.
func (s *restless) run() {
	for order := range s.orders {
		order()
		for range s.r.IntN(200) {
			s.maybe(8, nil)
		}
	}
}

// maybe lets something happen once in so many times.
func (s *restless) maybe(often int, sink Sink) {
	switch s.r.IntN(often * 4) {
	case 0:
		if len(s.box) > 20 {
			i := s.r.IntN(len(s.box))
			s.box = slices.Delete(s.box, i, i+1)
			s.tell(wire.Numbered(uint32(i+1), "EXPUNGE"), sink)
		}
	case 1:
		if len(s.box) < 4000 {
			s.next += 1 + s.r.Uint32N(4)
			s.box = append(s.box, s.next)
			s.tell(wire.Numbered(uint32(len(s.box)), "EXISTS"), sink)
		}
	case 2:
		if len(s.box) > 0 {
			i := s.r.IntN(len(s.box))
			s.tell(fetchUID(uint32(i+1), s.box[i]), sink)
		}
	}
}

func (s *restless) tell(m *wire.Message, sink Sink) {
	if s.memory.Watched(m.Name) {
		if err := s.memory.Watch(m); err != nil {
			s.t.Errorf("%s %d: %v", m.Name, m.Num, err)
		}
	}
	if sink != nil {
		sink(m)
	}
	switch m.Name {
	case "EXISTS":
		s.ledger.Store(m.Num)
	case "EXPUNGE":
		s.ledger.Add(^uint32(0))
	}
}

// order runs f on the server's goroutine.
func (s *restless) order(f func()) {
	done := make(chan struct{})
	s.orders <- func() { f(); close(done) }
	<-done
}

func (s *restless) Memory() *Memory { return &s.memory }
func (s *restless) Mailbox() Mailbox {
	return Mailbox{Name: "INBOX", Exists: s.ledger.Load()}
}

func (s *restless) Do(cmd *wire.Message, sink Sink) (wire.Status, error) {
	var from, to int
	set := string(cmd.Tokens[0].Text)
	if n, _ := fmt.Sscanf(set, "%d:%d", &from, &to); n == 1 {
		to = from
	}
	s.order(func() {
		for i := from; i <= to && i <= len(s.box); i++ {
			s.tell(fetchUID(uint32(i), s.box[i-1]), sink)
			s.maybe(500, sink)
		}
	})
	return wire.Status{Type: "OK"}, nil
}

// TestUIDMapRace: whatever comes when, a map that says it is ready is right.
func TestUIDMapRace(t *testing.T) {
	built := 0
	for seed := range uint64(12) {
		s := newRestless(t, seed, 300)
		u := s.memory.uids()
		for range 60 {
			err := u.ready(s)
			var refused *Refused
			if errors.As(err, &refused) && refused.Status.Code == "EXPUNGEISSUED" {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			built++
			s.order(func() { s.compare(u) })
			if built%10 == 0 {
				s.order(s.memory.Left)
			}
		}
		close(s.orders)
	}
	if built < 100 {
		t.Errorf("the map was built %d times", built)
	}
}

// compare runs on the server's goroutine, so that nothing happens meanwhile.
func (s *restless) compare(u *uidMap) {
	consistent(s.t, &u.list)
	if !u.counted || int(u.count) != len(s.box) {
		s.t.Errorf("the map counts %d, the server %d", u.count, len(s.box))
		return
	}
	for i, uid := range u.list.all() {
		if uid != 0 && uid != s.box[i] {
			s.t.Errorf("message %d is %d, not %d", i+1, s.box[i], uid)
		}
	}
}
