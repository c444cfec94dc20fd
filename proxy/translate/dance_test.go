package translate

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imapgate/imapgate/proxy/wire"
)

func (c conversation) without(w MoveWithoutUIDPlus) conversation {
	before := c.before
	c.caps = "IMAP4rev1"
	c.before = func(f *fake) {
		f.peers.Policy.MoveWithoutUIDPlus = w
		if before != nil {
			before(f)
		}
	}
	return c
}

func danceConversations() []conversation {
	marked := func(uids ...uint32) func(*fake) {
		return func(f *fake) {
			for _, uid := range uids {
				f.flag(uid, `\Deleted`)
			}
		}
	}
	return []conversation{
		conversation{
			name: "nothing else is marked", uids: []uint32{5, 9}, head: "MOVE", set: "1",
			want: `
S: FETCH 1 (UID FLAGS)
S: UID COPY 5 "Archive"
S: UID STORE 5 +FLAGS.SILENT (\Deleted)
S: UID SEARCH DELETED
S: EXPUNGE
C: * 1 EXPUNGE
S: UID SEARCH UID 5
C: a OK MOVE completed`,
			source: []uint32{9}, copies: 1,
		}.without(MoveDance),
		conversation{
			name: "the dance, at a backend that tells flags", uids: []uint32{5, 9, 11},
			before: func(f *fake) { marked(9, 11)(f); f.loud = true }, head: "UID MOVE", set: "5",
			want: `
S: UID FETCH 5 (UID FLAGS)
S: UID COPY 5 "Archive"
S: UID STORE 5 +FLAGS.SILENT (\Deleted)
S: UID SEARCH DELETED
S: UID STORE 9,11 -FLAGS.SILENT (\Deleted)
S: EXPUNGE
C: * 1 EXPUNGE
S: UID STORE 9,11 +FLAGS.SILENT (\Deleted)
S: UID FETCH 9,11 (UID FLAGS)
C: * 1 FETCH (UID 9 FLAGS (\Deleted))
C: * 2 FETCH (UID 11 FLAGS (\Deleted))
S: UID SEARCH UID 5
C: a OK UID MOVE completed`,
			source: []uint32{9, 11}, marked: []uint32{9, 11}, copies: 1,
		}.without(MoveDance),
		conversation{
			name: "the marks would not go away", uids: []uint32{5, 9},
			before: func(f *fake) { marked(9)(f); f.faults[5] = answerNO }, head: "UID MOVE", set: "5",
			want: `
S: UID FETCH 5 (UID FLAGS)
S: UID COPY 5 "Archive"
S: UID STORE 5 +FLAGS.SILENT (\Deleted)
S: UID SEARCH DELETED
S: UID STORE 9 -FLAGS.SILENT (\Deleted)
S: UID STORE 9 +FLAGS.SILENT (\Deleted)
S: UID STORE 5 -FLAGS.SILENT (\Deleted)
S: UID FETCH 5 (UID FLAGS)
C: * 1 FETCH (UID 5 FLAGS ())
R: rollback
C: a NO [EXPUNGEISSUED] Some messages were copied but not removed`,
			source: []uint32{5, 9}, marked: []uint32{9}, copies: 1,
		}.without(MoveDance),
		conversation{
			name: "marks that do not stick are not followed by EXPUNGE", uids: []uint32{5, 9},
			before: func(f *fake) { marked(9)(f); f.before[4] = func(f *fake) { f.unflag(5, `\Deleted`) } }, head: "UID MOVE", set: "5",
			want: `
S: UID FETCH 5 (UID FLAGS)
S: UID COPY 5 "Archive"
S: UID STORE 5 +FLAGS.SILENT (\Deleted)
S: UID SEARCH DELETED
S: UID STORE 5 -FLAGS.SILENT (\Deleted)
S: UID FETCH 5 (UID FLAGS)
C: * 1 FETCH (UID 5 FLAGS ())
R: rollback
C: a NO [EXPUNGEISSUED] Some messages were copied but not removed`,
			source: []uint32{5, 9}, marked: []uint32{9}, copies: 1,
		}.without(MoveDance),
		conversation{
			name: "another message is marked", uids: []uint32{5, 9}, before: marked(9), head: "MOVE", set: "1",
			want: `
S: FETCH 1 (UID FLAGS)
S: UID SEARCH DELETED
C: a NO Other messages are marked as deleted; expunge them or remove the marks first`,
			source: []uint32{5, 9}, marked: []uint32{9},
		}.without(MoveIfAlone),
		conversation{
			name: "another message is marked while one is copied", uids: []uint32{5, 9},
			before: func(f *fake) { f.before[4] = marked(9) }, head: "MOVE", set: "1",
			want: `
S: FETCH 1 (UID FLAGS)
S: UID SEARCH DELETED
S: UID COPY 5 "Archive"
S: UID STORE 5 +FLAGS.SILENT (\Deleted)
S: UID SEARCH DELETED
S: UID STORE 5 -FLAGS.SILENT (\Deleted)
S: UID FETCH 5 (UID FLAGS)
C: * 1 FETCH (UID 5 FLAGS ())
R: rollback
C: a NO Other messages are marked as deleted; expunge them or remove the marks first`,
			source: []uint32{5, 9}, marked: []uint32{9}, copies: 1,
		}.without(MoveIfAlone),
		conversation{
			name: "only what is moved is marked", uids: []uint32{5, 9}, before: marked(5), head: "UID MOVE", set: "5",
			want: `
S: UID FETCH 5 (UID FLAGS)
S: UID SEARCH DELETED
S: UID COPY 5 "Archive"
S: UID STORE 5 +FLAGS.SILENT (\Deleted)
S: UID SEARCH DELETED
S: EXPUNGE
C: * 1 EXPUNGE
S: UID SEARCH UID 5
C: a OK UID MOVE completed`,
			source: []uint32{9}, copies: 1,
		}.without(MoveIfAlone),
		conversation{
			name: "no way", uids: []uint32{5}, head: "UID MOVE", set: "5",
			want: "C: a BAD Unknown command", source: []uint32{5},
		}.without(MoveNever),
	}
}

func TestDanceConversations(t *testing.T) {
	for _, c := range danceConversations() {
		t.Run(c.name, c.run)
	}
}

func danceFake(t *testing.T) *fake {
	f := newFake(t, "IMAP4rev1", 5, 9)
	f.peers.Policy.MoveWithoutUIDPlus = MoveDance
	f.flag(9, `\Deleted`)
	return f
}

func (f *fake) mustSelect(t *testing.T) {
	t.Helper()
	if err := f.doMessage(wire.Command("SELECT", wire.Word("inbox"))); err != nil {
		t.Fatal(err)
	}
}

// TestMarksWait: while an EXPUNGE whose answer was not seen may still come, marks are not set again.
func TestMarksWait(t *testing.T) {
	for _, lost := range []fault{lostBefore, lostAfter} {
		f := danceFake(t)
		f.faults[6] = lost
		if err := f.do("MOVE", "1", "Archive"); err == nil {
			t.Fatal("the backend was not lost")
		}
		f.mustSelect(t)
		if paid := f.message(9).has(`\Deleted`); paid != (lost == lostAfter) {
			t.Errorf("fault %d: marked is %v", lost, paid)
		}
		if lost == lostAfter {
			continue
		}
		if err := f.do("MOVE", "1", "Archive"); err != nil || f.log[len(f.log)-1] != "C: a NO [INUSE] Messages of this mailbox are being moved, try again" {
			t.Errorf("%v, %q", err, f.log)
		}
		for _, d := range f.marks.debts {
			d.since = d.since.Add(-lateExpunge)
		}
		f.mustSelect(t)
		if !f.message(9).has(`\Deleted`) || f.memory.marks.Owes() {
			t.Error("not paid")
		}
	}
}

// TestMarksElsewhere: a debt is one mailbox's, as long as its UIDs mean the same.
func TestMarksElsewhere(t *testing.T) {
	var m Marks
	riley, box := m.Of("riley", "old"), Mailbox{Name: "INBOX", UIDValidity: "5"}
	c := riley.claim(box)
	if c == nil || !c.owe([]uint32{7, 8, 10}, []uint32{3}) {
		t.Fatal("not taken")
	}
	if riley.claim(Mailbox{Name: "inbox", UIDValidity: "5"}) != nil {
		t.Error("taken twice")
	}
	c.release()
	for _, other := range []struct {
		u   *UserMarks
		box Mailbox
	}{
		{m.Of("sam", "old"), box}, {m.Of("riley", "new"), box}, {riley, Mailbox{Name: "Other", UIDValidity: "5"}},
	} {
		if c := other.u.claim(other.box); c == nil || c.debt.kept != nil {
			t.Errorf("%+v: %+v", other, c)
		} else {
			c.release()
		}
	}
	if len(m.debts) != 1 || !riley.Owes() {
		t.Errorf("%d debts", len(m.debts))
	}
	if c = riley.claim(Mailbox{Name: "INBOX", UIDValidity: "6"}); c == nil || c.debt.kept != nil {
		t.Errorf("another UIDVALIDITY: %+v", c)
	}
	c.release()
	if len(m.debts) != 0 || m.octets != 0 || riley.Owes() {
		t.Errorf("%d debts, %d octets", len(m.debts), m.octets)
	}
	if riley.claim(Mailbox{Name: "INBOX"}) != nil || (*UserMarks)(nil).claim(box) != nil || (*UserMarks)(nil).Owes() {
		t.Error("claimed without UIDVALIDITY or journal")
	}
}

// TestMarksAge: nobody's messages are marked for what was begun a week ago.
func TestMarksAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m Marks
		u, box := m.Of("riley", "old"), Mailbox{Name: "INBOX", UIDValidity: "5"}
		owing := func() bool {
			c := u.claim(box)
			defer c.release()
			return c.debt.kept != nil
		}
		c := u.claim(box)
		if !c.owe([]uint32{7}, []uint32{3}) {
			t.Fatal("not taken")
		}
		c.release()
		<-time.After(maxOwedAge)
		if !owing() {
			t.Error("forgotten too early")
		}
		<-time.After(time.Second)
		if owing() {
			t.Error("still owed")
		}
		if u.Owes() || m.octets != 0 {
			t.Errorf("%d octets are left", m.octets)
		}
	})
}

// TestMarksBound: the journal cannot grow for ever, neither for a mailbox nor for all.
func TestMarksBound(t *testing.T) {
	var m Marks
	var scattered []uint32
	for uid := uint32(1000001); uid < 1000001+2*6000; uid += 2 {
		scattered = append(scattered, uid)
	}
	var last *claim
	for i := range 2 * maxOwed / (len(scattered) * 8) {
		last = m.Of(fmt.Sprint("user", i), "old").claim(Mailbox{Name: "INBOX", UIDValidity: "5"})
		if !last.owe(scattered, scattered) {
			t.Fatal("no room")
		}
		last.release()
		last.debt.since = time.Unix(int64(i), 0)
	}
	if m.octets > maxOwed || m.octets < maxOwed/2 || m.count.Load() != int64(len(m.debts)) {
		t.Errorf("%d octets in %d debts, counted %d", m.octets, len(m.debts), m.count.Load())
	}
	if _, ok := m.debts[last.key]; !ok {
		t.Error("the newest debt was forgotten")
	}
	for i := range 3 * maxOwedMailboxes {
		c := m.Of("many", "old").claim(Mailbox{Name: fmt.Sprint("box", i), UIDValidity: "5"})
		if !c.owe([]uint32{7}, []uint32{5}) {
			t.Fatal("no room for one")
		}
		c.release()
		c.debt.since = time.Unix(int64(i), 0)
	}
	if _, d, n := m.oldest(func(k debtKey) bool { return k.user == "many" }); n > maxOwedMailboxes+1 || d.since.Unix() < 2*maxOwedMailboxes-2 {
		t.Errorf("%d debts of one user, the oldest of %v", n, d.since)
	}
	c := m.Of("x", "old").claim(Mailbox{Name: "INBOX", UIDValidity: "5"})
	if c.owe(append(scattered, scattered...), nil) || c.debt.kept != nil {
		t.Error("too much was taken")
	}
	c.release()
	sum := 0
	for k, d := range m.debts {
		sum += k.octets() + d.octets()
	}
	if sum != m.octets {
		t.Errorf("%d octets, counted %d", sum, m.octets)
	}
}

// TestMarksTakeTurns: of many sessions at once, one has a mailbox.
func TestMarksTakeTurns(t *testing.T) {
	var m Marks
	var inside atomic.Int32
	var work sync.WaitGroup
	for range 8 {
		work.Go(func() {
			u := m.Of("riley", "old")
			for i := range 500 {
				c := u.claim(Mailbox{Name: "INBOX", UIDValidity: "5"})
				if c == nil {
					continue
				}
				if inside.Add(1) != 1 {
					t.Error("two have the mailbox")
				}
				if c.owe([]uint32{uint32(i + 1)}, []uint32{5}) {
					c.expunging()
					c.late()
				}
				if i%2 == 0 {
					c.paid()
				}
				inside.Add(-1)
				c.release()
				u.Owes()
			}
		})
	}
	work.Wait()
	if c := m.Of("riley", "old").claim(Mailbox{Name: "INBOX", UIDValidity: "5"}); c == nil {
		t.Error("nobody can have the mailbox")
	} else {
		c.paid()
		c.release()
	}
	if m.octets != 0 || len(m.debts) != 0 || m.count.Load() != 0 {
		t.Errorf("%d octets, %d debts, counted %d", m.octets, len(m.debts), m.count.Load())
	}
}
