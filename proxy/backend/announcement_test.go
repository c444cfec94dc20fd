package backend

import (
	"fmt"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"
)

// What is announced twice in the same words is read once, and never more than a few lists and none that is long are
// kept.
func TestAnnouncementsAreShared(t *testing.T) {
	var k memory
	say := func(list string) *Announcement { return k.announced([]byte(list)) }
	const ordinary = "IMAP4rev1 idle AUTH=XOAUTH2 AUTH=PLAIN"
	first := say(ordinary)
	if names(first.Caps) != "AUTH=PLAIN AUTH=XOAUTH2 IDLE IMAP4rev1" || strings.Join(first.Mechanisms, " ") != "PLAIN XOAUTH2" {
		t.Errorf("read as %v", first)
	}
	if say(ordinary) != first {
		t.Error("the same words are read twice")
	}
	if other := say("AUTH=PLAIN IDLE AUTH=XOAUTH2  IMAP4REV1"); other.Text != first.Text {
		t.Errorf("%q and %q are the same set", other.Text, first.Text)
	}
	for i := range 100 {
		say(fmt.Sprint("X", i))
		if n := len(k.lists); n > maxKnown {
			t.Fatalf("%d lists are kept", n)
		}
	}
	before := len(k.lists)
	if long := strings.Repeat("X", maxKnownText+1); len(say(long).Caps) != 1 || len(k.lists) != before {
		t.Error("a long list is kept")
	}
	long := strings.Repeat("hello", maxKnownText)
	for _, greeting := range []string{"hello", long, "hello"} {
		if got := k.greeted([]byte(greeting)); got != greeting || len(k.greeting) > maxKnownText {
			t.Errorf("a greeting of %d octets comes out with %d, %d are kept", len(greeting), len(got), len(k.greeting))
		}
	}
}

// What one session learns beyond a list is not learnt by the others that have it.
func TestAnnouncementsDoNotChange(t *testing.T) {
	var k memory
	shared := k.announced([]byte("IMAP4rev1 XGWMOVE"))
	more, less := shared.with(imap.CapIdle), shared.without("XGWMOVE")
	if names(shared.Caps) != "IMAP4rev1 XGWMOVE" || shared.Text != "IMAP4rev1 XGWMOVE" {
		t.Errorf("the shared list is %v", shared)
	}
	if more.Text != "IDLE IMAP4rev1 XGWMOVE" || less.Text != "IMAP4rev1" || names(less.Caps) != "IMAP4rev1" {
		t.Errorf("changed to %v and %v", more, less)
	}
}
