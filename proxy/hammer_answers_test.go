package proxy

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/imapgate/imapgate/proxy/imaptest"
)

// hammeredBatches are commands that leave a session as able as it was.
var hammeredBatches = []string{
	"NOOP", "NOOP", "NOOP", "CHECK", "CAPABILITY", "ID NIL", "FOO", "FOO {5+}\r\nhello", "SELECT INBOX", "EXAMINE {5+}\r\nINBOX",
	"FETCH 1:* (UID FLAGS)", "FETCH 1:* BODY[]", "STORE 1 +FLAGS (\\Seen)", "SEARCH {3+}\r\nALL", "STATUS Old (MESSAGES)",
	"APPEND INBOX {5+}\r\nhello", "APPEND Old {5+}\r\nhello", "APPEND Nowhere {5+}\r\nhello", "IDLE\r\nDONE", "ENABLE X",
	"LIST \"\" *", "UNSELECT", "ID {3+}\r\nabc", "BAR\x01",
}

// ownCommands are those that the proxy sends by itself at login.
var ownCommands = []string{"LOGIN", "AUTHENTICATE", "CAPABILITY", "ID"}

// TestHammerAnswers lets clients send far more commands at once than may be under way, in pieces of any size, and
// wants exactly one answer to each, and none to be counted as under way in the end.
func TestHammerAnswers(t *testing.T) {
	for _, quirk := range []string{"", "courier", "outlook-express"} {
		t.Run(quirk, func(t *testing.T) {
			r := rigStart(t, rigSetup{options: func(o *Options) { o.Policy.Quirks = choice(quirk) }})
			be := &imaptest.Backend{
				Store: rigStore(), Caps: "IMAP4rev1 LITERAL+ SASL-IR UIDPLUS UNSELECT IDLE ENABLE",
				Fault: func(name string, _ int) imaptest.Fault {
					if slices.Contains(ownCommands, name) || rand.IntN(20) > 0 {
						return imaptest.Sound
					}
					return imaptest.AnswerNo + imaptest.Fault(rand.IntN(2))
				},
			}
			be.Start(t, r.back)
			var clients sync.WaitGroup
			for range 4 {
				clients.Go(func() { r.hammerBatches(t) })
			}
			clients.Wait()
			for late := time.Now().Add(hammerEnd); len(r.srv.Sessions()) > 0 && time.Now().Before(late); {
				<-time.After(time.Millisecond)
			}
			if n := r.figure("imapgate_commands_in_flight", ""); n != 0 {
				t.Errorf("%v commands are in flight when all is over", n)
			}
		})
	}
}

// hammerBatches is one client.
func (r *rig) hammerBatches(t *testing.T) {
	c := r.client()
	defer c.conn.Close()
	c.login()
	sent := 0
	for range 8 {
		var b strings.Builder
		for range rand.IntN(1 + rand.IntN(300)) {
			fmt.Fprintf(&b, "t%d %s\r\n", sent, hammeredBatches[rand.IntN(len(hammeredBatches))])
			sent++
		}
		for text := b.String(); text != ""; {
			n := 1 + rand.IntN(min(len(text), 1+rand.IntN(9000)))
			if !c.say(text[:n]) {
				t.Error("the session ended early")
				return
			}
			text = text[n:]
		}
	}
	c.say("z LOGOUT\r\n")
	got, err := c.end()
	for i := range sent {
		if n := bytes.Count(got, fmt.Appendf(nil, "\r\nt%d ", i)); n != 1 {
			t.Fatalf("%d answers to t%d of %d, at the end %v:\n%s", n, i, sent, err, rigTail(got))
		}
	}
}
