package proxy

import (
	"runtime"
	"runtime/debug"
	"time"
)

const (
	tidyLeast = 128 // readers that must have parked before memory is given back
	tidyPart  = 16  // and how much of all that are parked they must be: one in so many
	tidyDelay = 250 * time.Millisecond
	tidyShare = 100 // giving memory back takes no more than one in so many parts of the time
)

// A caretaker gives the memory that readers leave when they park back to the system: their stacks and what
// the logins before have used are garbage that the collector would otherwise keep for the next ones, for
// minutes. It belongs to a lot, whose lock protects it.
type caretaker struct {
	left    int         // readers that have parked since it worked last
	timer   *time.Timer // nil before its first use
	waiting bool        // it is going to work
	next    time.Time   // it works no earlier
}

// parked notes that one more reader has parked, of all.
func (t *caretaker) parked(all int, work func()) {
	t.left++
	if t.waiting || t.left < max(tidyLeast, all/tidyPart) {
		return
	}
	t.waiting = true
	wait := max(tidyDelay, time.Until(t.next))
	if t.timer == nil {
		t.timer = time.AfterFunc(wait, work)
	} else {
		t.timer.Reset(wait)
	}
}

// tidy gives memory back.
func (l *lot) tidy() {
	l.mu.Lock()
	l.caretaker.left = 0
	over := l.over
	l.mu.Unlock()
	began := time.Now()
	if !over {
		runtime.GC() // what pools hold is garbage only the second time
		debug.FreeOSMemory()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	took := time.Since(began)
	l.caretaker.next = began.Add(tidyShare * took)
	l.caretaker.waiting = false
}
