package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imapgate/imapgate/proxy/backend"
)

// readied is a rig that makes n connections ahead of logins, in front of a patient backend.
func readied(t *testing.T, p *patient, n int, change ...func(*backend.Config)) *rig {
	t.Helper()
	r := rigStart(t, rigSetup{backend: func(b *backend.Config) {
		b.Ready = n
		for _, f := range change {
			f(b)
		}
	}})
	p.start(r)
	return r
}

// shelved wants so many connections to be ready, and no others to be open.
func (r *rig) shelved(want int) {
	r.t.Helper()
	synctest.Wait()
	open := 0
	for _, e := range r.all() {
		select {
		case <-e.closed:
		default:
			if e.peer == "backend" {
				open++
			}
		}
	}
	listed := 0
	p := &r.srv.shelf
	p.mu.Lock()
	for _, k := range p.stocks {
		listed += len(k.waiting)
		if k.coming != 0 {
			r.t.Errorf("%d are coming", k.coming)
		}
	}
	p.mu.Unlock()
	if listed != want || open != want {
		r.t.Errorf("%d connections are ready, %d are open, want %d", listed, open, want)
	}
}

func (r *rig) wantFates(want string) {
	r.t.Helper()
	var all []string
	for _, f := range []fate{used, expired, ended, dead, dropped, failed} {
		if n := r.figure("imapgate_backend_ready_total", string(f)); n > 0 {
			all = append(all, fmt.Sprintf("%s=%v", f, n))
		}
	}
	if got := strings.Join(all, " "); got != want {
		r.t.Errorf("connections met %q, want %q", got, want)
	}
}

func (p *patient) want(t *testing.T, want ...string) {
	t.Helper()
	if got := p.heard(); !slices.Equal(got, want) {
		t.Errorf("the backend heard %q\nwant %q", got, want)
	}
}

const rileys = `LOGIN "riley" "firetruck"`

// Each login goes by the oldest connection that is ready, and makes another one. The client hears the same.
func TestReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &patient{}
		r := readied(t, p, 2)
		first := r.page("riley", "firetruck", "SELECT INBOX")
		r.shelved(2)
		for range 3 {
			if again := r.page("riley", "firetruck", "SELECT INBOX"); again != first {
				t.Errorf("the client heard\n%s\nthe first\n%s", again, first)
			}
		}
		r.shelved(2)
		seen := map[string]bool{}
		for _, line := range p.heard() {
			n, cmd, _ := strings.Cut(line, " ")
			if cmd == rileys && seen[n] {
				t.Errorf("two logins went by connection %s", n)
			}
			seen[n] = true
		}
		if p.logins() != 4 {
			t.Errorf("the backend heard %q", p.heard())
		}
		r.wantFates("used=3")
		if n := r.srv.options().Table.Live("b"); n != 0 {
			t.Errorf("%d leases are held by connections that are ready", n)
		}
	})
}

// Who does not log in does not cause connections, and nobody's are left behind the last login.
func TestReadyExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &patient{answer: map[string]string{`LOGIN "riley" "wrong"`: "NO [AUTHENTICATIONFAILED] no"}}
		r := readied(t, p, 3)
		c := r.client()
		c.must("* OK")
		c.ask("a", "LOGIN riley wrong", "NO [AUTHENTICATIONFAILED]")
		r.shelved(0)
		c.ask("b", "LOGIN riley firetruck", "OK")
		c.ask("c", "LOGOUT", "OK")
		c.end()
		c.conn.Close()
		r.shelved(3)
		c = r.client()
		c.must("* OK")
		c.ask("a", "LOGIN riley wrong", "NO [AUTHENTICATIONFAILED]")
		c.conn.Close()
		r.shelved(2)
		rigPass(readyLife - time.Second)
		r.shelved(2)
		rigPass(time.Second)
		r.shelved(0)
		rigPass(time.Hour)
		r.shelved(0)
		if heard := strings.Join(p.heard(), " "); p.logins() != 3 || strings.Count(heard, "LOGOUT") != 3 {
			t.Errorf("the backend heard %s", heard)
		}
		r.wantFates("used=1 expired=2")
		r.page("riley", "firetruck")
		r.shelved(3)
	})
}

// What a backend says unasked, or its end, is the end of the connection, and no login goes by it.
func TestReadyIsEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &patient{}
		r := readied(t, p, 4)
		r.page("riley", "firetruck")
		p.say(2, "* BYE you are late\r\n")
		p.say(3, "* OK [CAPABILITY IMAP4rev1] injected\r\n")
		p.end(4)
		r.shelved(1)
		r.wantFates("ended=3")
		r.page("riley", "firetruck")
		r.shelved(4)
		p.want(t, "1 "+rileys, "1 LOGOUT", "5 "+rileys, "5 LOGOUT")
	})
}

// Something that comes in the very moment of the login counts too.
func TestReadySpeaksNow(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			p := &patient{}
			r := readied(t, p, 1)
			r.page("riley", "firetruck")
			go p.say(2, "* OK injected\r\n")
			r.page("riley", "firetruck")
			for _, line := range p.heard() {
				if line == "2 "+rileys {
					return // it came behind: the login itself drops what is untagged
				}
			}
			if p.logins() != 2 {
				t.Errorf("the backend heard %q", p.heard())
			}
		})
	}
}

// A connection that has died without a word is replaced once; one that has said anything has heard the password.
func TestReadyIsDead(t *testing.T) {
	for name, tt := range map[string]struct {
		last   map[int]string
		answer string
		heard  []string
		fates  string
	}{
		"silent":    {map[int]string{2: ""}, "OK", []string{"2 " + rileys, "3 " + rileys, "3 LOGOUT"}, "dead=1"},
		"twice":     {map[int]string{2: "", 3: ""}, "NO [UNAVAILABLE]", []string{"2 " + rileys, "3 " + rileys}, "dead=1"},
		"BYE":       {map[int]string{2: "* BYE no\r\n"}, "NO", []string{"2 " + rileys}, "used=1"},
		"BYE coded": {map[int]string{2: "* BYE [UNAVAILABLE] no\r\n"}, "NO [UNAVAILABLE]", []string{"2 " + rileys}, "used=1"},
		"a part":    {map[int]string{2: "l1 N"}, "NO", []string{"2 " + rileys}, "used=1"},
		"nonsense":  {map[int]string{2: "\x00\r\n"}, "NO", []string{"2 " + rileys}, "used=1"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &patient{last: tt.last}
				r := readied(t, p, 1)
				r.page("riley", "firetruck")
				c := r.client()
				c.must("* OK")
				c.ask("a", "LOGIN riley firetruck", tt.answer)
				c.ask("b", "LOGOUT", "OK")
				c.end()
				c.conn.Close()
				synctest.Wait()
				p.want(t, append([]string{"1 " + rileys, "1 LOGOUT"}, tt.heard...)...)
				r.wantFates(tt.fates)
			})
		})
	}
}

// Where one is dead the others went the same way: the login has a new one at once.
func TestReadyAreDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &patient{last: map[int]string{2: "", 3: "", 4: ""}}
		r := readied(t, p, 3)
		r.page("riley", "firetruck")
		r.page("riley", "firetruck")
		if p.logins() != 3 || !slices.Contains(p.heard(), "5 "+rileys) {
			t.Errorf("the backend heard %q", p.heard())
		}
		r.shelved(3)
		r.wantFates("dead=1 dropped=2")
	})
}

// A backend that is silent is not asked again: it may have heard the password.
func TestReadyIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &patient{answer: map[string]string{`LOGIN "morgan" "firetruck"`: "-"}}
		r := readied(t, p, 2)
		r.page("riley", "firetruck")
		c := r.client()
		c.must("* OK")
		c.ask("a", "LOGIN morgan firetruck", "NO [UNAVAILABLE]")
		c.conn.Close()
		if p.logins() != 2 {
			t.Errorf("the backend heard %q", p.heard())
		}
	})
}

// Where no connection can be made, that is tried less and less; logins say nothing of it.
func TestReadyFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logging atomic.Bool
		var refused atomic.Int32
		p := &patient{}
		r := readied(t, p, 3, func(b *backend.Config) {
			dial := b.Dial
			b.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				if logging.CompareAndSwap(true, false) {
					return dial(ctx, network, address)
				}
				refused.Add(1)
				return nil, errors.New("refused")
			}
		})
		visit := func() int32 {
			before := refused.Load()
			logging.Store(true)
			r.page("riley", "firetruck")
			return refused.Load() - before
		}
		for _, pause := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
			if n := visit(); n != 3 {
				t.Errorf("%d were tried before a pause of %ds", n, pause)
			}
			if n := visit(); n != 0 {
				t.Errorf("%d were tried at once", n)
			}
			rigPass(pause*time.Second - time.Millisecond)
			if n := visit(); n != 0 {
				t.Errorf("%d were tried before %ds were over", n, pause)
			}
			rigPass(time.Millisecond)
		}
		r.shelved(0)
		r.wantFates("failed=24")
	})
}
