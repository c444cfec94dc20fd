package proxy

import (
	"container/heap"
	"errors"
	"net"
	"sync"
	"syscall"
	"time"
)

// A lot is where readers wait that have given up their goroutine, for there was nothing to read for a
// while: it wakes each when its connection can be read, or when its time has come. Whoever wants a reader
// to look at a signal wakes it without the lot.
//
// Each end of a session parks by itself: a client in IDLE whose backend is silent costs two entries here,
// and neither a stack nor a buffer.
type lot struct {
	mu     sync.Mutex
	due    agenda
	timer  *time.Timer // fires at next, or nobody waits for it; nil while there was none
	next   moment      // no later than the first of due; 0 where the timer is not set
	poller *poller     // nil before the first connection that has a descriptor
	over   bool        // nobody parks any more

	caretaker caretaker
}

// A notifier is a connection that can say by itself when Read would not wait. The connections of a system
// do not: they have a descriptor, which is polled.
type notifier interface {
	// NotifyReadable calls f once, from another goroutine, as soon as Read would not wait. A later call
	// takes the place of one that has not led to anything. False says that it cannot.
	NotifyReadable(f func()) bool
}

// errNoLot says that a reader has to stay on its goroutine.
var errNoLot = errors.New("the connection cannot be watched without a goroutine")

// add watches for c, whose lock is held, until it is woken, when it is due at the latest. It is woken at once where its connection can be
// read already.
func (l *lot) add(c *control) error {
	if err := l.watch(c); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	heap.Push(&l.due, c)
	l.schedule()
	if !c.known {
		c.known = true
		l.caretaker.changed(1, l.tidy)
	}
	return nil
}

// remove forgets when c, whose lock is held and which is being woken, is due. That its descriptor is still
// watched does no harm: it wakes nobody who is awake.
func (l *lot) remove(c *control) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.place > 0 {
		heap.Remove(&l.due, int(c.place)-1)
	}
}

// watch lets c be woken when its connection can be read.
func (l *lot) watch(c *control) error {
	raw := c.conn.Raw()
	if n, ok := raw.(notifier); ok && n.NotifyReadable(c.wake) {
		return nil
	}
	descriptor, ok := raw.(syscall.Conn)
	if !ok {
		return errNoLot
	}
	p, err := l.polling()
	if err != nil {
		return err
	}
	return p.watch(descriptor, c)
}

// leave takes c out for good. Its connection is still open, and its reader has ended.
func (l *lot) leave(c *control) {
	l.mu.Lock()
	p := l.poller
	if c.known {
		c.known = false
		l.caretaker.changed(-1, l.tidy)
	}
	l.mu.Unlock()
	if p != nil {
		p.forget(c)
	}
}

func (l *lot) polling() (*poller, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return nil, net.ErrClosed
	}
	if l.poller == nil {
		p, err := newPoller()
		if err != nil {
			return nil, err
		}
		l.poller = p
	}
	return l.poller, nil
}

// close ends the lot, behind the last session.
func (l *lot) close() {
	l.mu.Lock()
	l.over = true
	p := l.poller
	for _, timer := range []*time.Timer{l.timer, l.caretaker.timer} {
		if timer != nil {
			timer.Stop()
		}
	}
	l.mu.Unlock()
	if p != nil {
		p.close()
	}
}

// schedule sets the timer for the first that is due, unless it fires before that anyway: those who are
// woken early leave it as it is. The lock is held.
func (l *lot) schedule() {
	if len(l.due) == 0 || l.over {
		return
	}
	first := l.due[0].due
	switch {
	case l.timer == nil:
		l.timer = time.AfterFunc(time.Until(first.time()), l.wakeDue)
	case l.next == 0 || first < l.next:
		l.timer.Reset(time.Until(first.time()))
	default:
		return
	}
	l.next = first
}

// wakeDue wakes those whose time has come.
func (l *lot) wakeDue() {
	for {
		l.mu.Lock()
		if len(l.due) == 0 || l.due[0].due > momentOf(time.Now()) {
			l.next = 0
			l.schedule()
			l.mu.Unlock()
			return
		}
		c := heap.Pop(&l.due).(*control)
		l.mu.Unlock()
		c.wake() // without our lock, which is taken behind that of c
	}
}

// An agenda is a heap of readers by when they are due.
type agenda []*control

func (a agenda) Len() int           { return len(a) }
func (a agenda) Less(i, j int) bool { return a[i].due < a[j].due }

func (a agenda) Swap(i, j int) {
	a[i], a[j] = a[j], a[i]
	a[i].place, a[j].place = int32(i)+1, int32(j)+1
}

// Push adds a *control.
func (a *agenda) Push(c any) {
	*a = append(*a, c.(*control))
	c.(*control).place = int32(len(*a))
}

// Pop takes the last *control.
func (a *agenda) Pop() any {
	last := len(*a) - 1
	c := (*a)[last]
	(*a)[last] = nil
	*a = (*a)[:last]
	c.place = 0
	return c
}
