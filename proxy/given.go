package proxy

import (
	"github.com/imapgate/imapgate/proxy/wire"
)

// A given is what one read of the backend has told of the commands at the head of the queue: those that
// only pass, with an answer that asks for nothing. It belongs to down. Answers that came together are noted in
// the queue under one lock: before any other response is looked at, before down waits for the backend,
// and when down ends. Nobody takes these entries off the queue meanwhile, because they are not done.
type given struct {
	next []*entry // from the head of the queue on
	n    int      // of next: their answers are with the client's Writer
	open bool     // the client's Writer is locked
}

// plain reports whether nothing has to be known of an entry to pass its answer. It stays so, because
// the backend has all of it.
func (e *entry) plain() bool {
	if e.kind != passed || !e.sent || e.done || e.idle || e.waits || e.live || e.cmd.Mailbox {
		return false
	}
	has := e.has()
	return has.ends == nil && has.override.Type == "" && has.mailbox == ""
}

// swift passes the answer to a plain command. It is false where nothing was done.
func (s *session) swift(own uint64, m *wire.Message) (done bool, err error) {
	g := &s.given
	if g.n == len(g.next) {
		s.noteGiven()
		s.pending.plainOnes(g)
	}
	if g.n == len(g.next) || g.next[g.n].own != own || s.peers.Quirks.DelayNewMail || !uneventful(m) {
		return false, nil
	}
	if !g.open {
		if err := s.b.In.Settle(); err != nil {
			return true, err
		}
		s.out.Begin()
		g.open = true
	}
	in := s.b.In
	rest := in.Line()[len(m.Tag):]
	if err := in.DropLine(); err != nil {
		return true, err
	}
	s.out.Text(g.next[g.n].tag, m.Name, m.Text)
	s.giveNext(m)
	if s.dialect.TakesResponse(&s.memory, m.Name) {
		return true, s.out.Err()
	}
	tag := tagCounter{own: own}
	tag.n = int8(copy(tag.text[:], m.Tag))
	for g.n < len(g.next) && in.DropNext(tag.render(g.next[g.n].own), rest) {
		if to := g.next[g.n].tag; !s.out.Again(to) {
			s.out.Text(to, m.Name, m.Text)
		}
		s.giveNext(m)
	}
	return true, s.out.Err()
}

// giveNext notes that the answer to the next entry is with the client's Writer.
func (s *session) giveNext(m *wire.Message) {
	g := &s.given
	e := g.next[g.n]
	if s.reuse != nil {
		s.reuse.answered(e.cmd, false, m.Name)
	}
	e.result = m.Name
	g.n++
}

// uneventful reports whether a tagged answer has no code, and no word in its text that could be a tag.
func uneventful(m *wire.Message) bool {
	switch m.Name {
	case "OK", "NO", "BAD":
		return !listsCapabilities(m.Text) && (len(m.Text) == 0 || m.Text[0] != '[') && !namesTag(m.Text)
	}
	return false
}

// namesTag reports whether a word of text could be a tag of ours.
func namesTag(text []byte) bool {
	for i := 0; i < len(text); {
		end := i
		for end < len(text) && isWord(text[end]) {
			end++
		}
		if _, ok := parseOwn(text[i:end]); ok {
			return true
		}
		i = end + 1
	}
	return false
}

// plainOnes finds the plain entries at the head of the queue.
func (p *pending) plainOnes(g *given) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.queue {
		if !e.plain() {
			return
		}
		g.next = append(g.next, e)
	}
}

// noteGiven notes the answers that were given; what else stood in the queue is to be looked at anew.
func (s *session) noteGiven() {
	g := &s.given
	if len(g.next) == 0 {
		return
	}
	if g.open {
		s.out.End()
		g.open = false
	}
	if g.n > 0 {
		s.metrics.answeredAll(g.next[:g.n], s.pending.clock.reading())
		s.pending.allAnswered(g.n, s.writeHeld)
	}
	g.next, g.n = g.next[:0], 0
}

// allAnswered is answered for the n entries at the head of the queue.
func (p *pending) allAnswered(n int, write func(*entry)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.queue[:n-1] {
		e.done = true
	}
	p.answered(p.queue[n-1], write)
}
