//go:build !race

package proxy

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// TestRelayOverTLSDoesNotAllocate pins the same as TestRelayDoesNotAllocate where the client has TLS:
// nobody but crypto/tls allocates. Every single allocation is recorded with its stack for that.
func TestRelayOverTLSDoesNotAllocate(t *testing.T) {
	awakeOnly(t)
	defer recordAllocations()()
	for _, c := range conversations() {
		t.Run(c.name, func(t *testing.T) {
			nc := road(t, []byte(c.data), "imapgate", ImplicitTLS)
			for _, one := range c.talks {
				one.check(t, nc)
			}
			hear := make([]byte, 64<<10)
			rounds := func(n int) {
				for range n {
					if err := c.round(nc, hear); err != nil {
						t.Fatal(err)
					}
				}
			}
			rounds(300)
			before := allocations()
			rounds(c.rounds)
			n, where := allocations().beyond(before)
			if n/int64(c.rounds) > 0 { // as testing.AllocsPerRun rounds; a pool may lose something now and then
				t.Errorf("%d allocations in %d rounds:\n%s", n, c.rounds, strings.Join(where, "\n"))
			}
		})
	}
}

// TestAllocationsAreSeen shows that the test above would notice one.
func TestAllocationsAreSeen(t *testing.T) {
	defer recordAllocations()()
	before := allocations()
	for range 100 {
		wasted = make([]byte, 100)
	}
	if n, where := allocations().beyond(before); n < 100 || !strings.Contains(strings.Join(where, "\n"), "TestAllocationsAreSeen") {
		t.Errorf("%d allocations are seen of 100:\n%s", n, strings.Join(where, "\n"))
	}
}

var wasted []byte

// recordAllocations has the runtime record each allocation, until the function that it returns is called.
// With one processor there is only one count of octets up to the next one that is recorded, which is run
// down here.
func recordAllocations() (end func()) {
	processors, rate := runtime.GOMAXPROCS(1), runtime.MemProfileRate
	runtime.MemProfileRate = 1
	for range 64 {
		wasted = make([]byte, 1<<20)
	}
	return func() {
		runtime.MemProfileRate = rate
		runtime.GOMAXPROCS(processors)
	}
}

// allocated counts allocations by stack.
type allocated map[[32]uintptr]int64

func allocations() allocated {
	for range 3 { // the profile is that of the garbage collection before the last
		runtime.GC()
	}
	records := make([]runtime.MemProfileRecord, 10_000)
	n, ok := runtime.MemProfile(records, true)
	for !ok {
		records = make([]runtime.MemProfileRecord, 2*n)
		n, ok = runtime.MemProfile(records, true)
	}
	all := make(allocated, n)
	for _, r := range records[:n] {
		all[r.Stack0] += r.AllocObjects
	}
	return all
}

// beyond counts what there is more than before, and says where. What crypto/tls has allocated is left out,
// and what looking at the allocations has.
func (all allocated) beyond(before allocated) (sum int64, where []string) {
	for stack, n := range all {
		more := n - before[stack]
		if place := allocator(stack); more > 0 && !strings.HasPrefix(place, "crypto/") && !strings.Contains(place, "proxy.allocations:") {
			sum += more
			where = append(where, fmt.Sprintf("%d %s", more, place))
		}
	}
	slices.Sort(where)
	return sum, where
}

// allocator is the innermost function that is no part of what everybody allocates with.
func allocator(stack [32]uintptr) string {
	depth := slices.Index(stack[:], 0)
	if depth < 0 {
		depth = len(stack)
	}
	frames := runtime.CallersFrames(stack[:depth])
	for {
		f, more := frames.Next()
		name := f.Function
		if !slices.ContainsFunc([]string{"runtime.", "bytes.", "sync.", "internal/"}, func(p string) bool { return strings.HasPrefix(name, p) }) {
			return fmt.Sprintf("%s:%d", name, f.Line)
		}
		if !more {
			return "runtime"
		}
	}
}
