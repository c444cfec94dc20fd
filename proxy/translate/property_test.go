package translate

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/imapgate/imapgate/proxy/wire"
)

// A world is one move with everything that may go wrong around it.
type world struct {
	t         testing.TB
	caps      string
	uids      []uint32
	userMarks []uint32
	head, set string
	faults    map[int]fault
	others    map[int]func(*fake)
	touched   []uint32 // UIDs whose marks or existence another session changes
	removed   []uint32 // UIDs that another session may remove
	tune      func(*fake)
	without   MoveWithoutUIDPlus
	again     fault // of what is done when the user comes back first
}

func (w *world) run() {
	w.t.Helper()
	f := newFake(w.t, w.caps, w.uids...)
	for _, uid := range w.userMarks {
		f.flag(uid, `\Deleted`)
	}
	f.faults = w.faults
	f.peers.Policy.MoveWithoutUIDPlus = w.without
	if w.others != nil {
		f.before = w.others
	}
	if w.tune != nil {
		w.tune(f)
	}
	err := f.do(w.head, w.set, "Archive")
	failed := w.t.Failed()
	w.checkAnswer(f, err)
	w.checkMail(f)
	w.comeBack(f)
	w.checkMarks(f, err)
	if f.early {
		w.t.Error("a message was removed before COPYUID was told")
	}
	if w.t.Failed() && !failed {
		w.t.Logf("%s %s on %q with %v marked %v faults %v\n%s", w.head, w.set, w.caps, w.uids, w.userMarks, w.faults, strings.Join(f.log, "\n"))
	}
}

// checkAnswer: exactly one answer, or an error and none.
func (w *world) checkAnswer(f *fake, err error) {
	want := 1
	if err != nil {
		want = 0
	}
	if f.answers != want {
		w.t.Errorf("%d answers, error %v", f.answers, err)
	}
}

// comeBack lets the user select the mailbox again, later and at a backend that is well.
func (w *world) comeBack(f *fake) {
	if !f.memory.marks.Owes() {
		return
	}
	f.faults, f.before, f.during = nil, nil, nil
	for _, d := range f.marks.debts {
		if d.busy {
			w.t.Error("a mailbox is still taken")
		}
		d.since = d.since.Add(-2 * lateExpunge)
	}
	answers := f.answers
	f.faults = map[int]fault{f.step + 2: w.again}
	if err := f.doMessage(wire.Command("SELECT", wire.Word("INBOX"))); err != nil && w.again != lostBefore && w.again != lostAfter {
		w.t.Error(err)
	}
	f.faults, f.answers = nil, answers
	if !f.memory.marks.Owes() {
		return
	}
	if err := f.doMessage(wire.Command("SELECT", wire.Word("INBOX"))); err != nil {
		w.t.Error(err)
	}
	f.answers = answers
	if f.marks.octets != 0 || len(f.marks.debts) != 0 || f.memory.marks.Owes() {
		w.t.Errorf("%d debts of %d octets are left", len(f.marks.debts), f.marks.octets)
	}
}

// checkMail: each message is in the source, in the other mailbox, or in both.
func (w *world) checkMail(f *fake) {
	for _, uid := range w.uids {
		in := func(s *stored) bool { return s.body == int(uid) }
		if !slices.ContainsFunc(f.box, in) && !slices.ContainsFunc(f.other["Archive"], in) && !slices.Contains(w.removed, uid) && !f.raced[uid] {
			w.t.Errorf("UID %d is lost", uid)
		}
	}
}

// checkMarks: the user's marks are as they were, and ours are gone, except where nobody was left to
// take them back, and where marks are what the client is promised.
func (w *world) checkMarks(f *fake, err error) {
	log := strings.Join(f.log, "\n")
	for _, s := range f.box {
		users := slices.Contains(w.userMarks, s.uid)
		if slices.Contains(w.touched, s.uid) || !slices.Contains(w.uids, s.uid) {
			continue
		}
		if users && !s.has(`\Deleted`) {
			w.t.Errorf("the user's mark on UID %d is gone", s.uid)
		}
		ours := !users && s.has(`\Deleted`)
		if ours && !f.copiedOK[s.uid] {
			w.t.Errorf("UID %d is marked and was not copied", s.uid)
		}
		promised := w.without == "" && !strings.Contains(w.caps, "UIDPLUS") // XGWMOVE shows marks
		if ours && err == nil && !promised && !w.rollbackBroken(f) {
			w.t.Errorf("our mark on UID %d is left\n%s", s.uid, log)
		}
	}
}

// rollbackBroken reports whether the STORE that takes marks back was itself refused.
func (w *world) rollbackBroken(f *fake) bool {
	step := 0
	for _, line := range f.log {
		if strings.HasPrefix(line, "S: ") {
			step++
			if strings.Contains(line, "-FLAGS") && w.faults[step] != none {
				return true
			}
		}
	}
	return false
}

// randomWorld makes a mailbox, a command, faults and other sessions out of one seed.
func randomWorld(t testing.TB, seed uint64) *world {
	r := rand.New(rand.NewPCG(seed, 1))
	w := &world{t: t, faults: map[int]fault{}, others: map[int]func(*fake){}}
	w.caps = []string{plusCaps, plusCaps, plusCaps, "IMAP4rev1", "IMAP4rev1 MOVE"}[r.IntN(5)]
	w.head = []string{"XGWMOVE", "UID XGWMOVE"}[r.IntN(2)]
	if r.IntN(3) == 0 {
		w.caps, w.head = "IMAP4rev1", []string{"MOVE", "UID MOVE"}[r.IntN(2)]
		w.without = []MoveWithoutUIDPlus{MoveDance, MoveIfAlone}[r.IntN(2)]
		w.again = fault(r.IntN(int(half) + 1))
	}
	uid := uint32(0)
	for range 1 + r.IntN(12) {
		uid += uint32(1 + r.IntN(3))
		w.uids = append(w.uids, uid)
		if r.IntN(4) == 0 {
			w.userMarks = append(w.userMarks, uid)
		}
	}
	w.set = randomSet(r, uid)
	for range r.IntN(3) {
		w.faults[1+r.IntN(11)] = fault(r.IntN(int(half) + 1))
	}
	for range r.IntN(4) {
		w.disturb(r)
	}
	loud, vanish, info, noCode := r.IntN(2) == 0, r.IntN(3) == 0, r.IntN(4) == 0, r.IntN(4) == 0
	w.tune = func(f *fake) { f.loud, f.vanish, f.infoUID, f.noCode = loud, vanish, info, noCode }
	return w
}

// disturb lets another session do something before a step. It removes messages for good only after
// they were copied, or notes that it did.
func (w *world) disturb(r *rand.Rand) {
	uid := w.uids[r.IntN(len(w.uids))]
	step := 1 + r.IntN(10)
	w.touched = append(w.touched, uid)
	switch r.IntN(4) {
	case 0:
		w.others[step] = func(f *fake) { f.deliver(`\Deleted`) }
	case 1:
		w.others[step] = func(f *fake) { f.unflag(uid, `\Deleted`) }
	case 2:
		w.others[step] = func(f *fake) { f.flag(uid, `\Deleted`) }
	case 3:
		w.removed = append(w.removed, uid)
		w.others[step] = func(f *fake) { f.drop(uid) }
	}
}

func randomSet(r *rand.Rand, top uint32) string {
	var parts []string
	for range 1 + r.IntN(3) {
		bound := func() string {
			if r.IntN(5) == 0 {
				return "*"
			}
			return fmt.Sprint(1 + r.IntN(int(top)+2))
		}
		part := bound()
		if r.IntN(2) == 0 {
			part += ":" + bound()
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ",")
}

func TestMoveProperties(t *testing.T) {
	for seed := range uint64(8000) {
		randomWorld(t, seed).run()
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func FuzzMove(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) { randomWorld(t, seed).run() })
}
