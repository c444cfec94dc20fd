package proxy

import (
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/imapgate/imapgate/proxy/translate"
)

// A staging holds the entries of commands of which no octet has left. It belongs to up alone, so that a command
// which came with others costs no lock of its own. All that is staged gets into the queue before anything leaves
// for the backend (upSink), before up waits for anything, before another kind of entry is pushed, and when up ends:
// whoever looks at the queue never misses a command that anybody can know of.
type staging struct {
	entries  []*entry
	free     []*entry // to be used again
	room     int      // how many more may be staged, as far as up knows
	inFlight prometheus.Gauge

	// Under the queue's lock:
	spare []*entry  // to be free
	cond  sync.Cond // what up waits by
}

// stage makes an entry for a command that passes; nil where the queue may be full.
func (p *pending) stage(tag []byte, cmd *translate.Command) *entry {
	s := p.staging
	if s.room == 0 {
		return nil
	}
	s.room--
	e := p.make(passed, tag, cmd)
	s.entries = append(s.entries, e)
	return e
}

// isLast reports whether e was staged last.
func (s *staging) isLast(e *entry) bool {
	n := len(s.entries)
	return n > 0 && s.entries[n-1] == e
}

func (s *staging) take() *entry {
	n := len(s.free)
	if n == 0 {
		return new(entry)
	}
	e := s.free[n-1]
	s.free = s.free[:n-1]
	e.renew()
	return e
}

// publish moves what is staged to the queue. The lock is held, by up.
func (p *pending) publish() {
	s := p.staging
	if len(s.free) == 0 {
		s.free, s.spare = s.spare, s.free
	}
	if len(s.entries) == 0 {
		return
	}
	s.inFlight.Add(float64(len(s.entries)))
	for _, e := range s.entries {
		p.add(e)
	}
	if p.oweSince == 0 && slices.ContainsFunc(s.entries, func(e *entry) bool { return e.sent }) {
		p.oweSince = momentOf(time.Now()) // what the clock says may be long ago, behind a pause
	}
	s.entries = s.entries[:0]
}

// publishStaged is publish without the lock.
func (p *pending) publishStaged() {
	if len(p.staging.entries) == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.publish()
}

// attend gives up, which calls it, what it adds commands with.
func (p *pending) attend(s *staging) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.cond.L = &p.mu
	p.staging = s
}

// lighten takes that away, because no command is likely to come for long. up calls it, between commands.
func (p *pending) lighten() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.publish()
	p.staging = nil
	p.array = slices.Clone(p.queue)
	p.queue = p.array
}

// upSink is where a session's commands are written to.
type upSink struct{ s *session }

// Write lets octets leave for the backend behind the entries of their commands.
func (u upSink) Write(b []byte) (int, error) {
	u.s.pending.publishStaged()
	return u.s.toBackend.Write(b)
}
