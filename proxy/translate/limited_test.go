package translate

import (
	"slices"
	"testing"

	"github.com/imapgate/imapgate/proxy/wire"
)

// A COPY that a server cuts short says OK with MESSAGELIMIT (RFC 9738) and, without COPYUID, not what
// it has copied. MOVE took that for a whole COPY and expunged messages of which there was no copy.
func TestMoveAfterLimitedCopy(t *testing.T) {
	f := newFake(t, plusCaps, 11, 12, 13)
	f.instead = map[int]wire.Status{2: {Type: "OK", Code: "MESSAGELIMIT", Args: "2 12", Text: "done"}}
	if err := f.do("UID MOVE", "11:13", "Archive"); err != nil {
		t.Fatal(err)
	}
	if len(f.box) != 3 || f.answers != 1 {
		t.Errorf("%d of 3 messages are left, %d answers", len(f.box), f.answers)
	}
	if end := f.log[len(f.log)-1]; end != "C: a NO Some messages were not copied and stay where they are" {
		t.Errorf("the answer is %q", end)
	}
	if slices.ContainsFunc(f.box, func(s *stored) bool { return s.has(`\Deleted`) }) {
		t.Error("a message that was not copied is marked")
	}
}
