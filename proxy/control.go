package proxy

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/imapgate/imapgate/proxy/wire"
)

// A signal is what an operator, or the server's end, wants of a session. It is looked at between
// messages; kick also within one.
type signal uint8

const (
	sigDrain  signal = 1 << iota // say BYE as soon as every command is answered
	sigPause                     // read no next command
	sigKick                      // end now
	sigStop                      // the session ends: the other direction is over
	sigResume                    // the pause is over
	sigLimit                     // from arm: the time of limit is over
)

// A control interrupts the reader of one connection. The order is the whole point: the reader sets its
// deadline, then looks at the signal, then reads; who signals sets the signal, then the deadline. Both
// under the same lock, so that no signal is ever slept through.
type control struct {
	mu       sync.Mutex
	conn     *wire.Conn
	pipe     *wire.Pipe // what is read goes there; nil for the buffer that is given
	signals  signal
	raised   atomic.Uint32 // signals, for whoever only looks
	deadline moment        // that the connection has
	final    moment        // the reader ends then, whatever it waits for; 0 for never

	// What follows lets the reader wait without a goroutine.
	lot    *lot
	reader reader
	due    moment // from errQuiet on: when it is to be woken at the latest
	place  int32  // in the lot's agenda, from 1; 0 outside it
	fd     int32  // that the poller knows, plus 1; 0 for none
	known  bool   // it has been in the lot
	parked bool   // the reader has no goroutine: whoever clears this starts one

	// Of the reader.
	stop    signal // with errQuiet: what interrupts it
	resumed bool   // it was parked, and has read nothing since
	began   moment // since when it waits, also while it was parked; 0 where it does not wait
}

// A reader reads the connection of a control, on a goroutine of its own.
type reader interface{ run() }

var longPast = time.Unix(1, 0)

// raise adds signals and interrupts the reader.
func (c *control) raise(s signal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.signals |= s
	c.raised.Store(uint32(c.signals))
	c.deadline = past
	c.conn.SetReadDeadline(longPast)
	c.resume()
}

// park leaves the reader, whose goroutine is about to end, to the lot; false where it has to go on, because
// a signal is up for which it would have to be woken at once, or the lot cannot watch its connection. Behind
// true the goroutine must not touch anything of the reader's any more: another one may be doing so.
func (c *control) park() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.signals&c.stop != 0 || c.final != 0 {
		return false
	}
	c.parked = true
	if c.lot.add(c) != nil {
		c.parked, c.lot = false, nil
		return false
	}
	return true
}

// wake gives the reader a goroutine, unless it has one. Anybody may call it at any time.
func (c *control) wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.resume()
}

// resume is wake with the lock held.
func (c *control) resume() {
	if !c.parked {
		return
	}
	c.parked, c.resumed = false, true
	c.lot.remove(c)
	go c.reader.run()
}

// clear removes signals.
func (c *control) clear(s signal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.signals &^= s
	c.raised.Store(uint32(c.signals))
}

func (c *control) get() signal { return signal(c.raised.Load()) }

// limit leaves the reader no more than d, whatever it waits for.
func (c *control) limit(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := time.Now().Add(d)
	c.final = momentOf(at)
	if c.deadline == 0 || c.deadline > c.final {
		c.deadline = c.final
		c.conn.SetReadDeadline(at)
	}
	c.resume()
}

// arm sets a read deadline that is wait away, unless one of the signals in stop is up: those it returns.
// To spare timers it leaves a deadline that is nearly as far, but none that is farther.
func (c *control) arm(now time.Time, wait time.Duration, stop signal) signal {
	c.mu.Lock()
	defer c.mu.Unlock()
	if up := c.signals & stop; up != 0 {
		return up
	}
	from := momentOf(now)
	at := from + moment(wait)
	if c.final != 0 {
		if from >= c.final {
			return sigLimit
		}
		at = min(at, c.final)
	}
	if c.deadline <= from || c.deadline < at-moment(wait/16) || c.deadline > at {
		c.deadline = at
		c.conn.SetReadDeadline(at.time())
	}
	return 0
}
