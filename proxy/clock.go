package proxy

import (
	"math"
	"sync/atomic"
	"time"
)

// A clock tells the time of the last read from either side. What one read gave is not timed one by one:
// asking the system costs as much as parsing a short command. Whoever has waited for anything else than a
// read tells the clock.
type clock struct{ since atomic.Int64 } // nanoseconds after epoch

// epoch is where clocks count from; the difference to it is monotonic.
var epoch = time.Now()

// tell sets the clock.
func (c *clock) tell() { c.since.Store(int64(time.Since(epoch))) }

func (c *clock) now() time.Time { return epoch.Add(c.reading()) }

// reading is what the clock says, as the time since epoch: it costs less than now.
func (c *clock) reading() time.Duration { return time.Duration(c.since.Load()) }

// A moment is a time in little room: nanoseconds after epoch, 0 for none.
type moment int64

const past moment = math.MinInt64 // as a deadline: at once

func momentOf(t time.Time) moment { return moment(t.Sub(epoch)) }

func (m moment) time() time.Time {
	if m == 0 {
		return time.Time{}
	}
	return epoch.Add(time.Duration(m))
}
