package proxy

import (
	"bytes"
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imapgate/imapgate/proxy/backend"
	"github.com/imapgate/imapgate/proxy/imaptest"
	"github.com/imapgate/imapgate/routing"
)

// A pair is two backends of one pool, in the order of the list.
type pair struct {
	a, b *imaptest.Listener
	log  bytes.Buffer // written under the log's lock; read when nothing moves
}

// inPool puts a pool of two in the place of a theatre's backend.
func inPool(t *testing.T, th *theatre, pool routing.Pool) *pair {
	p := &pair{a: imaptest.Listen(), b: imaptest.Listen()}
	t.Cleanup(func() { p.a.Close(); p.b.Close() })
	pool.Name, pool.Backends = "mail", []string{"a", "b"}
	th.opts.Table = table(t, routing.Config{
		Backends: []routing.Backend{{Name: "a", MaxSessions: 2}, {Name: "b", MaxSessions: 2}},
		Pools:    []routing.Pool{pool},
		Routes:   []routing.Route{{Pool: "mail"}},
	})
	reach := imaptest.Network{"a:143": p.a, "b:143": p.b}
	th.opts.Backends = map[string]*backend.Config{
		"a": {Name: "a", Address: "a:143", TLS: backend.None, Dial: reach.DialContext},
		"b": {Name: "b", Address: "b:143", TLS: backend.None, Dial: reach.DialContext},
	}
	th.opts.Log = slog.New(slog.NewTextHandler(&p.log, nil))
	return p
}

// serveMail lets everybody in at one of them.
func serveMail(t *testing.T, l *imaptest.Listener) *imaptest.Backend {
	b := &imaptest.Backend{Store: imaptest.NewStore()}
	b.Start(t, l)
	return b
}

const (
	awayNow   = "a NO [UNAVAILABLE] Mail is temporarily unavailable, try again later"
	wrongPass = "a NO [AUTHENTICATIONFAILED] User name or password is wrong"
)

// answers is a backend that is asked to let riley in and says something else.
func answers(line string) imaptest.Script {
	return imaptest.Script{
		imaptest.Send("* OK [CAPABILITY IMAP4rev1] ready"), imaptest.Expect(`l1 LOGIN "riley" "firetruck"`),
		imaptest.Send(line), imaptest.ExpectEOF(),
	}
}

// TestFailover is what the first member of a pool does, and whether the second is asked then.
func TestFailover(t *testing.T) {
	asked := answers("")[:2]
	for name, tt := range map[string]struct {
		first  imaptest.Script
		answer string // of the first, where it is final
	}{
		"refused":           {nil, ""},
		"BYE in greeting":   {imaptest.Script{imaptest.Send("* BYE full"), imaptest.ExpectEOF()}, ""},
		"PREAUTH":           {imaptest.Script{imaptest.Send("* PREAUTH in"), imaptest.ExpectEOF()}, ""},
		"silent":            {imaptest.Script{imaptest.ExpectEOF()}, ""},
		"gone in greeting":  {imaptest.Script{imaptest.SendRaw("* OK")}, ""},
		"gone before login": {imaptest.Script{imaptest.Send("* OK ready")}, ""},
		"gone in login":     {append(imaptest.Script{}, asked...), ""},
		"reset in login":    {append(append(imaptest.Script{}, asked...), imaptest.Vanish()), ""},
		"away in login":     {append(append(imaptest.Script{}, asked...), imaptest.Send("* BYE [UNAVAILABLE] restart")), ""},
		"BYE in login":      {append(append(imaptest.Script{}, asked...), imaptest.Send("* BYE wrong password")), awayNow},
		"echo and no sense": {append(append(imaptest.Script{}, asked...), imaptest.Send("l7 NO firetruck")), awayNow},
		"unavailable":       {answers("l1 NO [UNAVAILABLE] later"), ""},
		"wrong password":    {answers("l1 NO [AUTHENTICATIONFAILED] no"), wrongPass},
		"plain NO":          {answers("l1 NO no"), wrongPass},
		"limit":             {answers("l1 NO [LIMIT] many"), "a NO [LIMIT] Too many connections of this user"},
		"broken":            {answers("l1 NO [SERVERBUG] oops"), awayNow},
		"BAD":               {answers("l1 BAD what"), awayNow},
		"out of sync":       {answers("l7 OK in"), awayNow},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				th := unstartedTheatre(t)
				p := inPool(t, th, routing.Pool{Balance: routing.First, SharedStore: true})
				th.opts.Timeouts.Connect = time.Second
				if tt.first == nil {
					p.a.Close()
				} else {
					tt.first.Start(t, p.a)
				}
				second := serveMail(t, p.b)
				th.start(t)
				answer := loggedIn
				if tt.answer != "" {
					answer = imaptest.Expect(tt.answer)
				}
				th.client(t, greeted, imaptest.Send("a LOGIN riley firetruck"), answer)
				synctest.Wait()
				if n := len(second.Commands()); (n == 0) != (tt.answer != "") {
					t.Errorf("the second was told %q", second.Commands())
				}
				if log := p.log.String(); tt.answer == "" && (!strings.Contains(log, "backend=a next=b") || !strings.Contains(log, "tried=a")) {
					t.Errorf("the log does not tell:\n%s", log)
				}
				if n := th.opts.Table.Live("a") + th.opts.Table.Live("b"); n != 0 {
					t.Errorf("%d leases are held", n)
				}
			})
		})
	}
}

// A certificate that is not the backend's is a failure of TLS: nobody's password has been told.
func TestFailoverOfTLS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cert, _ := imaptest.Certificate(t)
		th := unstartedTheatre(t)
		p := inPool(t, th, routing.Pool{Balance: routing.First, SharedStore: true})
		th.opts.Backends["a"].TLS = backend.Implicit
		th.opts.Backends["a"].TLSConfig = &tls.Config{ServerName: "imap.example.org"}
		imaptest.Script{notTrusted(&tls.Config{Certificates: []tls.Certificate{cert}})}.Start(t, p.a)
		serveMail(t, p.b)
		th.start(t)
		th.client(t, greeted, imaptest.Send("a LOGIN riley firetruck"), loggedIn)
	})
}

// Members that do not share their mail never stand in for each other.
func TestNoFailoverWithoutSharedStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := unstartedTheatre(t)
		p := inPool(t, th, routing.Pool{})
		backends := map[string]*imaptest.Backend{}
		home := th.opts.Table.Explain(routing.Request{User: "riley"}).Backend
		for name, l := range map[string]*imaptest.Listener{"a": p.a, "b": p.b} {
			if name == home {
				l.Close()
			} else {
				backends[name] = serveMail(t, l)
			}
		}
		th.start(t)
		th.client(t, greeted, imaptest.Send("a LOGIN riley firetruck"), imaptest.Expect(awayNow),
			imaptest.Send("a LOGIN riley firetruck"), imaptest.Expect(awayNow))
		for name, b := range backends {
			if len(b.Commands()) > 0 {
				t.Errorf("%s was told %q", name, b.Commands())
			}
		}
	})
}

func TestAllAreDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := unstartedTheatre(t)
		p := inPool(t, th, routing.Pool{Balance: routing.First, SharedStore: true})
		p.a.Close()
		p.b.Close()
		th.start(t)
		th.client(t, greeted, imaptest.Send("a LOGIN riley firetruck"), imaptest.Expect(awayNow))
		synctest.Wait()
		if n := th.refused("backend_unreachable"); n != 1 {
			t.Errorf("backend_unreachable was counted %v times", n)
		}
		if !strings.Contains(p.log.String(), "tried a, b: backend b: dial") {
			t.Errorf("the log does not tell:\n%s", &p.log)
		}
	})
}

// A member that could not be reached is not tried by everybody.
func TestDownIsLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := unstartedTheatre(t)
		p := inPool(t, th, routing.Pool{Balance: routing.First, SharedStore: true})
		p.a.Close()
		dials, reach := 0, th.opts.Backends["a"].Dial
		th.opts.Backends["a"].Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			dials++
			return reach(ctx, network, address)
		}
		serveMail(t, p.b)
		th.start(t)
		for range 3 {
			th.client(t, greeted, imaptest.Send("a LOGIN riley firetruck"), loggedIn)
			synctest.Wait() // until its place is free
		}
		if dials != 1 {
			t.Errorf("it was dialled %d times", dials)
		}
		<-time.After(2 * time.Second)
		th.client(t, greeted, imaptest.Send("a LOGIN riley firetruck"), loggedIn)
		if dials != 2 {
			t.Errorf("after a while it was dialled %d times", dials)
		}
	})
}

// All attempts together have timeouts.login; what is cut off by that says nothing of a backend.
func TestFailoverInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := unstartedTheatre(t)
		p := inPool(t, th, routing.Pool{Balance: routing.First, SharedStore: true})
		th.opts.Timeouts.Connect, th.opts.Timeouts.Login = 3*time.Second, 4*time.Second
		imaptest.Script{imaptest.ExpectEOF()}.Start(t, p.a)
		imaptest.Script{imaptest.ExpectEOF()}.Start(t, p.b)
		th.start(t)
		began := time.Now()
		th.client(t, greeted, imaptest.Send("a LOGIN riley firetruck"), imaptest.Expect(awayNow))
		if took := time.Since(began); took != 4*time.Second {
			t.Errorf("the answer took %v", took)
		}
		synctest.Wait()
		d := th.opts.Table.Explain(routing.Request{User: "riley"})
		if strings.Contains(d.Reason, `"b" could not be reached`) {
			t.Errorf("the time of all attempts was held against b: %s", d)
		}
	})
}

func TestPoolIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := unstartedTheatre(t)
		p := inPool(t, th, routing.Pool{Balance: routing.First, SharedStore: true})
		serveMail(t, p.a)
		serveMail(t, p.b)
		th.start(t)
		var open []*imaptest.Conn
		for range 4 {
			c := th.dial(t)
			defer c.Close()
			run(t, c, greeted, imaptest.Send("a LOGIN riley firetruck"), loggedIn)
			open = append(open, c)
		}
		if a, b := th.opts.Table.Live("a"), th.opts.Table.Live("b"); a != 2 || b != 2 {
			t.Errorf("%d sessions at a, %d at b", a, b)
		}
		th.client(t, greeted, imaptest.Send("a LOGIN riley firetruck"), imaptest.Expect(awayNow))
		if n := th.refused("pool_full"); n != 1 {
			t.Errorf("pool_full was counted %v times", n)
		}
		open[0].Close()
		synctest.Wait()
		th.client(t, greeted, imaptest.Send("a LOGIN riley firetruck"), loggedIn)
	})
}
