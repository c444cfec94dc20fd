package proxy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/backend"
	"github.com/imapgate/imapgate/proxy/imaptest"
	"github.com/imapgate/imapgate/proxy/translate"
	"github.com/imapgate/imapgate/proxy/wire"
)

// A seer is a foresight under options that a test can change.
type seer struct {
	foresight
	opts Options
}

func newSeer(goals ...Goal) *seer {
	p := &seer{opts: Options{Policy: quietPolicy(), Backends: make(map[string]*backend.Config), Goals: map[string][]Goal{"imaps": goals}}}
	p.opts.Policy.Move = translate.MoveOff
	for _, g := range goals {
		p.opts.Backends[g.Backend] = &backend.Config{Name: g.Backend, Address: g.Backend + ".example:143"}
	}
	return p
}

func (p *seer) options() *Options { return &p.opts }

// login lets somebody log in at a backend that announces caps, the mechanisms before and the others behind.
func (p *seer) login(name, caps string) {
	var before, after []string
	for each := range strings.FieldsSeq(caps) {
		if strings.HasPrefix(each, "AUTH=") {
			before = append(before, each)
		} else {
			after = append(after, each)
		}
	}
	p.see(&backend.Conn{
		Config: p.opts.Backends[name],
		Before: backend.Announce(strings.Join(before, " ")), Announcement: backend.Announce(strings.Join(after, " ")),
	}, p.options)
}

// more is what the listener says beyond what it always says.
func (p *seer) more() string {
	var more []string
	for name := range strings.FieldsSeq(p.door("imaps", p.options).open) {
		if !slices.Contains(strings.Fields(capsBefore+" AUTH=PLAIN AUTH=LOGIN"), name) {
			more = append(more, name)
		}
	}
	return strings.Join(more, " ")
}

func (p *seer) expect(t *testing.T, want string) {
	t.Helper()
	if got := p.more(); got != want {
		t.Errorf("the list has %q more, want %q", got, want)
	}
}

func TestForesight(t *testing.T) {
	p := newSeer(Goal{"one", "routes[0]"}, Goal{"two", "routes[1]"})
	p.expect(t, "")
	p.login("one", "IMAP4rev1 IDLE MOVE UIDPLUS COMPRESS=DEFLATE XEVIL AUTH=PLAIN")
	p.expect(t, "")
	p.login("two", "IMAP4rev1 UIDPLUS IDLE QUOTA AUTH=XOAUTH2")
	p.expect(t, "UIDPLUS IDLE")
	p.login("two", "IMAP4rev1 IDLE QUOTA AUTH=XOAUTH2")
	p.expect(t, "IDLE")
	p.login("two", "IMAP4rev1 UIDPLUS IDLE QUOTA AUTH=XOAUTH2")
	p.expect(t, "IDLE")
	for range sightingLife {
		p.login("two", "IMAP4rev1 UIDPLUS IDLE QUOTA AUTH=XOAUTH2")
	}
	p.expect(t, "UIDPLUS IDLE")
}

// What a polyfill adds counts, and what a policy on the way to one backend takes away.
func TestForesightHasPolicies(t *testing.T) {
	p := newSeer(Goal{"one", "routes[0]"}, Goal{"two", "routes[1]"})
	p.opts.Policies = func(_, backend, route string) translate.Policy {
		policy := quietPolicy()
		policy.Move = translate.MoveOff
		if backend == "two" {
			policy.Move = translate.MoveAuto
		}
		if route == "routes[0]" {
			policy.Remove = []imap.Cap{"IDLE"}
		}
		return policy
	}
	p.login("one", "IMAP4rev1 IDLE MOVE UIDPLUS")
	p.login("two", "IMAP4rev1 IDLE UIDPLUS")
	p.expect(t, "MOVE UIDPLUS")
}

// What the proxy keeps itself is not told to everybody where a route takes it away, but still taken.
func TestForesightWithholds(t *testing.T) {
	p := newSeer(Goal{"one", "routes[0]"}, Goal{"two", "routes[1]"})
	p.opts.Policies = func(_, _, route string) translate.Policy {
		policy := quietPolicy()
		if route == "routes[1]" {
			policy.Remove = []imap.Cap{"LITERAL+", "ID"}
		}
		return policy
	}
	d := p.door("imaps", p.options)
	if want := "IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=LOGIN"; d.open != want {
		t.Errorf("the list is %q, want %q", d.open, want)
	}
	if d.refuses(wire.Token{Kind: wire.Literal, Size: 10, NonSync: true}) || d.policy.Removes("ID") {
		t.Error("what an older list has told is not taken any more")
	}
}

// Tokens are taken where all backends take them, in whichever form.
func TestForesightOfTokens(t *testing.T) {
	p := newSeer(Goal{"one", "routes[0]"}, Goal{"two", "routes[0]"})
	p.login("one", "IMAP4rev1 AUTH=XOAUTH2")
	p.expect(t, "")
	p.login("two", "IMAP4rev1 AUTH=OAUTHBEARER AUTH=PLAIN")
	p.expect(t, "AUTH=OAUTHBEARER AUTH=XOAUTH2")
	if d := p.door("imaps", p.options); strings.Contains(d.shut+d.shutOrTLS, "AUTH=") {
		t.Errorf("mechanisms where no login is possible: %s", d.shut)
	}
	p.login("two", "IMAP4rev1 AUTH=PLAIN")
	p.expect(t, "")
	p.opts.Policy.Add = []imap.Cap{"AUTH=XOAUTH2"}
	p.reload(p.options)
	p.expect(t, "AUTH=XOAUTH2")
	p.opts.Policy.Remove = []imap.Cap{"AUTH=*"}
	p.reload(p.options)
	if got := p.door("imaps", p.options).open; got != capsBefore {
		t.Errorf("the list is %q", got)
	}
}

func TestForesightOutlivesReloads(t *testing.T) {
	p := newSeer(Goal{"one", "routes[0]"})
	p.login("one", "IMAP4rev1 IDLE")
	p.reload(p.options)
	p.expect(t, "IDLE")
	p.opts.Goals = map[string][]Goal{"imaps": {{"one", "routes[0]"}, {"two", "routes[1]"}}}
	p.opts.Backends["two"] = &backend.Config{Name: "two", Address: "two.example:143"}
	p.reload(p.options)
	p.expect(t, "")
	p.login("two", "IMAP4rev1 IDLE")
	p.expect(t, "IDLE")
	p.opts.Backends["one"] = &backend.Config{Name: "one", Address: "new.example:143"} // another server
	p.reload(p.options)
	p.expect(t, "")
	if len(p.backends) != 1 {
		t.Errorf("%d backends are remembered", len(p.backends))
	}
	p.opts.Goals = nil
	p.reload(p.options)
	p.expect(t, "")
}

// Of a backend that says something else to each user nothing is foreseen, and nothing is kept.
func TestForesightIsBounded(t *testing.T) {
	p := newSeer(Goal{"one", "routes[0]"})
	for i := range 10 * maxSightings {
		p.login("one", fmt.Sprintf("IMAP4rev1 IDLE X-%d", i))
		if want := map[bool]string{true: "IDLE"}[i < maxSightings]; p.more() != want {
			t.Fatalf("after %d logins the list has %q more, want %q", i+1, p.more(), want)
		}
	}
	if n := len(p.backends[backendKey{"one", "one.example:143"}].all); n != maxSightings+1 {
		t.Errorf("%d lists are kept", n)
	}
	before := p.doors.Load()
	p.login("one", "IMAP4rev1 IDLE X-y")
	if p.doors.Load() != before {
		t.Error("the lists were made again although nothing has changed")
	}
	for range sightingLife {
		p.login("one", "IMAP4rev1 MOVE")
	}
	p.login("one", "IMAP4rev1 MOVE")
	p.expect(t, "MOVE")
}

// A client that was greeted keeps its list; the next one hears the new one.
func TestForesightInGreetings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := startWith(t, func(th *theatre) { th.opts.Goals = map[string][]Goal{"imap": {{"old", "#1"}}} })
		early := th.dial(t)
		defer early.Close()
		run(t, early, imaptest.Expect("* OK [CAPABILITY "+capsBefore+" AUTH=PLAIN AUTH=LOGIN] imapgate ready"))
		for _, caps := range []string{"IMAP4rev1 IDLE UIDPLUS", "IMAP4rev1 IDLE"} {
			imaptest.Script{
				imaptest.Send("* OK [CAPABILITY IMAP4rev1] ready"),
				imaptest.Expect(`l1 LOGIN "riley" "firetruck"`),
				imaptest.Send("l1 OK [CAPABILITY " + caps + "] in"),
				imaptest.Expect("p1 LOGOUT"),
			}.Start(t, th.backends)
			th.client(t, imaptest.Match(`^\* OK `), imaptest.Send("a LOGIN riley firetruck"), imaptest.Match("^a OK "))
			synctest.Wait()
			th.client(t, imaptest.Expect("* OK [CAPABILITY "+capsBefore+" AUTH=PLAIN AUTH=LOGIN"+
				map[bool]string{true: " MOVE UIDPLUS"}[strings.Contains(caps, "UIDPLUS")]+" IDLE] imapgate ready"))
		}
		run(t, early, imaptest.Send("a CAPABILITY"), imaptest.Expect("* CAPABILITY "+capsBefore+" AUTH=PLAIN AUTH=LOGIN"))
	})
}
