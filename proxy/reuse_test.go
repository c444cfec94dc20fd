package proxy

import (
	"crypto/tls"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imapgate/imapgate/proxy/auth"
	"github.com/imapgate/imapgate/proxy/backend"
	"github.com/imapgate/imapgate/proxy/imaptest"
)

// The second page has the connection of the first: one login, the mailbox left, other tags.
func TestReuse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &patient{before: map[string]string{"UNSELECT": "* 7 EXISTS\r\n* 7 FETCH (BODY[] {6}\r\nsecret)\r\n"}}
		r := reusing(t, p)
		first := r.page("riley", "firetruck", `LIST "" *`, "SELECT INBOX", "FETCH 1 BODY[]")
		r.waiting(1)
		if n := r.srv.options().Table.Live("b"); n != 0 {
			t.Errorf("%d leases are held by a connection that waits", n)
		}
		second := r.page("riley", "firetruck", `LIST "" *`, "EXAMINE INBOX", "FETCH 1 BODY[]")
		want := []string{`1 LOGIN "riley" "firetruck"`, `1 LIST "" *`, "1 SELECT INBOX", "1 FETCH 1 BODY[]", "1 UNSELECT",
			"1 NOOP", `1 LIST "" *`, "1 EXAMINE INBOX", "1 FETCH 1 BODY[]", "1 UNSELECT"}
		if got := p.heard(); !slices.Equal(got, want) {
			t.Errorf("the backend heard %q\nwant %q", got, want)
		}
		if strings.Contains(first+second, "secret") {
			t.Errorf("what was told of the first one's mailbox reached a client:\n%s", second)
		}
		if greetings := strings.ReplaceAll(second, "* 1 EXISTS\r\n* OK [UIDVALIDITY 1] hi\r\n", ""); greetings != strings.ReplaceAll(first, "* 1 EXISTS\r\n* OK [UIDVALIDITY 1] hi\r\n", "") {
			t.Errorf("the second client heard\n%s\nthe first\n%s", second, first)
		}
		r.wantResults("kept=2 reused=1")
		tags := map[string]bool{}
		for line := range strings.Lines(string(r.heard())) {
			tag, _, _ := strings.Cut(line, " ")
			if tags[tag] {
				t.Errorf("the tag %s was used twice", tag)
			}
			tags[tag] = true
		}
	})
}

// What UNSELECT does not undo ends the connection, whoever does it and however it is written.
func TestReuseIsSpoilt(t *testing.T) {
	for _, cmd := range []string{
		"ENABLE CONDSTORE", "ENABLE UTF8=ACCEPT", "ENABLE QRESYNC", "SELECT INBOX (CONDSTORE)", "SELECT INBOX (X)", "EXAMINE INBOX (CONDSTORE)",
		"STATUS INBOX (HIGHESTMODSEQ)", "STATUS INBOX (MESSAGES highestmodseq)", `LIST "" * RETURN (STATUS (HIGHESTMODSEQ))`,
		"NOTIFY NONE", "NOTIFY SET (SELECTED (MessageNew MessageExpunge))", "LANGUAGE de", "COMPARATOR i;octet", "XFOO bar", "XFOO",
		"XAPPLEPUSHSERVICE aps-version 2",
	} {
		t.Run(cmd, func(t *testing.T) { spoils(t, cmd) })
	}
	for _, cmd := range []string{
		"FETCH 1 MODSEQ", "FETCH 1 (UID modseq)", "UID FETCH 1:* FLAGS (CHANGEDSINCE 5)", "STORE 1 (UNCHANGEDSINCE 5) FLAGS ()",
		"SEARCH MODSEQ 5", `SEARCH "MODSEQ" 5`, "UID SEARCH RETURN (UPDATE) ALL", "UID SEARCH RETURN (SAVE) ALL", "SORT (DATE) UTF-8 MODSEQ 5",
		"UID SEARCH RETURN (ALL UPDATE) SUBJECT x", "SEARCH {6+}\r\nMODSEQ 5",
	} {
		t.Run(cmd, func(t *testing.T) { spoils(t, "SELECT INBOX", cmd) })
	}
}

func spoils(t *testing.T, commands ...string) {
	synctest.Test(t, func(t *testing.T) {
		p := &patient{}
		r := rigStart(t, rigSetup{
			backend: func(b *backend.Config) {
				b.Reuse = backend.Reuse{Idle: reuseIdle, Life: reuseLife, Connections: 10, PerUser: 2}
			},
			options: func(o *Options) {
				o.Policy.PassCommands = []string{"XFOO"}
				o.Policy.Add = capNames("NOTIFY UTF8=ACCEPT")
			},
		})
		p.start(r)
		r.page("riley", "firetruck", commands...)
		heard := p.heard()
		if len(heard) != len(commands)+2 || heard[len(heard)-1] != "1 LOGOUT" {
			t.Fatalf("the backend heard %q", heard)
		}
		r.waiting(0)
		r.page("riley", "firetruck")
		if p.logins() != 2 {
			t.Errorf("the connection was used again: %q", p.heard())
		}
		r.wantResults("kept=1 trace=1")
	})
}

// What leaves no trace: the ordinary commands.
func TestReuseAfterOrdinaryCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &patient{answer: map[string]string{`STATUS gone (MESSAGES)`: "NO gone"}}
		r := reusing(t, p)
		r.page("riley", "firetruck",
			"CAPABILITY", "NOOP", "NAMESPACE", `LSUB "" *`, "STATUS INBOX (MESSAGES UNSEEN)", "STATUS gone (MESSAGES)", "CREATE x", "SUBSCRIBE x",
			"APPEND x {2+}\r\nab", "SELECT x", "UID SEARCH UNSEEN", "UID SEARCH RETURN (MIN COUNT) ALL", "UID FETCH 1 (FLAGS BODY.PEEK[])", `STORE 1 +FLAGS (\Seen)`,
			"UID COPY 1 INBOX", "UID MOVE 1 INBOX", "EXPUNGE", "UID SORT (DATE) UTF-8 ALL", "THREAD REFERENCES UTF-8 ALL", "GETQUOTAROOT x", "MYRIGHTS x",
			`SETMETADATA x (/private/comment "hi")`, "CHECK", "IDLE\r\nDONE", "UNSELECT", "EXAMINE x", "CLOSE", "DELETE x")
		r.waiting(1)
		r.page("riley", "firetruck")
		if p.logins() != 1 {
			t.Errorf("the backend heard %q", p.heard())
		}
		if told := p.heard(); slices.Contains(told[len(told)-3:], "1 UNSELECT") {
			t.Errorf("UNSELECT was sent without a mailbox: %q", told)
		}
	})
}

// Only who says the same name and the same password, by the same kind of proof, gets it.
func TestReuseIsForTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &patient{answer: map[string]string{`LOGIN "riley" "wrong"`: "NO [AUTHENTICATIONFAILED] no"}}
		r := reusing(t, p, func(b *backend.Config) { b.Reuse.PerUser = 10 })
		r.page("riley", "firetruck")
		for i, who := range []string{"riley firetrucK", "morgan firetruck", "Riley firetruck", "rileyf iretruck", `riley "firetruck "`, `ril eyfiretruck`} {
			user, password, _ := strings.Cut(who, " ")
			r.page(user, password)
			if p.logins() != i+2 {
				t.Errorf("%s was let in without a login", who)
			}
		}
		c := r.client()
		c.must("* OK")
		c.ask("a", "LOGIN riley wrong", "NO [AUTHENTICATIONFAILED]")
		c.ask("b", "LOGIN riley firetruck", "OK")
		c.ask("c", "LOGOUT", "OK")
		synctest.Wait()
		if n := p.logins(); n != 8 {
			t.Errorf("there were %d logins: %q", n, p.heard())
		}
	})
}

func TestSpareKeys(t *testing.T) {
	a, b := &backend.Config{Name: "a", Address: "a:143"}, &backend.Config{Name: "b", Address: "a:143"}
	renewed := &backend.Config{Name: "a", Address: "a:143"}
	var p, other spares
	all := map[spareKey]int{}
	for i, k := range []spareKey{
		p.key(a, auth.Password("riley", "firetruck")), p.key(b, auth.Password("riley", "firetruck")), p.key(renewed, auth.Password("riley", "firetruck")),
		p.key(a, auth.Password("rileyf", "iretruck")), p.key(a, auth.Token(auth.XOAuth2, "riley", "firetruck")),
		p.key(a, auth.Token(auth.OAuthBearer, "riley", "firetruck")), other.key(a, auth.Password("riley", "firetruck")),
	} {
		if j, twice := all[k]; twice {
			t.Errorf("keys %d and %d are the same", j, i)
		}
		all[k] = i
	}
	if first, again := p.key(a, auth.Password("riley", "firetruck")), p.key(a, auth.Password("riley", "firetruck")); first != again {
		t.Error("a key is not found again")
	}
}

// While it waits, and when it is asked for, a connection must be silent and alive.
func TestReuseOfWhatIsNotSilent(t *testing.T) {
	for name, tt := range map[string]struct {
		p       *patient
		waits   func(p *patient)
		results string
	}{
		"says something":  {&patient{}, func(p *patient) { p.say(1, "* 5 EXISTS\r\n") }, "kept=2 ended=1"},
		"says an octet":   {&patient{}, func(p *patient) { p.say(1, "*") }, "kept=2 ended=1"},
		"says BYE":        {&patient{}, func(p *patient) { p.say(1, "* BYE shutting down\r\n") }, "kept=2 ended=1"},
		"is gone":         {&patient{}, func(p *patient) { p.end(1) }, "kept=2 ended=1"},
		"does not answer": {&patient{answer: map[string]string{"NOOP": "-"}}, func(*patient) {}, "kept=2 dead=1"},
		"answers NO":      {&patient{answer: map[string]string{"NOOP": "NO who are you"}}, func(*patient) {}, "kept=2 dead=1"},
		"has news":        {&patient{before: map[string]string{"NOOP": "* 9 EXISTS\r\n"}}, func(*patient) {}, "kept=2 dead=1"},
		"says BYE late":   {&patient{before: map[string]string{"NOOP": "* BYE too late\r\n"}}, func(*patient) {}, "kept=2 dead=1"},
		"answers another": {&patient{before: map[string]string{"NOOP": "p1 OK that was the one before\r\n"}}, func(*patient) {}, "kept=2 dead=1"},
		"goes on":         {&patient{answer: map[string]string{"NOOP": "OK fine\r\n* 9 EXISTS"}}, func(*patient) {}, "kept=2 dead=1"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := reusing(t, tt.p)
				r.page("riley", "firetruck", "SELECT INBOX")
				r.waiting(1)
				tt.waits(tt.p)
				synctest.Wait()
				got := r.page("riley", "firetruck", `LIST "" *`)
				if strings.Contains(got, "EXISTS") || strings.Contains(got, "BYE too") {
					t.Errorf("it reached the client:\n%s", got)
				}
				if tt.p.logins() != 2 {
					t.Errorf("the backend heard %q", tt.p.heard())
				}
				r.wantResults(tt.results)
			})
		})
	}
}

// A session that does not end in order leaves nothing.
func TestReuseAfterDisorder(t *testing.T) {
	for name, tt := range map[string]struct {
		p    *patient
		ends func(c *rigClient, p *patient)
	}{
		"the client is gone":     {&patient{}, func(c *rigClient, _ *patient) { c.conn.Close() }},
		"the client half-closes": {&patient{}, func(c *rigClient, _ *patient) { c.conn.(interface{ CloseWrite() error }).CloseWrite() }},
		"inside a literal":       {&patient{}, func(c *rigClient, _ *patient) { c.say("b APPEND x {10+}\r\nabc"); c.conn.Close() }},
		"BYE before LOGOUT": {&patient{before: map[string]string{"NOOP": "* BYE soon\r\n"}}, func(c *rigClient, _ *patient) {
			c.say("b NOOP\r\nc LOGOUT\r\n")
		}},
		"no UNSELECT":      {&patient{caps: "IMAP4rev1"}, func(c *rigClient, _ *patient) { c.say("b SELECT x\r\nc LOGOUT\r\n") }},
		"UNSELECT refused": {&patient{answer: map[string]string{"UNSELECT": "BAD no"}}, func(c *rigClient, _ *patient) { c.say("b SELECT x\r\nc LOGOUT\r\n") }},
		"UNSELECT unheard": {&patient{answer: map[string]string{"UNSELECT": "-"}}, func(c *rigClient, _ *patient) { c.say("b SELECT x\r\nc LOGOUT\r\n") }},
		"BYE at UNSELECT":  {&patient{before: map[string]string{"UNSELECT": "* BYE x\r\n"}}, func(c *rigClient, _ *patient) { c.say("b SELECT x\r\nc LOGOUT\r\n") }},
		"SELECT refused":   {&patient{answer: map[string]string{"SELECT x": "NO no"}}, func(c *rigClient, _ *patient) { c.say("b SELECT x\r\nc LOGOUT\r\n") }},
		"BAD":              {&patient{answer: map[string]string{"NAMESPACE": "BAD what"}}, func(c *rigClient, _ *patient) { c.say("b NAMESPACE\r\nc LOGOUT\r\n") }},
		"APPEND refused":   {&patient{answer: map[string]string{"APPEND x {2+}": "NO full"}}, func(c *rigClient, _ *patient) { c.say("b APPEND x {2+}\r\nab\r\nc LOGOUT\r\n") }},
		"BAD at nothing":   {&patient{before: map[string]string{"NAMESPACE": "* BAD what\r\n"}}, func(c *rigClient, _ *patient) { c.say("b NAMESPACE\r\nc LOGOUT\r\n") }},
		"BAD at UNSELECT":  {&patient{before: map[string]string{"UNSELECT": "* BAD what\r\n"}}, func(c *rigClient, _ *patient) { c.say("b SELECT x\r\nc LOGOUT\r\n") }},
		"ENABLED unasked":  {&patient{before: map[string]string{"NAMESPACE": "* ENABLED CONDSTORE\r\n"}}, func(c *rigClient, _ *patient) { c.say("b NAMESPACE\r\nc LOGOUT\r\n") }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := reusing(t, tt.p)
				c := r.client()
				c.login()
				tt.ends(c, tt.p)
				c.end()
				c.conn.Close()
				rigPass(5 * time.Second)
				r.waiting(0)
				r.ended()
			})
		})
	}
}

// Nothing behind LOGOUT is executed, nor does it get to the next session.
func TestReuseWithCommandsBehindLogout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &patient{}
		r := reusing(t, p)
		c := r.client()
		c.must("* OK")
		c.say("a LOGIN riley firetruck\r\nb SELECT INBOX\r\nc FETCH 1 BODY[]\r\nd LOGOUT\r\ne DELETE INBOX\r\nf APPEND x {5+}\r\nhello\r\n")
		c.must("d OK")
		c.end()
		c.conn.Close()
		r.waiting(1)
		r.page("riley", "firetruck", "NOOP")
		want := []string{`1 LOGIN "riley" "firetruck"`, "1 SELECT INBOX", "1 FETCH 1 BODY[]", "1 UNSELECT", "1 NOOP", "1 NOOP"}
		if got := p.heard(); !slices.Equal(got, want) {
			t.Errorf("the backend heard %q", got)
		}
	})
}

// A connection waits for its time, and ends with its life however often it is used.
func TestReuseExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &patient{}
		r := reusing(t, p)
		r.page("riley", "firetruck")
		rigPass(reuseIdle - time.Second)
		r.waiting(1)
		rigPass(2 * time.Second)
		r.waiting(0)
		r.ended()
		if told := p.heard(); told[len(told)-1] != "1 LOGOUT" {
			t.Errorf("the backend heard %q", told)
		}
		r.wantResults("kept=1 expired=1")
		for range 5 {
			r.page("riley", "firetruck")
			rigPass(reuseIdle - 5*time.Second)
		}
		if p.logins() != 3 { // the third minute ended while it waited
			t.Errorf("the backend heard %q", p.heard())
		}
	})
}

// Under TLS it is as without.
func TestReuseUnderTLS(t *testing.T) {
	cert, pool := imaptest.Certificate(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for name, meanwhile := range map[string]func(p *patient){
			"silent": func(*patient) {},
			"ends":   func(p *patient) { p.end(1) },
		} {
			t.Run(tls.VersionName(version)+" "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p := &patient{tls: &tls.Config{Certificates: []tls.Certificate{cert}, MaxVersion: version}}
					r := reusing(t, p, func(b *backend.Config) {
						b.TLS, b.TLSConfig = backend.Implicit, &tls.Config{RootCAs: pool, ServerName: "imap.example.org"}
					})
					r.page("riley", "firetruck", "SELECT INBOX")
					r.waiting(1)
					meanwhile(p)
					synctest.Wait()
					r.page("riley", "firetruck", "SELECT INBOX")
					if n := p.logins(); (n == 1) != (name == "silent") {
						t.Errorf("there were %d logins: %q", n, p.heard())
					}
				})
			})
		}
	}
}

// What waits is bounded, in all and of one user.
func TestReuseIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &patient{}
		r := reusing(t, p, func(b *backend.Config) { b.Reuse.Connections = 3 })
		var all []*rigClient
		for _, user := range []string{"riley", "riley", "riley", "morgan", "alex"} {
			c := r.client()
			c.must("* OK")
			c.ask("a", "LOGIN "+user+" firetruck", "OK")
			all = append(all, c)
		}
		for _, c := range all {
			c.ask("z", "LOGOUT", "OK")
			c.end()
			c.conn.Close()
		}
		r.waiting(3)
		r.wantResults("kept=3 full=2")
	})
}
