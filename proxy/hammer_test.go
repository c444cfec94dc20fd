package proxy

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/imapgate/imapgate/proxy/imaptest"
	"github.com/imapgate/imapgate/proxy/translate"
)

const (
	hammerTime = 1500 * time.Millisecond
	hammerEnd  = 10 * time.Second // until every session has ended then
)

var hammered = []string{
	"SELECT INBOX", "EXAMINE INBOX", "UNSELECT", "NOOP", "CAPABILITY", "ID NIL", "ENABLE CONDSTORE", "LIST \"\" *",
	"FETCH 1:* (UID FLAGS BODY[])", "STORE 1 +FLAGS (\\Seen)", "UID MOVE 1:3 INBOX", "UID XGWMOVE 1 {5+}\r\nINBOX",
	"SELECT {5+}\r\nINBOX", "XGWEXTENSIONS", "FOO", "FOO {5+}\r\nhello", "SEARCH {3+}\r\nALL {",
	"IDLE\r\nDONE", "IDLE\r\nx BAR",
}

// TestHammer lets clients send whatever comes to mind while an operator pauses, drains and kicks them, in real
// time: what is found here is a lock, a wait or a goroutine that depends on who comes first. Every session ends.
func TestHammer(t *testing.T) {
	r := rigStart(t, rigSetup{})
	be := &imaptest.Backend{Store: rigStore(), Caps: "IMAP4rev1 LITERAL+ SASL-IR UIDPLUS UNSELECT IDLE ENABLE"}
	be.Start(t, r.back)
	r.hammerAll(t, hammered)
}

// hammeredLayers is for sessions in which nearly every command is answered by translations.
var hammeredLayers = []string{
	"SELECT INBOX", "SELECT INBOX", "SELECT INBOX", "EXAMINE Old", "UNSELECT", "CLOSE", "NOOP", "CAPABILITY", "NAMESPACE",
	"ENABLE UTF8=ACCEPT", "LIST \"\" *", "LIST \"\" (% Old) RETURN (CHILDREN STATUS (MESSAGES UIDNEXT) SUBSCRIBED)",
	"LIST (SUBSCRIBED RECURSIVEMATCH) \"\" *", "LIST {2+}\r\n\"\" *", "XLIST \"\" *", "FIND ALL.MAILBOXES *", "RLIST \"\" *",
	"FETCH 1:* (UID FLAGS BODY[])", "FETCH 1 BINARY.PEEK[]", "FETCH $ FLAGS", "PARTIAL 1 BODY[] 1 5", "STORE 1 +FLAGS (\\Seen)",
	"STORE $ +FLAGS (\\Seen)", "UID MOVE 1:3 Old", "MOVE 1:2 INBOX", "UID XGWMOVE 1 {5+}\r\nINBOX", "MOVE $ INBOX",
	"SEARCH RETURN (SAVE) ALL", "UID SEARCH RETURN (SAVE COUNT) 1:2", "SEARCH RETURN () YOUNGER 1000", "SEARCH OLDER 3 $",
	"SEARCH {3+}\r\nALL {", "UID EXPUNGE $", "EXPUNGE", "APPEND INBOX {5}\r\nhello", "STATUS Old (MESSAGES)", "FOO {5+}\r\nhello",
	"IDLE\r\nDONE", "IDLE\r\nx BAR", "IDLE\r\n", "DONE",
}

// TestHammerLayers is TestHammer before a backend that has little, and now and then refuses or vanishes.
func TestHammerLayers(t *testing.T) {
	r := rigStart(t, rigSetup{options: func(o *Options) { o.Policy = translate.DefaultPolicy() }})
	be := &imaptest.Backend{Store: rigStore(), Caps: "IMAP4rev1 UIDPLUS", Fault: func(string, int) imaptest.Fault {
		if rand.IntN(60) > 0 {
			return imaptest.Sound
		}
		return imaptest.AnswerNo + imaptest.Fault(rand.IntN(int(imaptest.StallBefore-imaptest.AnswerNo)))
	}}
	be.Start(t, r.back)
	r.hammerAll(t, hammeredLayers)
}

// hammerAll is several clients and an operator.
func (r *rig) hammerAll(t *testing.T, lines []string) {
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for range 6 {
		clients.Go(func() {
			for !isClosed(stop) {
				r.hammer(t, lines)
			}
		})
	}
	r.operate(time.After(hammerTime), func(id string) {
		switch rand.IntN(60) {
		case 0:
			r.srv.Drain(id)
		case 1:
			r.srv.Kick(id)
		case 2, 3, 4:
			r.srv.Pause(id)
		default:
			r.srv.Resume(id)
		}
	})
	close(stop)
	over := make(chan time.Time)
	go func() {
		defer close(over)
		clients.Wait()
		for late := time.Now().Add(hammerEnd); len(r.srv.Sessions()) > 0 && time.Now().Before(late); {
			<-time.After(10 * time.Millisecond)
		}
	}()
	r.operate(over, func(id string) { r.srv.Resume(id) })
	for _, left := range r.srv.Sessions() {
		t.Errorf("left behind: %+v", left)
	}
}

// operate does something with each session, again and again, until it is over.
func (r *rig) operate(over <-chan time.Time, do func(id string)) {
	for {
		select {
		case <-over:
			return
		case <-time.After(time.Millisecond):
		}
		for _, one := range r.srv.Sessions() {
			do(one.ID)
		}
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// hammer is one client from its login to its end: by LOGOUT or by its connection.
func (r *rig) hammer(t *testing.T, lines []string) {
	c := r.client()
	defer c.conn.Close()
	if _, ok := c.hear("* OK"); !ok {
		return
	}
	c.say("l LOGIN riley firetruck\r\n")
	if line, _ := c.hear("l "); !strings.HasPrefix(line, "l OK") {
		return
	}
	for n := range 10 {
		var b strings.Builder
		for range rand.IntN(12) + 1 {
			fmt.Fprintf(&b, "c%d %s\r\n", n, lines[rand.IntN(len(lines))])
		}
		if !c.say(b.String()) {
			return
		}
		if rand.IntN(3) == 0 {
			<-time.After(time.Duration(rand.IntN(3000)) * time.Microsecond)
		}
	}
	if rand.IntN(2) == 0 {
		return
	}
	c.say("DONE\r\nz LOGOUT\r\nz LOGOUT\r\n") // the one before may be in the place of DONE
	ended := make(chan struct{})
	go func() { c.end(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(hammerEnd):
		t.Errorf("not over %v after LOGOUT: %+v", hammerEnd, r.srv.Sessions())
	}
}
