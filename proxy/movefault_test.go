package proxy

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imapgate/imapgate/proxy/imaptest"
	"github.com/imapgate/imapgate/proxy/translate"
)

// A moveWay is a backend, and how messages are moved in front of it.
type moveWay struct {
	name    string
	caps    string
	without translate.MoveWithoutUIDPlus
	marked  []string // bodies of messages that the user has marked
	moves   []string // bodies of those that are moved
}

func moveWays() []moveWay {
	both, one := []string{"two", "four"}, []string{"two"}
	moves := []string{"two", "three"}
	return []moveWay{
		{"uidplus", "IMAP4rev1 LITERAL+ UIDPLUS", "", both, moves},
		{"dance", "IMAP4rev1 LITERAL+", translate.MoveDance, both, moves},
		{"dance without others", "IMAP4rev1 LITERAL+", translate.MoveDance, one, moves},
		{"alone", "IMAP4rev1 LITERAL+", translate.MoveIfAlone, one, moves},
		{"not alone", "IMAP4rev1 LITERAL+", translate.MoveIfAlone, both, nil},
		{"gwmove", "IMAP4rev1 LITERAL+ XGWEXTENSIONS", "", both, moves},
	}
}

// A moveFault is one thing that goes wrong with one command of the backend.
type moveFault struct {
	command string
	n       int // of this name, from 1
	fault   imaptest.Fault
}

var moveFaults = map[string]imaptest.Fault{
	"NO": imaptest.AnswerNo, "BAD": imaptest.AnswerBad,
	"vanishes before": imaptest.VanishBefore, "vanishes after": imaptest.VanishAfter,
	"vanishes untold": imaptest.VanishUntold, "vanishes in the middle": imaptest.VanishMiddle,
	"stalls before": imaptest.StallBefore, "stalls after": imaptest.StallAfter,
}

var moveBodies = []string{"one", "two", "three", "four", "five"}

func (w moveWay) store() *imaptest.Store {
	st := imaptest.NewStore()
	for _, body := range moveBodies {
		if slices.Contains(w.marked, body) {
			st.Add("INBOX", body, `\Deleted`)
			continue
		}
		st.Add("INBOX", body)
	}
	st.Create("Old")
	return st
}

// A moveRun is one move, and what was to be seen of it.
type moveRun struct {
	way      moveWay
	store    *imaptest.Store
	answer   string   // without the tag; empty where there was none
	commands []string // names that the backend heard in answer to the move
}

// run moves messages with one fault, or none, and then lets the user come back.
func (w moveWay) run(t *testing.T, command string, f moveFault) *moveRun {
	m := &moveRun{way: w, store: w.store()}
	r := rigStart(t, rigSetup{options: func(o *Options) { o.Policy.MoveWithoutUIDPlus = w.without }})
	b := &imaptest.Backend{Store: m.store, Caps: w.caps}
	var armed atomic.Bool
	count := map[string]int{}
	b.Fault = func(name string, _ int) imaptest.Fault {
		m.neverLost(t) // also in the middle
		if !armed.Load() {
			return imaptest.Sound
		}
		m.commands = append(m.commands, name)
		if count[name]++; name == f.command && count[name] == f.n {
			armed.Store(false)
			return f.fault
		}
		return imaptest.Sound
	}
	b.Start(t, r.back)
	c := r.client()
	c.login()
	c.ask("a1", "SELECT INBOX", "OK")
	armed.Store(true)
	c.say("a2 " + command + "\r\n")
	if line, ok := c.hear("a2 "); ok {
		m.answer = strings.TrimPrefix(line, "a2 ")
	}
	armed.Store(false)
	c.say("a3 LOGOUT\r\n")
	c.end()
	rigPass(11 * time.Minute)
	c = r.client()
	c.login()
	c.ask("a1", "SELECT INBOX", "OK")
	c.ask("a2", "LOGOUT", "")
	m.neverLost(t)
	return m
}

// neverLost wants each message in the source, in the target, or in both.
func (m *moveRun) neverLost(t *testing.T) {
	t.Helper()
	all := append(m.store.Messages("INBOX"), m.store.Messages("Old")...)
	for _, body := range moveBodies {
		if !slices.ContainsFunc(all, func(s imaptest.Stored) bool { return s.Body == body }) {
			t.Errorf("%q is in neither mailbox:\n%s", body, m.store)
		}
	}
}

// check wants the user's marks as they were, no others, and an answer that is true.
func (m *moveRun) check(t *testing.T, f moveFault) {
	t.Helper()
	alive := f.fault == imaptest.Sound || f.fault == imaptest.AnswerNo || f.fault == imaptest.AnswerBad
	copied := func(body string) int {
		n := 0
		for _, s := range m.store.Messages("Old") {
			if s.Body == body {
				n++
			}
		}
		return n
	}
	for _, s := range m.store.Messages("INBOX") {
		users := slices.Contains(m.way.marked, s.Body)
		switch {
		case users && !s.Has(`\Deleted`):
			t.Errorf("the user's mark on %q is gone", s.Body)
		case !users && s.Has(`\Deleted`) && (alive || copied(s.Body) == 0):
			t.Errorf("%q is marked", s.Body)
		}
		if strings.HasPrefix(m.answer, "OK") && slices.Contains(m.way.moves, s.Body) {
			t.Errorf("answered %q, and %q is in the source", m.answer, s.Body)
		}
	}
	for _, body := range moveBodies {
		if n := copied(body); n > 1 || n == 1 && !slices.Contains(m.way.moves, body) {
			t.Errorf("%d copies of %q", n, body)
		}
	}
	if m.answer == "" {
		t.Error("no answer")
	}
	if t.Failed() {
		t.Logf("answer %q after %q:\n%s", m.answer, m.commands, m.store)
	}
}

// TestMoveWays lets each command of each way of moving go wrong in each way, in a whole session. At
// every moment each message is in the source, in the target or in both; and when the user has come back,
// the marks are as they were.
func TestMoveWays(t *testing.T) {
	for _, w := range moveWays() {
		for _, command := range []string{"UID MOVE 2:3 Old", "MOVE 2:3 Old", "XMOVE 2:3 Old", "UID XGWMOVE 2:3 Old"} {
			t.Run(w.name+"/"+command, func(t *testing.T) {
				var commands []string
				synctest.Test(t, func(t *testing.T) {
					m := w.run(t, command, moveFault{})
					m.check(t, moveFault{})
					if moved := strings.HasPrefix(m.answer, "OK"); moved != (w.moves != nil) || len(m.commands) == 0 {
						t.Errorf("answer %q after %q", m.answer, m.commands)
					}
					commands = m.commands
				})
				w.breakEach(t, command, commands)
			})
		}
	}
}

func (w moveWay) breakEach(t *testing.T, command string, commands []string) {
	count := map[string]int{}
	for _, name := range commands {
		count[name]++
		for what, fault := range moveFaults {
			f := moveFault{name, count[name], fault}
			t.Run(fmt.Sprintf("%s %d %s", name, f.n, what), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { w.run(t, command, f).check(t, f) })
			})
		}
	}
}
