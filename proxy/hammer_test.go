package proxy

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/imapgate/imapgate/proxy/imaptest"
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
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for range 6 {
		clients.Go(func() {
			for !isClosed(stop) {
				r.hammer(t)
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
func (r *rig) hammer(t *testing.T) {
	c := r.client()
	defer c.conn.Close()
	if _, ok := c.hear("* OK"); !ok {
		return
	}
	c.say("l LOGIN riley firetruck\r\n")
	if _, ok := c.hear("l OK"); !ok {
		return
	}
	for n := range 10 {
		var b strings.Builder
		for range rand.IntN(12) + 1 {
			fmt.Fprintf(&b, "c%d %s\r\n", n, hammered[rand.IntN(len(hammered))])
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
	c.say("z LOGOUT\r\n")
	ended := make(chan struct{})
	go func() { c.end(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(hammerEnd):
		t.Errorf("not over %v after LOGOUT: %+v", hammerEnd, r.srv.Sessions())
	}
}
