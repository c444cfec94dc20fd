package proxy

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/imapgate/imapgate/proxy/translate"
	"github.com/imapgate/imapgate/proxy/wire"
)

// maxPending bounds how many commands one client may have under way; further ones wait in its TCP
// connection.
const maxPending = 128

// A kind says who owes what for an entry.
type kind uint8

const (
	passed     kind = iota // the backend's answer goes to the client
	ours                   // the backend's answer is for a translation
	translated             // a translation is going to answer
	held                   // the proxy's own answer waits until all before it are answered
)

// An entry is a command that was not answered yet. It exists before the command's first byte is sent.
type entry struct {
	kind  kind
	sent  bool // the backend has all of it, so that it owes an answer
	done  bool
	idle  bool // IDLE before DONE: the backend owes nothing
	live  bool // registers its tag for updates: RETURN (UPDATE) of RFC 5267
	waits bool // the answer waits for that of a NOOP of ours behind it

	own    uint64 // number in the tag that the backend sees
	tag    []byte // the client's; its array is reused
	cmd    *translate.Command
	start  time.Duration // by the clock
	result string        // type of the answer

	special *special // nil for most: see has and gets
}

// A special is what is to be known of few commands.
type special struct {
	ends     []uint64    // CANCELUPDATE: own tags of the searches that it ends
	mailbox  string      // SELECT, EXAMINE: what is being opened
	override wire.Status // in place of the backend's answer, where Type is set
	reply    []byte      // held: all lines of the answer; nil until they are known
	later    []byte      // held: the answer that waits
	behind   *entry      // ours: whose answer waits for this one
	status   wire.Status // ours: the backend's answer
}

var nothingSpecial special // never written to

// has is to be read: what e has that others have not.
func (e *entry) has() *special {
	if e.special == nil {
		return &nothingSpecial
	}
	return e.special
}

// gets is to be written to.
func (e *entry) gets() *special {
	if e.special == nil {
		e.special = new(special)
	}
	return e.special
}

// renew makes e what a new entry is, in the memory that it has.
func (e *entry) renew() {
	if e.special != nil {
		*e.special = special{}
	}
	*e = entry{tag: e.tag[:0], special: e.special}
}

// pending is what the backend and the proxy still owe, oldest first. It is pushed to by the goroutine
// that reads the client and completed by the one that reads the backend; every change that the first may
// wait for is followed by changed.
type pending struct {
	mu    sync.Mutex
	queue []*entry
	array []*entry // below queue, from its beginning

	staging   *staging // of up; nil while that is parked
	releasing bool     // somebody is in release
	last      uint64   // own tag given last

	clock clock // what it goes by

	over     bool   // the session ends: nobody waits any longer
	grant    grant  // which continuation request may come
	oweSince moment // since when the backend owes an answer; 0 where it owes none
	idleFrom moment // when the last answer was given

	sink atomic.Pointer[translate.Sink] // sees untagged responses while a translation runs a command
}

// A grant is what becomes of the backend's next continuation request.
type grant uint8

const (
	noGrant      grant = iota // none may come: it would be out of sync
	swallowGrant              // it is for the proxy, which has the literal or asked by itself
	forwardGrant              // the client is told to go on
	granted                   // it came
)

// changed wakes up, if that waits for a change. The lock is held.
func (p *pending) changed() {
	if p.staging != nil {
		p.staging.cond.Broadcast()
	}
}

// push adds an entry. The lock is held, and nothing is staged.
func (p *pending) push(k kind, tag []byte, cmd *translate.Command) *entry {
	e := p.make(k, tag, cmd)
	p.add(e)
	p.staging.room = maxPending - len(p.queue)
	return e
}

// make makes an entry that is not in the queue. It is called by up alone.
func (p *pending) make(k kind, tag []byte, cmd *translate.Command) *entry {
	e := p.staging.take()
	p.last++
	e.kind, e.own, e.cmd, e.start = k, p.last, cmd, p.clock.reading()
	e.tag = append(e.tag[:0], tag...)
	return e
}

// add appends to the queue. Where that is at the end of its array, and much of it free, it moves to its beginning.
func (p *pending) add(e *entry) {
	if len(p.queue) == cap(p.queue) {
		if len(p.array) == 0 || 2*len(p.queue) > len(p.array) {
			p.array = make([]*entry, max(8, 2*len(p.array)))
		}
		p.queue = p.array[:copy(p.array, p.queue)]
	}
	p.queue = append(p.queue, e)
}

// pop takes the head off the queue.
func (p *pending) pop() {
	p.recycle(p.queue[0])
	if p.queue = p.queue[1:]; len(p.queue) == 0 {
		p.queue = p.array[:0]
	}
}

// find returns the entry of an own tag that the backend has not answered.
func (p *pending) find(own uint64) *entry {
	for _, e := range p.queue {
		if e.own == own && !e.done && (e.kind == passed || e.kind == ours) {
			return e
		}
	}
	return nil
}

// others reports whether a command of ours besides e is under way.
func (p *pending) others(e *entry) bool {
	for _, o := range p.queue {
		if o != e && o.kind == ours && !o.done {
			return true
		}
	}
	return false
}

// oldest returns the first client command that is not answered; nil where there is none.
func (p *pending) oldest() *entry {
	for _, e := range p.queue {
		if !e.done && e.kind != ours {
			return e
		}
	}
	return nil
}

// isFirst reports whether e is the oldest entry of a session that goes on.
func (p *pending) isFirst(e *entry) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.over && len(p.queue) > 0 && p.queue[0] == e
}

// sentNow notes that the backend has all of e, and owes an answer.
func (p *pending) sentNow(e *entry) {
	if p.staging.isLast(e) {
		e.sent = true
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	e.sent = true
	if p.oweSince == 0 && !e.done {
		p.oweSince = momentOf(time.Now()) // what the clock says may be long ago, behind a pause
	}
}

// expect says what becomes of the next continuation request.
func (p *pending) expect(g grant) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.grant = g
	if p.oweSince == 0 {
		p.oweSince = momentOf(time.Now()) // what the clock says may be long ago, behind a pause
	}
}

// granted waits for the continuation request that was expected, or for e's answer in its place.
func (p *pending) granted(e *entry) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := p.await(func() bool { return p.grant == granted || e.done })
	came := p.grant == granted
	p.grant = noGrant
	p.recount(p.clock.now())
	return came, err
}

// answered marks e and takes what is complete from the head of the queue; held answers that become due
// are written, in order. The lock is held, but not while they are written.
func (p *pending) answered(e *entry, write func(*entry)) {
	e.done = true
	if e.idle {
		p.grant = noGrant // IDLE was refused, or has ended by itself
	}
	now := p.clock.now()
	p.idleFrom = momentOf(now)
	p.release(write)
	p.recount(now)
	p.changed()
}

// recount says since when the backend owes anything: now, or not at all.
func (p *pending) recount(now time.Time) {
	p.oweSince = 0
	if p.grant == swallowGrant || p.grant == forwardGrant {
		p.oweSince = momentOf(now)
		return
	}
	for _, e := range p.queue {
		if e.sent && !e.done && !e.idle && (e.kind == passed || e.kind == ours) {
			p.oweSince = momentOf(now)
			return
		}
	}
}

// release takes finished entries from the head of the queue, and writes held answers that come due. A
// client that does not read holds up the one goroutine that writes to it, and never the lock: whoever
// comes to release meanwhile leaves it to that one.
func (p *pending) release(write func(*entry)) {
	if p.releasing {
		return
	}
	p.releasing = true
	for len(p.queue) > 0 {
		e := p.queue[0]
		if e.kind == held && !e.done && e.has().reply != nil {
			p.mu.Unlock()
			write(e)
			p.mu.Lock()
			e.done = true
		}
		if !e.done {
			break
		}
		p.pop()
	}
	p.releasing = false
	p.changed()
}

// drop removes an entry of ours from wherever it stands.
func (p *pending) drop(e *entry) {
	for i := range p.queue {
		if p.queue[i] == e {
			p.queue = append(p.queue[:i], p.queue[i+1:]...)
			return
		}
	}
}

// recycle keeps e for a later push, so that a client which sends many commands at once costs no more
// than its first burst. Until then it stays as it is, because the goroutine that pushed it,
// and alone pushes, may still look at it.
func (p *pending) recycle(e *entry) {
	if p.staging != nil && len(p.staging.spare) < maxPending {
		p.staging.spare = append(p.staging.spare, e)
	}
}

// await waits until done says so, or the session is over, which it reports as errOver. The lock is held.
// Only up waits.
func (p *pending) await(done func() bool) error {
	p.publish()
	for !done() {
		if p.over {
			return errOver
		}
		p.staging.cond.Wait()
	}
	return nil
}

// end wakes everybody who waits, for good.
func (p *pending) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	p.changed()
}

// owed returns since when the backend owes an answer or a continuation request.
func (p *pending) owed() (since time.Time, any bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.oweSince.time(), p.oweSince != 0
}

// quiet reports whether no client command is under way, but for an IDLE, and since when.
func (p *pending) quiet() (since time.Time, quiet bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.queue {
		if !e.done && !e.idle {
			return p.idleFrom.time(), false
		}
	}
	return p.idleFrom.time(), true
}
