package proxy

import (
	"os"
	"runtime"
	"runtime/debug"
	gauge "runtime/metrics"
	"sync/atomic"
	"time"
)

const (
	tidyLeast = 128 // readers that must have come or gone before memory is given back
	tidyPart  = 16  // or, where that is more, one in so many of those that there were
	tidyDelay = 500 * time.Millisecond
	tidyShare = 20 // giving memory back takes no more than one in so many parts of the time
)

// A caretaker gives memory back to the system behind a wave of readers that have parked for the first time, or
// have gone: their stacks and what their logins have used are garbage that the collector would otherwise keep for
// the next ones, for minutes. As long as about as many come as go, it has nothing to do. It belongs to a lot,
// whose lock protects it.
type caretaker struct {
	readers int         // that have parked at some time, and have not gone
	last    int         // how many they were when it worked
	timer   *time.Timer // nil before its first use
	waiting bool        // it is going to work
	next    time.Time   // it works no earlier
}

// changed notes that a reader has come or gone.
func (t *caretaker) changed(by int, work func()) {
	t.readers += by
	change := max(t.readers-t.last, t.last-t.readers)
	if t.waiting || change < max(tidyLeast, t.last/tidyPart) {
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
	readers, over := l.caretaker.readers, l.over
	l.mu.Unlock()
	began := time.Now()
	if !over {
		adaptCollector()
		runtime.GC() // what pools hold is garbage only the second time
		debug.FreeOSMemory()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.caretaker.last = readers
	l.caretaker.next = began.Add(tidyShare * time.Since(began))
	l.caretaker.waiting = false
}

// How much garbage the collector lets come together before it works, as a part of what is in use (GOGC):
// collectorRoom octets, within bounds. With few sessions logins cost a tenth less processor time than
// with Go's own 100, with thousands each takes a tenth less memory.
const (
	collectorRoom  = 16 << 20
	collectorMost  = 200
	collectorLeast = 50
)

// collectorPart is GOGC as it was set last; it is the process's, as the collector is.
var collectorPart atomic.Int64

// adaptCollector sets GOGC by what is in use, unless who started the process has set it.
func adaptCollector() {
	if os.Getenv("GOGC") != "" {
		return
	}
	s := []gauge.Sample{{Name: "/gc/heap/live:bytes"}}
	gauge.Read(s)
	live := max(s[0].Value.Uint64(), 1)
	part := int64(min(max(collectorRoom*100/live, collectorLeast), collectorMost))
	if collectorPart.Swap(part) != part { // setting it stops the world
		debug.SetGCPercent(int(part))
	}
}
