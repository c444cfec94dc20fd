package proxy

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A rigOdd is what a backend sends in answer to "a1 NOOP", whose tag stands for ${tag}.
type rigOdd struct {
	name, send string
	client     string // what the client gets for it; "" where the session ends with NO and BYE
}

var oddResponses = []rigOdd{
	{"text that looks like a literal", "* OK text ending {10}\r\n${tag} OK done {5}\r\n", "* OK text ending {10}\r\na1 OK done {5}\r\n"},
	{"literal in LIST", "* LIST () \"/\" {3}\r\na b\r\n${tag} OK done\r\n", "* LIST () \"/\" {3}\r\na b\r\na1 OK done\r\n"},
	{"literal8", "* 1 FETCH (BODY[] ~{5}\r\n\x00ab)\n)\r\n${tag} OK done\r\n", "* 1 FETCH (BODY[] ~{5}\r\n\x00ab)\n)\r\na1 OK done\r\n"},
	{"answer in a literal", "* 1 FETCH (BODY[] {13}\r\n${tag} OK done\r\n)\r\n${tag} OK done\r\n", "* 1 FETCH (BODY[] {13}\r\n${tag} OK done\r\n)\r\na1 OK done\r\n"},
	{"LF alone", "* 1 FETCH (UID 1)\n${tag} OK done\n", "* 1 FETCH (UID 1)\r\na1 OK done\r\n"},
	{"CR within", "* LIST () \"/\" a\rb\r\n${tag} OK do\rne\r\n", "* LIST () \"/\" a b\r\na1 OK do ne\r\n"},
	{"unknown name", "* XNEWS 1 (2 {3}\r\nabc)\r\n${tag} OK done\r\n", "* XNEWS 1 (2 {3}\r\nabc)\r\na1 OK done\r\n"},
	{"capabilities", "* CAPABILITY IMAP4rev1 EVIL\r\n* OK [CAPABILITY EVIL COMPRESS=DEFLATE] x\r\n${tag} OK [CAPABILITY EVIL] done\r\n",
		"* OK [CAPABILITY IMAP4rev1 LITERAL+ ID XGWEXTENSIONS IDLE] x\r\na1 OK [CAPABILITY IMAP4rev1 LITERAL+ ID XGWEXTENSIONS IDLE] done\r\n"},
	{"ENABLED", "* ENABLED EVIL CONDSTORE\r\n${tag} OK done\r\n", "* ENABLED\r\na1 OK done\r\n"},
	{"referral", "* OK [REFERRAL imap://evil/] go\r\n${tag} NO [REFERRAL imap://evil/] go\r\n", "* OK go\r\na1 NO go\r\n"},
	{"unknown correlator", "* ESEARCH (TAG \"p999\") ALL 1\r\n* ESEARCH (TAG \"a1\") ALL 1\r\n* ESEARCH UID COUNT 3\r\n${tag} OK done\r\n",
		"* ESEARCH UID COUNT 3\r\na1 OK done\r\n"},
	{"tag in a literal", "* ESEARCH (TAG {2}\r\n${tag}) COUNT 3\r\n${tag} OK done\r\n", "* ESEARCH (TAG \"a1\") COUNT 3\r\na1 OK done\r\n"},
	{"tag in text", "* BAD command ${tag} is odd\r\n${tag} BAD what was ${tag}?\r\n", "* BAD command a1 is odd\r\na1 BAD what was a1?\r\n"},
	{"parentheses", "* 1 FETCH " + strings.Repeat("(", 100_000) + "\r\n${tag} OK done\r\n", "* 1 FETCH " + strings.Repeat("(", 100_000) + "\r\na1 OK done\r\n"},
	{"list of parentheses", "* ESEARCH " + strings.Repeat("(", 100_000) + "\r\n${tag} OK done\r\n", "a1 OK done\r\n"},
	{"long line", "* SEARCH" + strings.Repeat(" 12345678", 1_000_000) + "\r\n${tag} OK done\r\n", "* SEARCH" + strings.Repeat(" 12345678", 1_000_000) + "\r\na1 OK done\r\n"},

	{"unknown tag", "p999 OK done\r\n", ""},
	{"the client's tag", "a1 OK done\r\n", ""},
	{"login's tag", "l1 OK done\r\n", ""},
	{"answer for later", "p2 OK done\r\n", ""},
	{"continuation", "+ go on\r\n", ""},
	{"continuations", strings.Repeat("+ go on\r\n", 10_000), ""},
	{"no response", "hello\r\n", ""},
	{"empty line", "\r\n", ""},
	{"TLS", "\x16\x03\x01\x02\x00", ""},
	{"tagged data", "${tag} FETCH (UID 1)\r\n", ""},
	{"tagged BYE", "${tag} BYE\r\n", ""},
	{"quote that does not end", "* LIST () \"/\" \"x {3}\r\nabc\r\n${tag} OK done\r\n", ""},
	{"literal longer than any", "* 1 FETCH (BODY[] {9223372036854775808}\r\nabc\r\n", ""},
	{"long status", "* OK " + strings.Repeat("x", 17<<20) + "\r\n", ""},
	{"long tag", strings.Repeat("p", 1000) + " OK\r\n", ""},
	{"long name", "* " + strings.Repeat("X", 1000) + " 1\r\n", ""},
	{"BYE", "* BYE overloaded\r\n", ""},
	{"PREAUTH", "* PREAUTH hello\r\nhello\r\n", ""},
}

func TestOddBackend(t *testing.T) {
	for _, odd := range oddResponses {
		t.Run(odd.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { odd.run(t) })
		})
	}
}

func (odd rigOdd) run(t *testing.T) {
	r := rigStart(t, rigSetup{})
	r.backend("IMAP4rev1 IDLE", func(p *rigPeer) {
		tag := p.want("NOOP")
		p.raw(strings.ReplaceAll(odd.send, "${tag}", tag))
		p.answer()
	})
	c := r.client()
	c.login()
	before := c.seen
	c.say("a1 NOOP\r\n")
	if odd.client == "" {
		c.must("a1 NO [UNAVAILABLE]")
		c.endBye("[UNAVAILABLE]")
	} else {
		c.must("a1 ")
		c.ask("a2", "LOGOUT", "OK")
	}
	got, _ := c.end()
	c.conn.Close()
	r.ended()
	rest := string(got[before:])
	switch want := strings.ReplaceAll(odd.client, "${tag}", "p1"); {
	case odd.client == "" && strings.Count(rest, "\r\n") > 2 && odd.name != "PREAUTH":
		t.Errorf("the client got\n%.300q", rest)
	case odd.client != "" && !strings.HasPrefix(rest, want+"* BYE"):
		t.Errorf("the client got\n%.300q\nnot\n%.300q", rest, want)
	}
}

// A backend that answers a command that it has only a part of: the client's literal is read past or not
// asked for, and the session goes on.
func TestAnswerBeforeTheCommandIsWhole(t *testing.T) {
	for say, want := range map[string][]string{
		"a1 APPEND x {3}\r\na2 NOOP\r\n":                            {"a1 NO", "a2 OK"},
		"a1 APPEND x {3+}\r\nabc {4+}\r\nabcd\r\na2 NOOP\r\n":       {"a1 NO", "a2 OK"},
		"a1 SELECT {3+}\r\nabc\r\na2 NOOP\r\n":                      {"a1 NO", "a2 OK"},
		"a1 APPEND x (\\Seen {3+}\r\nabc\r\na2 NOOP\r\n":            {"a1 NO", "a2 OK"},
		"a1 APPEND x {3+}\r\nabc (\r\na2 NOOP\r\n":                  {"a1 NO"},
		"a1 UID XGWMOVE 1 {1+}\r\nx\r\na1 SELECT {1+}\r\nx\r\n":     {"a1 BAD", "a1 NO"},
		"a1 APPEND x {3}\r\na2 APPEND x {3}\r\na3 APPEND x {3}\r\n": {"a1 NO", "a2 NO", "a3 NO"},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := rigStart(t, rigSetup{})
			r.backend("IMAP4rev1 IDLE", func(p *rigPeer) { // no LITERAL+: it has to be asked
				for {
					tag, rest, ok := p.next()
					switch {
					case !ok:
						return
					case strings.HasSuffix(rest, "}"):
						p.send(tag + " NO not now")
					default:
						p.send(tag + " OK done")
					}
				}
			})
			c := r.client()
			c.login()
			c.say(say)
			for _, w := range want {
				c.must(w)
			}
			c.say("z LOGOUT\r\n")
			c.must("z OK")
			got, _ := c.end()
			rigParse(t, got)
			r.ended()
			rigHeard(t, regexp.MustCompile(`(?m)^.*\}\r\n`).ReplaceAll(r.heard(), nil)) // without the refused ones
		})
	}
}

// An answer in the middle of a literal that nobody waited for: the rest is still sent, because the
// backend is going to read it.
func TestAnswerInsideLiteral(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rigStart(t, rigSetup{})
		over := make(chan struct{})
		r.backend("IMAP4rev1 LITERAL+", func(p *rigPeer) {
			tag := p.want("APPEND x {10+}")
			p.send(tag + " NO full")
			<-over
			if rest, err := p.in.ReadString('\n'); rest != "0123456789\r\n" {
				t.Errorf("the literal's rest is %q (%v)", rest, err)
			}
			p.answer()
		})
		c := r.client()
		c.login()
		c.say("a1 APPEND x {10+}\r\n01234")
		c.must("a1 NO full")
		close(over)
		c.say("56789\r\n")
		c.ask("a2", "NOOP", "OK")
		c.ask("a3", "LOGOUT", "OK")
		got, _ := c.end()
		rigParse(t, got).answered(t, false, "a0", "a1", "a2", "a3")
		r.ended()
	})
}

// Data that nobody reads costs buffers.
func TestUntaggedStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rigStart(t, rigSetup{})
		r.backend(rigCapsPlain, func(p *rigPeer) {
			for p.raw(strings.Repeat("* 5 EXISTS\r\n* OK [ALERT] news\r\n", 100)) {
			}
		})
		c := r.dial()
		fmt.Fprint(c, "a0 LOGIN u p\r\n")
		began := time.Now()
		synctest.Wait()
		r.ended()
		if took := time.Since(began); took > 2*time.Minute {
			t.Errorf("it took %v", took)
		}
		if n := len(r.carried("backend")); n > 1<<20 {
			t.Errorf("%d octets were taken from the backend for a client that takes none", n)
		}
	})
}

// Thousands of responses that are read arrive all, in order.
func TestUntaggedStormIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rigStart(t, rigSetup{})
		r.backend(rigCapsPlain, func(p *rigPeer) {
			tag := p.want("NOOP")
			for i := range 50_000 {
				p.send(fmt.Sprintf("* %d FETCH (UID %d)", i+1, i+1))
			}
			p.send(tag + " OK done")
			p.answer()
		})
		c := r.client()
		c.login()
		before := c.seen
		c.say("a1 NOOP\r\n")
		c.must("a1 OK")
		want := 1
		for line := range strings.Lines(string(c.got[before:])) {
			if line == "a1 OK done\r\n" {
				break
			}
			if line != fmt.Sprintf("* %d FETCH (UID %d)\r\n", want, want) {
				t.Fatalf("response %d is %q", want, line)
			}
			want++
		}
		if want != 50_001 {
			t.Errorf("%d responses", want-1)
		}
		c.ask("a2", "LOGOUT", "OK")
		r.ended()
	})
}

// Some servers never stop to say BYE, and some never close behind it.
func TestEndlessBye(t *testing.T) {
	for name, script := range map[string]func(p *rigPeer){
		"endless": func(p *rigPeer) {
			for p.raw("* BYE again\r\n") {
				rigPass(10 * time.Millisecond)
			}
		},
		"open":  func(p *rigPeer) { p.send("* BYE enough"); p.drain() },
		"later": func(p *rigPeer) { p.send("* BYE enough"); rigPass(time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			inTime(t, 0, func(t *testing.T) {
				r := rigStart(t, rigSetup{})
				r.backend(rigCapsPlain, script)
				c := r.client()
				c.login()
				c.say("a1 NOOP\r\n")
				c.endBye("[UNAVAILABLE]")
				c.conn.Close()
				r.ended()
			})
		})
	}
}
