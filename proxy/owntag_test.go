package proxy

import "testing"

// TestTagCounter renders tags in order and out of it: each is what ownTag says, and reads as its number.
func TestTagCounter(t *testing.T) {
	var tags tagCounter
	for _, from := range []uint64{1, 30, 36*36 - 3, 5, 1<<40 - 7, 1<<64 - 91} {
		for own := from; own < from+90; own++ {
			tag := tags.render(own)
			if want := ownTag(nil, own); string(tag) != string(want) {
				t.Fatalf("%d is %q in place of %q", own, tag, want)
			}
			if got, ok := parseOwn(tag); !ok || got != own {
				t.Fatalf("%q is %d, %v", tag, got, ok)
			}
		}
	}
}
