//go:build !race

package proxy

import "testing"

// maxLoginAllocations is how many pieces of memory a session from its beginning to LOGOUT may take, net's and those
// of what a session keeps among them.
const maxLoginAllocations = 110

// TestLoginAllocations pins what a session takes beyond what its client and backend take by themselves.
func TestLoginAllocations(t *testing.T) {
	busyOnly(t)
	count := func(way string) float64 {
		once := logins(t, way, NoTLS)
		for range 50 { // what is shared is made
			once()
		}
		return testing.AllocsPerRun(200, once)
	}
	if n := count("imapgate") - count("direct"); n > maxLoginAllocations {
		t.Errorf("a session takes %v pieces of memory, more than %d", n, maxLoginAllocations)
	} else {
		t.Logf("%v pieces of memory", n)
	}
}
