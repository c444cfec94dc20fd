package proxy

import (
	"testing"
	"unsafe"
)

// mostParked bounds what a session keeps while both of its readers are parked in IDLE, in octets, besides what net and
// crypto/tls have of its connections: each is paid for by thousands of sessions. Each piece of memory ends at a size of
// Go's allocator: 896, 416, 176 and 80 octets.
const mostParked = 896 + 416 + 176 + 80

// TestParkedSessionIsSmall wants a session to keep no more than it has to while nothing is to be read, and to go on
// from there.
func TestParkedSessionIsSmall(t *testing.T) {
	c := newCrowd(t, nil)
	g, err := c.guest("u", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer g.raw.Close()
	for range 2 {
		if err := g.rest(); err != nil {
			t.Fatal(err)
		}
		c.parked(2)
		s := c.srv.registry.all()[0]
		s.up.mu.Lock()
		s.down.mu.Lock()
		if s.upWork != nil || s.in != nil || s.b.Out != nil || s.pending.staging != nil {
			t.Error("up keeps what it reads with")
		}
		if s.downWork != nil || s.b.In != nil {
			t.Error("down keeps what it reads with")
		}
		if s.arrival != nil {
			t.Error("what the login has asked for is kept")
		}
		if len(s.pending.queue) != 1 || cap(s.pending.queue) != 1 || s.pending.queue[0].special != nil {
			t.Errorf("%d commands are owed, with room for %d", len(s.pending.queue), cap(s.pending.queue))
		}
		size := unsafe.Sizeof(*s) + unsafe.Sizeof(*s.client) + unsafe.Sizeof(*s.b) + unsafe.Sizeof(*s.pending.queue[0])
		if size > mostParked {
			t.Errorf("it keeps %d octets, %d at most are expected: session %d, client %d, backend %d, command %d", size, mostParked,
				unsafe.Sizeof(*s), unsafe.Sizeof(*s.client), unsafe.Sizeof(*s.b), unsafe.Sizeof(*s.pending.queue[0]))
		}
		s.down.mu.Unlock()
		s.up.mu.Unlock()
		if err := g.rest(); err != nil {
			t.Fatal(err)
		}
	}
	c.end()
	if err := g.bye(); err != nil {
		t.Error(err)
	}
}
