package proxy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/imapgate/imapgate/proxy/imaptest"
)

// A rigMove is one command that moves messages in front of a backend of some kind.
type rigMove struct {
	caps, command string
	steps         []string // commands that the backend hears for it
}

var rigMoves = []rigMove{
	{"IMAP4rev1 UIDPLUS", "MOVE 3:4 Old", []string{"FETCH", "UID COPY", "UID STORE", "UID EXPUNGE", "UID SEARCH", "UID FETCH"}},
	{"IMAP4rev1 UIDPLUS", "UID MOVE 3:4 Old", []string{"UID FETCH", "UID COPY", "UID STORE", "UID EXPUNGE", "UID SEARCH"}},
	{"IMAP4rev1 UIDPLUS", "UID XGWMOVE 3:4 Old", []string{"UID FETCH", "UID COPY", "UID STORE", "UID EXPUNGE", "UID SEARCH"}},
	{"IMAP4rev1 UIDPLUS MOVE", "UID XGWMOVE 3:4 Old", []string{"UID MOVE"}},
	{"IMAP4rev1 UIDPLUS MOVE", "MOVE 3:4 Old", []string{"MOVE"}},
	{"IMAP4rev1", "XGWMOVE 3:4 Old", []string{"FETCH", "UID COPY", "UID STORE"}},
	{"IMAP4rev1", "UID XGWMOVE 3:4 Old", []string{"UID FETCH", "UID COPY", "UID STORE"}},
}

var rigFaults = map[imaptest.Fault]string{
	imaptest.AnswerNo: "NO", imaptest.VanishBefore: "vanish before", imaptest.VanishAfter: "vanish after",
	imaptest.VanishUntold: "vanish untold", imaptest.VanishMiddle: "vanish middle",
	imaptest.StallBefore: "stall before", imaptest.StallAfter: "stall after",
}

// TestMoveFaults lets each step of each way to move go wrong in each way. Afterwards every message is
// somewhere, the user's own marks are as they were, and OK was said only for what is done.
func TestMoveFaults(t *testing.T) {
	for _, m := range rigMoves {
		for _, step := range m.steps {
			for fault, word := range rigFaults {
				t.Run(fmt.Sprintf("%s on %s/%s/%s", m.command, m.caps, step, word), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						store := m.run(t, imaptest.FaultAt(step, 1, fault))
						if fault == imaptest.AnswerNo && strings.Contains(m.caps, "UIDPLUS") {
							rolledBack(t, store)
						}
					})
				})
			}
		}
	}
}

// TestMoveTwoFaults lets two steps be refused: what undoes the first may fail as well.
func TestMoveTwoFaults(t *testing.T) {
	m := rigMoves[1]
	for _, first := range []string{"UID STORE", "UID EXPUNGE"} {
		for _, second := range []string{"UID STORE", "UID SEARCH", "UID FETCH", "UID EXPUNGE"} {
			for fault, word := range rigFaults {
				t.Run(first+"/"+second+"/"+word, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						m.run(t, func(command string, n int) imaptest.Fault {
							switch {
							case command == first && n == 1:
								return imaptest.AnswerNo
							case command == second && (n == 2 || second != first && n == 1 && second != "UID FETCH"):
								return fault
							}
							return imaptest.Sound
						})
					})
				})
			}
		}
	}
}

// rolledBack wants only the user's own marks: the session went on, so the others could be taken back.
func rolledBack(t *testing.T, store *imaptest.Store) {
	t.Helper()
	for _, m := range store.Messages("INBOX") {
		if m.Has(`\Deleted`) && m.Body != "body2" && m.Body != "body3" {
			t.Errorf("a mark of the proxy's own stays on %s", m.Body)
		}
	}
}

func (m rigMove) run(t *testing.T, fault func(string, int) imaptest.Fault) *imaptest.Store {
	store := imaptest.NewStore()
	store.Create("Old")
	for i, flags := range [][]string{nil, {`\Deleted`}, {`\Deleted`}, nil, nil} {
		store.Add("INBOX", fmt.Sprintf("body%d", i+1), flags...)
	}
	r := rigStart(t, rigSetup{})
	struck := false
	b := &imaptest.Backend{Store: store, Caps: m.caps, Fault: func(command string, n int) imaptest.Fault {
		f := fault(command, n)
		struck = struck || f != imaptest.Sound
		return f
	}}
	b.Start(t, r.back)
	c := r.client()
	c.login()
	c.ask("a1", "SELECT INBOX", "OK")
	c.say("a2 " + m.command + "\r\n")
	answer, alive := c.hear("a2 ")
	if alive {
		c.say("a3 LOGOUT\r\n")
	}
	got, _ := c.end()
	r.ended()
	s := rigParse(t, got)
	s.answered(t, s.bye || s.torn, "a0", "a1", "a2", "a3")
	rigHeard(t, r.heard())
	m.judge(t, store, strings.HasPrefix(answer, "a2 OK"))
	if !s.bye && !s.torn {
		t.Errorf("the session ended without BYE:\n%s", got)
	}
	if len(s.tagged["a2"]) == 0 && !s.torn {
		t.Errorf("no answer to the command, but the stream is whole:\n%s", got)
	}
	if t.Failed() {
		t.Logf("struck: %v\nthe client got\n%s\nthe backend heard\n%s\nin the store\n%s", struck, got, strings.Join(b.Commands(), "\n"), store)
	}
	return store
}

// judge wants every message somewhere, the user's marks kept, and nothing but 3 and 4 gone; where the
// answer was OK, 3 and 4 moved.
func (m rigMove) judge(t *testing.T, store *imaptest.Store, ok bool) {
	t.Helper()
	source, there := store.Messages("INBOX"), store.Messages("Old")
	at := func(list []imaptest.Stored, i int) *imaptest.Stored {
		if n := slices.IndexFunc(list, func(m imaptest.Stored) bool { return m.Body == fmt.Sprintf("body%d", i) }); n >= 0 {
			return &list[n]
		}
		return nil
	}
	for i := 1; i <= 5; i++ {
		here, copied := at(source, i), at(there, i)
		moves := i == 3 || i == 4
		switch {
		case here == nil && copied == nil:
			t.Errorf("message %d is in neither mailbox", i)
		case !moves && (here == nil || copied != nil || here.Has(`\Deleted`) != (i == 2)):
			t.Errorf("message %d was not to be touched", i)
		case i == 3 && here != nil && !here.Has(`\Deleted`):
			t.Error("the user's mark on message 3 is gone")
		case moves && ok && (copied == nil || here != nil && (strings.Contains(m.caps, "UIDPLUS") || !here.Has(`\Deleted`))):
			t.Errorf("OK was said, but message %d did not move", i)
		}
	}
}
