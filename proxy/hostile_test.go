package proxy

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/imapgate/imapgate/proxy/backend"
	"github.com/imapgate/imapgate/proxy/imaptest"
)

// A rigEvil is something that a client says, and what it hears in the end.
type rigEvil struct {
	name, say string
	want      []string // beginnings of lines, in order
	over      bool     // the connection ends behind them
}

var rigLong = strings.Repeat("x", 100_000)

var evilBeforeLogin = []rigEvil{
	{"long line", "a1 NOOP " + rigLong + "\r\na2 NOOP\r\n", []string{"a1 BAD", "a2 OK"}, false},
	{"endless line", "a1 " + strings.Repeat(rigLong, 20), []string{"* BYE [TOOBIG]"}, true},
	{"NUL", "a1 NOOP\x00\r\na2 NOOP\r\n", []string{"a1 BAD", "a2 OK"}, false},
	{"bare LF", "a1 NOOP\na2 NOOP\r\n", []string{"a1 BAD", "a2 OK"}, false},
	{"bare CR", "a1 NOOP\ra2 NOOP\r\na3 NOOP\r\n", []string{"a1 BAD", "a3 OK"}, false},
	{"bad tag", "a+1 NOOP\r\n( NOOP\r\n\r\n* NOOP\r\n\xff NOOP\r\n", []string{"* BAD", "* BAD", "* BAD", "* BAD", "* BAD", "* BYE"}, true},
	{"HTTP", "GET / HTTP/1.1\r\nHost: mail\r\nUser-Agent: x\r\nAccept: *\r\nx: y\r\nz: z\r\n", []string{"GET BAD", "* BYE"}, true},
	{"large literal", "a1 LOGIN {70000}\r\na2 NOOP\r\n", []string{"a1 BAD", "a2 OK"}, false},
	{"large literal+", "a1 LOGIN {60000+}\r\n" + rigLong[:60000] + " {60000+}\r\n" + rigLong[:60000] + "\r\na2 NOOP\r\n", []string{"* BYE [TOOBIG]"}, true},
	{"largest literal", "a1 LOGIN {9223372036854775807+}\r\nx", []string{"* BYE [TOOBIG]"}, true},
	{"larger than any", "a1 LOGIN {9223372036854775808+}\r\na2 NOOP\r\n", []string{"* BYE [TOOBIG]"}, true},
	{"literals", "a1 LOGIN" + strings.Repeat(" {1+}\r\nx", 100) + "\r\na2 NOOP\r\n", []string{"a1 BAD", "a2 OK"}, false},
	{"SASL line", "a1 AUTHENTICATE PLAIN\r\n" + rigLong + "\r\na2 NOOP\r\n", []string{"+", "a1 BAD", "a2 OK"}, false},
	{"SASL not base64", "a1 AUTHENTICATE PLAIN\r\n!!!\r\na2 AUTHENTICATE PLAIN =AA=\r\na3 NOOP\r\n", []string{"+", "a1 BAD", "a2 BAD", "a3 OK"}, false},
	{"select", "a1 SELECT INBOX\r\na2 APPEND x {3+}\r\nabc\r\na3 NOOP\r\n", []string{"a1 BAD", "a2 BAD", "a3 OK"}, false},
	{"split words", "a1 LOGIN {4}\r\nfred {3+}\r\npwd\r\n", []string{"+", "a1 NO"}, false},
	{"five failures", strings.Repeat("a1 LOGIN u p\r\n", 7), []string{"a1 NO", "a1 NO", "a1 NO", "a1 NO", "a1 NO", "* BYE"}, true},
}

func TestHostileBeforeLogin(t *testing.T) {
	for _, e := range evilBeforeLogin {
		t.Run(e.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := rigStart(t, rigSetup{})
				(&imaptest.Backend{Store: rigStore(), User: "somebody", Password: "else"}).Start(t, r.back)
				c := r.client()
				c.must("* OK")
				e.run(t, c)
				if n := len(r.carried("client")); n > 2<<20 {
					t.Errorf("%d octets were read", n)
				}
			})
		})
	}
}

// run says it in the background, for who is not heard out cannot say all.
func (e rigEvil) run(t *testing.T, c *rigClient) {
	t.Helper()
	go c.say(e.say)
	for _, want := range e.want {
		c.must(want)
	}
	if !e.over {
		c.say("z LOGOUT\r\n")
		c.must("z OK")
	}
	got, _ := c.end()
	if s := rigParse(t, got); !s.bye || s.torn {
		t.Errorf("no whole BYE:\n%s", rigTail(got))
	}
	c.conn.Close()
}

var evilAfterLogin = []rigEvil{
	{"unknown with literal", "a1 XPIG-LATIN {5+}\r\nhello\r\na2 NOOP\r\n", []string{"a1 BAD", "a2 OK"}, false},
	{"braces in quotes", "a1 SEARCH SUBJECT \"x {3}\"\r\na2 NOOP\r\n", []string{"a1 OK", "a2 OK"}, false},
	{"long line", "a1 SEARCH TEXT " + rigLong + "\r\na2 NOOP\r\n", []string{"a1 BAD", "a2 OK"}, false},
	{"endless line", "a1 SEARCH " + strings.Repeat(rigLong, 20), []string{"* BYE [TOOBIG]"}, true},
	{"parentheses", "a1 SEARCH " + strings.Repeat("(", 60_000) + "\r\na2 NOOP\r\n", []string{"a1 BAD", "a2 OK"}, false},
	{"more parentheses", "a1 SEARCH " + strings.Repeat("(", 100_000) + "\r\na2 NOOP\r\n", []string{"a1 BAD", "a2 OK"}, false},
	{"NUL", "a1 SEARCH TEXT \"\x00\"\r\na2 NOOP\r\n", []string{"a1 BAD", "a2 OK"}, false},
	{"bare LF", "a1 NOOP\na2 SEARCH TEXT \"a\nb\"\r\na3 NOOP\r\n", []string{"a1 BAD", "a2 BAD", "a3 OK"}, false},
	{"bare CR", "a1 SEARCH TEXT \"a\rp9 LOGOUT\"\r\na3 NOOP\r\n", []string{"a1 BAD", "a3 OK"}, false},
	{"CR in literal", "a1 SEARCH TEXT {4+}\r\na\r\nb\r\na3 NOOP\r\n", []string{"a1 OK", "a3 OK"}, false},
	{"bad tag", "\"a NOOP\r\n% NOOP\r\na3 NOOP\r\n", []string{"* BAD", "* BAD", "a3 OK"}, false},
	{"long tag", strings.Repeat("t", 65) + " NOOP\r\na3 NOOP\r\n", []string{"* BAD", "a3 OK"}, false},
	{"large argument", "a1 SELECT {70000+}\r\n" + rigLong[:70000] + "\r\na2 NOOP\r\n", []string{"a1 BAD [TOOBIG]", "a2 OK"}, false},
	{"large argument {}", "a1 SELECT {70000}\r\na2 NOOP\r\n", []string{"a1 BAD [TOOBIG]", "a2 OK"}, false},
	{"large message", "a1 APPEND x {2000000}\r\na2 NOOP\r\n", []string{"a1 NO [TOOBIG]", "a2 OK"}, false},
	{"largest literal", "a1 SELECT {9223372036854775807+}\r\nx", []string{"* BYE [TOOBIG]"}, true},
	{"largest message", "a1 APPEND x {9223372036854775807+}\r\nx", []string{"* BYE [TOOBIG]"}, true},
	{"larger than any", "a1 SELECT {9223372036854775808+}\r\na2 NOOP\r\n", []string{"* BYE [TOOBIG]"}, true},
	{"chain", "a1 SEARCH" + strings.Repeat(" TEXT {1+}\r\nx", 1000) + "\r\na2 NOOP\r\n", []string{"a1 OK", "a2 OK"}, false},
	{"chain for a translation", "a1 UID XGWMOVE" + strings.Repeat(" {1+}\r\nx", 1000) + "\r\na2 NOOP\r\n", []string{"a1 BAD", "a2 OK"}, false},
	{"bad end behind a literal", "a1 SEARCH TEXT {1+}\r\nx (\r\na2 NOOP\r\n", []string{"a1 BAD", "* BYE"}, true},
	{"NUL behind a literal", "a0 NOOP\r\na1 SEARCH TEXT {1+}\r\nx \x00\r\na2 NOOP\r\n", []string{"a0 OK", "a1 BAD", "* BYE"}, true},
	{"large behind a literal", "a1 SEARCH TEXT {1+}\r\nx TEXT {70000+}\r\n" + rigLong, []string{"a1 BAD [TOOBIG]", "* BYE"}, true},
	{"not DONE", "a1 IDLE\r\na2 NOOP\r\na3 NOOP\r\n", []string{"+", "a1 BAD", "a3 OK"}, false},
	{"DONE for nothing", "DONE\r\na3 NOOP\r\n", []string{"a3 OK"}, false},
	{"login again", "a1 LOGIN u p\r\na2 AUTHENTICATE PLAIN\r\na3 STARTTLS\r\na4 NOOP\r\n", []string{"a1 BAD", "a2 BAD", "a3 BAD", "a4 OK"}, false},
	{"COMPRESS", "a1 COMPRESS DEFLATE\r\na4 NOOP\r\n", []string{"a1 BAD", "a4 OK"}, false},
}

func TestHostileAfterLogin(t *testing.T) {
	for _, e := range evilAfterLogin {
		t.Run(e.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := rigStart(t, rigSetup{options: func(o *Options) { o.Limits.Append = 1_000_000 }})
				heard := make(chan []byte, 1)
				r.backend("IMAP4rev1 LITERAL+ IDLE UIDPLUS", func(p *rigPeer) { heard <- p.obey() })
				c := r.client()
				c.login()
				e.run(t, c)
				r.ended()
				rigHeard(t, r.heard())
				rigClean(t, <-heard)
				if n := len(r.carried("client")); n > 2<<20 {
					t.Errorf("%d octets were read", n)
				}
			})
		})
	}
}

// TestManyCommands sends far more commands at once than may be under way: each is answered, in order.
func TestManyCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rigStart(t, rigSetup{})
		r.backend(rigCapsPlain, func(p *rigPeer) { p.obey() })
		c := r.client()
		c.login()
		kinds := []string{"NOOP", "CAPABILITY", "XNONE", "SEARCH ALL", "UID XGWMOVE 1 x", "APPEND x {2+}\r\nab", "ID NIL"}
		var all strings.Builder
		for i := range 10_000 {
			fmt.Fprintf(&all, "t%d %s\r\n", i, kinds[i%len(kinds)])
		}
		go c.say(all.String())
		for i := range 10_000 {
			c.must(fmt.Sprintf("t%d ", i))
		}
		c.ask("z", "LOGOUT", "OK")
		got, _ := c.end()
		s := rigParse(t, got)
		for i := range 10_000 {
			if n := len(s.tagged[fmt.Sprintf("t%d", i)]); n != 1 {
				t.Errorf("%d answers to t%d", n, i)
			}
		}
		r.ended()
	})
}

// Whatever stands behind STARTTLS was sent in the clear: nothing of it is executed, on either leg.
func TestStartTLSInjectionByClient(t *testing.T) {
	cert, _ := imaptest.Certificate(t)
	synctest.Test(t, func(t *testing.T) {
		r := rigStart(t, rigSetup{listener: func(l *Listener) {
			l.TLS, l.TLSConfig = StartTLS, &tls.Config{Certificates: []tls.Certificate{cert}}
		}})
		c := r.client()
		c.must("* OK")
		c.say("a STARTTLS\r\nb LOGIN u p\r\n")
		got, _ := c.end()
		if strings.Contains(string(got), "\na ") || strings.Contains(string(got), "\nb ") {
			t.Errorf("the client got an answer:\n%s", got)
		}
		if len(r.all()) != 1 {
			t.Error("a backend was called")
		}
		r.ended()
	})
}

func TestStartTLSWithBackend(t *testing.T) {
	cert, pool := imaptest.Certificate(t)
	for _, behind := range []string{"", "* CAPABILITY EVIL\r\n"} {
		synctest.Test(t, func(t *testing.T) {
			r := rigStart(t, rigSetup{backend: func(b *backend.Config) {
				b.TLS, b.TLSConfig = backend.StartTLS, &tls.Config{RootCAs: pool, ServerName: "localhost"}
			}, listener: func(l *Listener) {
				l.TLS, l.TLSConfig = StartTLS, &tls.Config{Certificates: []tls.Certificate{cert}}
			}})
			if behind == "" {
				(&imaptest.Backend{Store: rigStore(), TLS: &tls.Config{Certificates: []tls.Certificate{cert}}}).Start(t, r.back)
			} else {
				r.serve(func(p *rigPeer) {
					p.send("* OK [CAPABILITY IMAP4rev1 STARTTLS] hi")
					p.raw(p.want("STARTTLS") + " OK go\r\n" + behind)
					secure := tls.Server(p.conn, &tls.Config{Certificates: []tls.Certificate{cert}})
					p = &rigPeer{t: t, conn: secure, in: bufio.NewReader(secure)}
					p.answer()
				})
			}
			c := r.client()
			c.must("* OK")
			c = c.startTLS(r, &tls.Config{RootCAs: pool, ServerName: "localhost"})
			want := "OK"
			if behind != "" {
				want = "NO [UNAVAILABLE]"
			}
			c.ask("a1", "LOGIN riley firetruck", want)
			c.ask("a2", "LOGOUT", "OK")
			got, _ := c.end()
			rigParse(t, got)
			r.ended()
		})
	}
}
