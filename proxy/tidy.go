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
	tidyLeast = 128 // readers that must have parked before memory is given back
	tidyPart  = 16  // or, where that is more, one in so many of those that are parked
	tidyGrown = 8   // and it must have become one in so many more, the readers or the octets of the process
	tidyDelay = 250 * time.Millisecond
	tidyShare = 20 // giving memory back takes no more than one in so many parts of the time
)

// A caretaker gives the memory that readers leave when they park back to the system: their stacks and what
// the logins before have used are garbage that the collector would otherwise keep for the next ones, for
// minutes. Where sessions come and go and the process does not grow, it has nothing to do. It belongs to a
// lot, whose lock protects it.
type caretaker struct {
	left    int         // readers that have parked since it looked last
	timer   *time.Timer // nil before its first use
	waiting bool        // it is going to look
	next    time.Time   // it looks no earlier
	size    uint64      // of the process when it had worked last, in octets
	all     int         // readers that were parked then
}

// parked notes that one more reader has parked, of all.
func (t *caretaker) parked(all int, look func()) {
	t.left++
	if t.waiting || t.left < max(tidyLeast, all/tidyPart) {
		return
	}
	t.waiting = true
	wait := max(tidyDelay, time.Until(t.next))
	if t.timer == nil {
		t.timer = time.AfterFunc(wait, look)
	} else {
		t.timer.Reset(wait)
	}
}

// tidy gives memory back, where that is worth it.
func (l *lot) tidy() {
	adaptCollector()
	l.mu.Lock()
	l.caretaker.left = 0
	size, all, now, over := l.caretaker.size, l.caretaker.all, len(l.due), l.over
	l.mu.Unlock()
	began := time.Now()
	if !over && (now > all+all/tidyGrown || processSize() > size+size/tidyGrown) {
		runtime.GC() // what pools hold is garbage only the second time
		debug.FreeOSMemory()
		size, all = processSize(), now
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.caretaker.size, l.caretaker.all = size, min(all, len(l.due))
	l.caretaker.next = began.Add(tidyShare * time.Since(began))
	l.caretaker.waiting = false
}

// processSize is what the Go runtime has of the system, in octets, without what it has given back.
func processSize() uint64 {
	s := []gauge.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	gauge.Read(s)
	return s[0].Value.Uint64() - s[1].Value.Uint64()
}

// How much garbage the collector lets come together before it works, as a part of what is in use (GOGC):
// collectorRoom octets, within bounds. With few sessions logins cost a twentieth less processor time than
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
