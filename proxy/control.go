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
	clock    *clock     // is told of each read; nil for none
	signals  signal
	raised   atomic.Uint32 // signals, for whoever only looks
	deadline time.Time     // that the connection has
	final    time.Time     // the reader ends then, whatever it waits for; zero for never

	// What follows lets the reader wait without a goroutine.
	lot    *lot
	run    func()    // the reader, on a goroutine of its own
	parked bool      // the reader has no goroutine: whoever clears this starts one
	due    time.Time // parked: when it is to be woken at the latest
	place  int       // in the lot's agenda, from 1; 0 outside it
	fd     int       // that the poller knows, plus 1; 0 for none

	// Of the reader.
	began   time.Time // since when it waits, also while it was parked; zero where it does not wait
	until   time.Time // with errQuiet: when its time is over
	stop    signal    // with errQuiet: what interrupts it
	resumed bool      // it was parked, and has read nothing since
}

var longPast = time.Unix(1, 0)

// raise adds signals and interrupts the reader.
func (c *control) raise(s signal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.signals |= s
	c.raised.Store(uint32(c.signals))
	c.deadline = longPast
	c.conn.SetReadDeadline(longPast)
	c.resume()
}

// park leaves the reader, whose goroutine is about to end, to the lot; false where it has to go on, because
// a signal is up for which it would have to be woken at once, or the lot cannot watch its connection. Behind
// true the goroutine must not touch anything of the reader's any more: another one may be doing so.
func (c *control) park() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.signals&c.stop != 0 || !c.final.IsZero() {
		return false
	}
	c.parked = true
	if c.lot.add(c, c.until) != nil {
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
	go c.run()
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
	c.final = time.Now().Add(d)
	if c.deadline.IsZero() || c.deadline.After(c.final) {
		c.deadline = c.final
		c.conn.SetReadDeadline(c.final)
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
	at := now.Add(wait)
	if !c.final.IsZero() {
		if !now.Before(c.final) {
			return sigLimit
		}
		if at.After(c.final) {
			at = c.final
		}
	}
	if !c.deadline.After(now) || c.deadline.Before(at.Add(-wait/16)) || c.deadline.After(at) {
		c.deadline = at
		c.conn.SetReadDeadline(at)
	}
	return 0
}
