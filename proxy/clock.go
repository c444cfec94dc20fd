package proxy

import (
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

func (c *clock) now() time.Time { return epoch.Add(time.Duration(c.since.Load())) }
