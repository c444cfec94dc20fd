package proxy

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Answers that come together are passed as if each had come alone: in their order, with the proxy's own answers
// and other responses where they belong, and with the tags in their texts judged at each answer's own moment.
func TestAnswersThatComeTogether(t *testing.T) {
	const asked = "a NOOP\r\nb CHECK\r\nc CAPABILITY\r\nd NOOP\r\ne FETCH 1 FLAGS\r\nf NOOP\r\n" // c is answered here
	const own = "* CAPABILITY IMAP4rev1 LITERAL+ ID XGWEXTENSIONS\r\nc OK CAPABILITY completed\r\n"
	const lost = "* BYE [UNAVAILABLE] The mail server ended the connection, try again later\r\n"
	for _, c := range []struct{ name, backend, client string }{
		{
			"in order",
			"p1 OK one\r\np2 NO two\r\np4 OK four\r\n* 1 FETCH (FLAGS ())\r\np5 OK five\r\np6 BAD six\r\n",
			"a OK one\r\nb NO two\r\n" + own + "d OK four\r\n* 1 FETCH (FLAGS ())\r\ne OK five\r\nf BAD six\r\n",
		},
		{
			"out of order",
			"p6 OK six\r\np1 OK one\r\np5 OK five\r\np4 OK four\r\np2 OK two\r\n",
			"f OK six\r\na OK one\r\ne OK five\r\nd OK four\r\nb OK two\r\n" + own,
		},
		{
			"tags in texts and codes",
			"p1 OK p1 and p2\r\np2 OK p1 and p4\r\np4 OK [X p1] p5\r\np5 ok \r\np6 OK [CAPABILITY IMAP4rev1] p5 p6\r\n",
			"a OK a and b\r\nb OK p1 and d\r\n" + own + "d OK [X p1] e\r\ne OK OK\r\nf OK [CAPABILITY IMAP4rev1 LITERAL+ ID XGWEXTENSIONS] p5 f\r\n",
		},
		{
			"twice",
			"p1 OK one\r\np2 OK two\r\np1 OK one\r\np4 OK four\r\n",
			"a OK one\r\nb OK two\r\n" + own + rigLost("d", "e", "f") + lost,
		},
		{
			"nobody's",
			"p1 OK one\r\np3 OK three\r\n",
			"a OK one\r\n" + rigLost("b") + own + rigLost("d", "e", "f") + lost,
		},
		{
			"nearly ours",
			"p1 OK p01 and p02\r\np2 OK p3w5e11264sgsi\r\np04 OK four\r\n",
			"a OK p01 and p02\r\nb OK p3w5e11264sgsi\r\n" + own + rigLost("d", "e", "f") + lost,
		},
		{
			"alike, in numbers without an end",
			"p1 OK done\r\np3w5e11264sgsi OK done\r\n",
			"a OK done\r\n" + rigLost("b") + own + rigLost("d", "e", "f") + lost,
		},
		{
			"alike",
			"p1 OK done\r\np2 OK done\r\np4 OK done\r\np5 OK done\r\np6 OK done\r\n",
			"a OK done\r\nb OK done\r\n" + own + "d OK done\r\ne OK done\r\nf OK done\r\n",
		},
		{
			"nearly alike",
			"p1 OK done\r\np2 OK done \r\np4 OK done\n\x00p5 OK done\r\np6 OK do\x00e\r\n",
			"a OK done\r\nb OK done \r\n" + own + "d OK done\r\ne OK done\r\nf OK do e\r\n",
		},
		{
			"alike, with other data between",
			"p1 NO no\r\np2 NO no\r\n* 3 EXISTS\r\np4 NO no\r\n* OK still here\r\np5 NO no\r\np6 NO no\r\n",
			"a NO no\r\nb NO no\r\n" + own + "* 3 EXISTS\r\nd NO no\r\n* OK still here\r\ne NO no\r\nf NO no\r\n",
		},
		{
			"alike, but not in order",
			"p1 OK done\r\np4 OK done\r\np5 OK done\r\np2 OK done\r\np6 OK done\r\n",
			"a OK done\r\nd OK done\r\ne OK done\r\nb OK done\r\n" + own + "f OK done\r\n",
		},
		{
			"alike, with a tag of nobody's",
			"p1 OK done\r\np2 OK done\r\np4 OK done\r\np50 OK done\r\n",
			"a OK done\r\nb OK done\r\n" + own + "d OK done\r\n" + rigLost("e", "f") + lost,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, size := range []int{1, 7, 1 << 20} {
				synctest.Test(t, func(t *testing.T) { answersTogether(t, asked, c.backend, c.client, size) })
			}
		})
	}
}

// Commands that come together and are alike, more of them than there is room for, are told apart by their tags alone.
// The backend hears each of them once, in order, and the client each answer.
func TestCommandsThatAreAlike(t *testing.T) {
	const burst, bursts = 96, 4
	var asked, heard, want strings.Builder
	for i := range burst * bursts {
		command := "FETCH 1 (FLAGS)"
		if i%50 == 0 {
			command = "FETCH 2 (FLAGS)"
		}
		fmt.Fprintf(&asked, "t%d %s\r\n", i, command)
		fmt.Fprintf(&heard, "%s %s\r\n", ownTag(nil, uint64(i+1)), command)
		fmt.Fprintf(&want, "t%d OK %s\r\n", i, command)
	}
	synctest.Test(t, func(t *testing.T) {
		r := rigStart(t, rigSetup{})
		r.backend("IMAP4rev1", func(p *rigPeer) {
			for range bursts {
				var answers strings.Builder
				for range burst {
					tag, rest, _ := p.next()
					answers.WriteString(tag + " OK " + rest + "\r\n")
				}
				p.raw(answers.String())
			}
			p.drain()
		})
		c := r.client()
		c.login()
		from := len(c.got)
		c.say(asked.String())
		rigPass(time.Second)
		synctest.Wait()
		if got := string(c.got[from:]); got != want.String() {
			t.Errorf("the client got\n%s", got)
		}
		if !strings.Contains(string(r.heard()), heard.String()) {
			t.Errorf("the backend heard\n%s", r.heard())
		}
		if n := r.srv.Sessions()[0].Commands; n != burst*bursts {
			t.Errorf("%d commands were counted", n)
		}
	})
}

func rigLost(tags ...string) (lines string) {
	for _, tag := range tags {
		lines += tag + " NO [UNAVAILABLE] The command was interrupted, its result is not known\r\n"
	}
	return lines
}

// answersTogether is a client that asks at once, before a backend that answers in pieces of size octets.
func answersTogether(t *testing.T, asked, answers, want string, size int) {
	r := rigStart(t, rigSetup{})
	r.backend("IMAP4rev1", func(p *rigPeer) {
		for range strings.Count(asked, "\r\n") - 1 {
			p.next()
		}
		for rest := answers; rest != ""; {
			n := min(size, len(rest))
			p.raw(rest[:n])
			rest = rest[n:]
			rigPass(time.Millisecond)
		}
		p.drain()
	})
	c := r.client()
	c.login()
	from := len(c.got)
	c.say(asked)
	rigPass(time.Second)
	synctest.Wait()
	if got := string(c.got[from:]); got != want {
		t.Errorf("in pieces of %d:\n%s\nwant\n%s", size, got, want)
	}
}
