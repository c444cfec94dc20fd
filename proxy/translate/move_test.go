package translate

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/imapgate/imapgate/proxy/wire"
)

const plusCaps = "IMAP4rev1 UIDPLUS"

// A conversation is one client command, run on a fake backend, and all that both sides see of it.
type conversation struct {
	name   string
	caps   string
	uids   []uint32
	before func(*fake)
	head   string
	set    string
	to     string // Archive by default
	want   string
	source []uint32 // what is left
	marked []uint32 // what is left with \Deleted
	copies int
}

func (c conversation) run(t *testing.T) {
	f := newFake(t, c.caps, c.uids...)
	if c.before != nil {
		c.before(f)
	}
	to := c.to
	if to == "" {
		to = "Archive"
	}
	if err := f.do(c.head, c.set, to); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(f.log, "\n"); got != strings.TrimSpace(c.want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, strings.TrimSpace(c.want))
	}
	var source, marked []uint32
	for _, s := range f.box {
		source = append(source, s.uid)
		if s.has(`\Deleted`) {
			marked = append(marked, s.uid)
		}
	}
	if !slices.Equal(source, c.source) || !slices.Equal(marked, c.marked) {
		t.Errorf("source %v marked %v, want %v marked %v", source, marked, c.source, c.marked)
	}
	if n := len(f.other["Archive"]); n != c.copies {
		t.Errorf("%d copies, want %d", n, c.copies)
	}
	if f.answers != 1 || f.early {
		t.Errorf("%d answers, EXPUNGE before COPYUID: %v", f.answers, f.early)
	}
}

func TestMoveConversations(t *testing.T) {
	for _, c := range slices.Concat(moveConversations(), moveTroubles(), moveSurprises(), xgwConversations()) {
		t.Run(c.name, c.run)
	}
}

func TestArguments(t *testing.T) {
	long := strings.Repeat("x", 1001)
	for _, args := range [][]wire.Token{
		nil,
		{wire.Word("1")},
		{wire.Word("1"), wire.Word("a"), wire.Word("b")},
		{wire.Word("1,"), wire.Word("a")},
		{wire.String("1"), wire.Word("a")},
		append([]wire.Token{wire.Word("1")}, wire.List()...),
	} {
		f := newFake(t, plusCaps, 5)
		if err := f.doMessage(wire.Command("UID MOVE", args...)); err != nil {
			t.Fatal(err)
		}
		if len(f.log) != 1 || !strings.HasPrefix(f.log[0], "C: a BAD ") {
			t.Errorf("%s: %q", render(wire.Command("UID MOVE", args...)), f.log)
		}
	}
	utf8 := wire.Token{Kind: wire.Quoted, Text: []byte("été"), Glued: true}
	for _, c := range []struct {
		in   wire.Token
		kind wire.Kind
	}{
		{wire.Word("Archive"), wire.Quoted},
		{wire.Token{Kind: wire.Literal, Size: 2, NonSync: true, Text: []byte(`a"`)}, wire.Quoted},
		{utf8, wire.Quoted},
		{wire.Token{Kind: wire.Quoted, Text: []byte(long)}, wire.Literal},
	} {
		got := mailboxToken(c.in)
		if got.Kind != c.kind || got.Value() != c.in.Value() || got.NonSync || got.Glued {
			t.Errorf("mailboxToken(%+v) = %+v", c.in, got)
		}
	}
}

// TestFaults breaks each step in each way and looks at what is left.
func TestFaults(t *testing.T) {
	for _, way := range []world{
		{caps: plusCaps, head: "UID XGWMOVE"},
		{caps: plusCaps, head: "UID MOVE"},
		{caps: "IMAP4rev1", head: "UID XGWMOVE"},
		{caps: "IMAP4rev1 MOVE", head: "UID XGWMOVE"},
		{caps: "IMAP4rev1", head: "UID MOVE", without: MoveDance},
		{caps: "IMAP4rev1", head: "UID MOVE", without: MoveIfAlone},
	} {
		for step := 1; step <= 9; step++ {
			for _, wrong := range []fault{answerNO, answerBAD, lostBefore, lostAfter, half} {
				for _, marks := range [][]uint32{{5, 9}, {5}, nil} {
					w := way
					w.t, w.uids, w.userMarks, w.set = t, []uint32{3, 5, 8, 9}, marks, "3:8"
					w.faults = map[int]fault{step: wrong}
					w.run()
				}
			}
		}
	}
}

func TestLostAfterCopyIsAnError(t *testing.T) {
	f := newFake(t, plusCaps, 5)
	f.faults[2] = lostAfter
	if err := f.do("MOVE", "1", "Archive"); !errors.Is(err, errGone) {
		t.Errorf("error %v", err)
	}
	if len(f.box) != 1 || len(f.other["Archive"]) != 1 || f.answers != 0 {
		t.Errorf("%d in source, %d copies, %d answers", len(f.box), len(f.other["Archive"]), f.answers)
	}
}

// TestChunks moves so many scattered messages that each step takes several commands, and lets a later
// COPY fail: what was copied before is moved to its end.
func TestChunkedMove(t *testing.T) {
	var uids []uint32
	for i := uint32(0); i < 3000; i++ {
		uids = append(uids, 1000001+2*i)
	}
	f := newFake(t, plusCaps, uids...)
	if err := f.do("MOVE", "1:*", "Archive"); err != nil {
		t.Fatal(err)
	}
	if len(f.box) != 0 || len(f.other["Archive"]) != 3000 || f.early || strings.Count(strings.Join(f.log, "\n"), "COPYUID") != 1 {
		t.Errorf("%d left, %d copies, early %v", len(f.box), len(f.other["Archive"]), f.early)
	}
	f = newFake(t, plusCaps, uids...)
	f.faults[4] = answerNO
	if err := f.do("MOVE", "1:*", "Archive"); err != nil {
		t.Fatal(err)
	}
	if n := len(f.other["Archive"]); n == 0 || n == 3000 || len(f.box)+n != 3000 {
		t.Errorf("%d left, %d copies", len(f.box), n)
	}
	if end := f.log[len(f.log)-2:]; !slices.Equal(end, []string{"R: partial", "C: a NO [OVERQUOTA] no"}) {
		t.Errorf("end: %q", end)
	}
}

// TestBounds: a backend cannot make a translation hold more than its limit.
func TestBounds(t *testing.T) {
	c := collector{uids: make([]uint32, MaxMessages)}
	if v, err := c.sink(wire.Data("SEARCH", wire.Word("7"))); v != Drop || err != nil || !c.tooMany || len(c.uids) != MaxMessages {
		t.Errorf("%v %v, %d UIDs", v, err, len(c.uids))
	}
	set, _ := ParseSet("1:*")
	r := resolver{set: set, exists: 9, found: make(map[uint32]bool)}
	for uid := range uint32(MaxMessages) {
		r.found[uid+2] = false
	}
	f := newFake(t, plusCaps, 1)
	if v, err := r.sink(f.fetched(f.box[0])); v != Drop || err != nil || !r.tooMany || len(r.found) != MaxMessages {
		t.Errorf("%v %v, %d messages", v, err, len(r.found))
	}
	var refused *Refused
	if err := r.check(wire.Status{Type: "OK"}); !errors.As(err, &refused) || refused.Error() != "NO [LIMIT] Too many messages for one command" {
		t.Errorf("check: %v", err)
	}
}

// TestNoMailbox: the session's state table refuses this before; the translation does not rely on it.
func TestNoMailbox(t *testing.T) {
	f := newFake(t, plusCaps, 5)
	f.closed = true
	if err := f.do("MOVE", "1", "Archive"); err != nil || !slices.Equal(f.log, []string{"C: a BAD No mailbox is selected"}) {
		t.Errorf("%q, %v", f.log, err)
	}
}
