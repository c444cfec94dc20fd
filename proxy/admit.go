package proxy

import (
	"net/netip"
	"slices"
	"sync"
	"time"
)

// farewellsPerSecond bounds how many clients over the limit of their address are told why. The others are
// just closed: an attack must not make us write.
const farewellsPerSecond = 20

// A tally counts what is open, by key. Its zero value counts nothing yet.
type tally[K comparable] struct {
	mu   sync.Mutex
	open map[K]int
}

// take adds one where fewer than most are open; a negative most is no limit. The zero key is not counted.
func (t *tally[K]) take(key K, most int) bool {
	var zero K
	if key == zero {
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if most >= 0 && t.open[key] >= most {
		return false
	}
	if t.open == nil {
		t.open = make(map[K]int)
	}
	t.open[key]++
	return true
}

// leave takes back one take that was true.
func (t *tally[K]) leave(key K) {
	var zero K
	if key == zero {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open[key]--; t.open[key] <= 0 {
		delete(t.open, key)
	}
}

// block is what connections of an address are counted as: the address itself, or the /64 that one IPv6
// customer has at least. It is zero for what is not counted.
func (l *Limits) block(client netip.Addr) netip.Prefix {
	exempt := func(p netip.Prefix) bool { return p.Contains(client) }
	if !client.IsValid() || slices.ContainsFunc(l.Exempt, exempt) {
		return netip.Prefix{}
	}
	bits := client.BitLen()
	if client.Is6() {
		bits = 64
	}
	p, _ := client.Prefix(bits) // fails only for more bits than there are
	return p
}

// admit counts the client against the limit of its address.
func (c *client) admit() error {
	limits := &c.opts.Limits
	block := limits.block(c.addr.Addr())
	if c.srv.addresses.take(block, limits.PerIP) {
		c.block = block
		return nil
	}
	if c.ln.TLS != ImplicitTLS && c.srv.farewells.allowed(time.Now()) {
		c.send("*", bye("UNAVAILABLE", "Too many connections from your address"))
	}
	return &Refusal{Reason: "address_limit"}
}

// farewells bounds a rate.
type farewells struct {
	mu    sync.Mutex
	since time.Time
	said  int
}

func (f *farewells) allowed(now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now.Sub(f.since) >= time.Second {
		f.since, f.said = now, 0
	}
	f.said++
	return f.said <= farewellsPerSecond
}
