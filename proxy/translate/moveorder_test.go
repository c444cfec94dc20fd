package translate

import (
	"strings"
	"testing"

	"github.com/imapgate/imapgate/proxy/wire"
)

// TestMoveOrderBound: what is too much to be held passes, in its order and without loss.
func TestMoveOrderBound(t *testing.T) {
	for _, c := range []struct {
		name string
		line *wire.Message
		n    int
	}{
		{"many", wire.Numbered(1, "EXPUNGE"), 2 * maxOrdered},
		{"long", wire.Data("VANISHED", wire.Word(strings.Repeat("1234567,", 50_000)+"1")), 10},
	} {
		f := newFake(t, "IMAP4rev1 MOVE")
		h := &holdBack{x: f}
		passed := 0
		for range c.n {
			v, err := h.sink(c.line)
			if err != nil {
				t.Fatal(err)
			}
			if v == Pass {
				passed++
			}
			if len(h.held) > maxOrdered || h.octets > maxOrderedOctets && len(h.held) > 0 {
				t.Fatalf("%s: %d held, %d octets", c.name, len(h.held), h.octets)
			}
		}
		if !h.over || passed == 0 || passed+len(f.log) != c.n {
			t.Errorf("%s: %d passed, %d were held and let go, of %d", c.name, passed, len(f.log), c.n)
		}
	}
}
