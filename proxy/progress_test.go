package proxy

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imapgate/imapgate/proxy/translate"
)

func TestProgressArguments(t *testing.T) {
	for _, c := range []struct {
		tag        string
		done, goal int
		want       string
	}{
		{"a1", 0, 0, `("a1" NIL NIL)`},
		{"a1", 3, 0, `("a1" NIL NIL)`}, // without a goal the number means nothing
		{"a1", 0, 20, `("a1" 0 20)`},
		{"a1", 3, 20, `("a1" 3 20)`},
		{"a]1", 3, 20, `(NIL 3 20)`}, // RFC 9585 section 4
	} {
		p := &progress{tag: c.tag}
		p.at(c.done, c.goal)
		if got := p.args(); got != c.want {
			t.Errorf("%s %d %d: %s, want %s", c.tag, c.done, c.goal, got, c.want)
		}
	}
	var none *progress
	none.at(1, 2)
	none.stop()
}

// A client is told of a long command only between messages, also while one comes in very slowly, and never
// behind the command's answer.
func TestProgressStandsBetweenMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rigStart(t, rigSetup{options: func(o *Options) {
			o.Policy.Polyfills = translate.Choice{Names: []string{"inprogress"}}
		}})
		r.backend("IMAP4rev1 UIDPLUS", func(p *rigPeer) {
			tag := p.want("SELECT INBOX")
			p.send("* 3 EXISTS", tag+" OK [READ-WRITE] done")
			tag = p.want("UID FETCH 7 (UID FLAGS)")
			message := "* 2 FETCH (BODY[] {60}\r\n" + strings.Repeat("0123456789", 6) + ")\r\n* LIST () \"/\" {3}\r\nOld\r\n" +
				"* OK [ALERT] something\r\n"
			for i := range len(message) {
				rigPass(time.Second)
				p.raw(message[i : i+1])
			}
			rigPass(progressEvery) // the answer and the next tick at the same moment
			p.send(tag + " NO not now")
			p.drain()
		})
		c := r.client()
		c.login()
		c.ask("a1", "SELECT INBOX", "OK")
		c.say("a2 UID MOVE 7 Old\r\n")
		c.must("a2 NO")
		rigPass(time.Minute)
		c.conn.Close()
		c.end()
		rigParse(t, c.got)
		_, behind, _ := bytes.Cut(c.got, []byte("a2 NO"))
		if bytes.Contains(behind, []byte("INPROGRESS")) {
			t.Errorf("it is told of behind the answer: %q", behind)
		}
		if n := bytes.Count(c.got, []byte(`[INPROGRESS ("a2" NIL NIL)]`)); n < 5 {
			t.Errorf("it is told of %d times:\n%s", n, rigTail(c.got))
		}
	})
}
