package translate

import (
	"errors"
	"testing"

	"github.com/imapgate/imapgate/proxy/wire"
)

// A removal that no command of ours sees makes what is known by number worthless.
func TestBinaryNumbersSlip(t *testing.T) {
	gone := wire.Numbered(1, "EXPUNGE")
	b := &binaryFetch{parts: []string{"1"}, known: map[uint32][]partInfo{2: {{size: 7}}}}
	b.Watch(gone)
	b.follow(gone)
	if err := b.refusal(); err != nil || b.known[1] == nil || b.known[1][0].size != 7 {
		t.Fatalf("known %v, %v", b.known, err)
	}
	b.Watch(gone)
	var refused *Refused
	if err := b.refusal(); !errors.As(err, &refused) || refused.Status.Code != "EXPUNGEISSUED" {
		t.Errorf("%v", err)
	}
	if b.follow(wire.Numbered(1, "FETCH")); len(b.known) != 0 {
		t.Errorf("known %v", b.known)
	}
}
