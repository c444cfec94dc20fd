package routing

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// random makes tables and requests from few letters, so that they meet often.
type random struct{ *rand.Rand }

func (r random) word(letters string) string {
	b := make([]byte, r.IntN(4))
	for i := range b {
		b[i] = letters[r.IntN(len(letters))]
	}
	return string(b)
}

// pick returns one of some values; the first of them half of the time.
func pick[T any](r random, first T, others ...T) T {
	if r.IntN(2) == 0 {
		return first
	}
	return others[r.IntN(len(others))]
}

func (r random) match() (m Match) {
	m.User = pick(r, "", r.word("abA*?@"))
	m.Listener = pick(r, "", "", "imap", "imaps")
	m.SNI = pick(r, "", "", "a.*", "*.B")
	if r.IntN(4) == 0 {
		m.Users = users{r.word("ab"): true, r.word("ab") + "@ab": true}
	}
	if r.IntN(4) == 0 {
		m.Networks = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/25"), netip.MustParsePrefix("2001:db8::/32")}
	}
	return m
}

func (r random) pool(name string, from []Backend) Pool {
	p := Pool{Name: name, SharedStore: r.IntN(3) > 0}
	for _, i := range r.Perm(len(from))[:1+r.IntN(len(from))] {
		p.Backends = append(p.Backends, from[i].Name)
	}
	if p.SharedStore || len(p.Backends) == 1 {
		p.Balance = []Balance{"", UserHash, LeastSessions, RoundRobin, First}[r.IntN(5)]
	}
	return p
}

func (r random) config(s *State) Config {
	c := Config{State: s, DefaultDomain: pick(r, "", "AB")}
	for _, name := range []string{"w", "x", "y", "z"} {
		c.Backends = append(c.Backends, Backend{Name: name, Weight: pick(r, 0, 50, 300), MaxSessions: pick(r, 0, 1, 2)})
	}
	c.Pools = []Pool{r.pool("p", c.Backends), r.pool("q", c.Backends), r.pool("r", c.Backends)}
	for i := range 1 + r.IntN(5) {
		route := Route{Name: fmt.Sprint("r", i), Match: r.match(), Pool: c.Pools[r.IntN(3)].Name}
		if r.IntN(4) == 0 {
			route.Pool, route.Backend = "", c.Backends[r.IntN(4)].Name
		}
		c.Routes = append(c.Routes, route)
	}
	return c
}

func (r random) request() Request {
	client := []netip.Addr{{}, netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("::ffff:192.0.2.200"), netip.MustParseAddr("2001:db8::1")}
	return Request{
		User: r.word("abB@"), Listener: pick(r, "imap", "imaps"), SNI: pick(r, "", "a.b", "A.c", "c"), Client: client[r.IntN(4)],
	}
}

// A world is what the model of the rules knows.
type world struct {
	Config
	down  map[string]time.Time // left out until
	turns map[string]int
}

func (w *world) name(user string) string {
	user = strings.ToLower(user)
	if user == "" || w.DefaultDomain == "" || strings.Contains(user, "@") {
		return user
	}
	return user + "@" + strings.ToLower(w.DefaultDomain)
}

// matches decides by the words of the contract alone.
func (w *world) matches(m Match, req Request) bool {
	pattern := m.User
	if !strings.ContainsAny(pattern, "*?") {
		pattern = w.name(pattern)
	}
	user, inside := w.name(req.User), len(m.Networks) == 0
	for _, n := range m.Networks {
		inside = inside || req.Client.IsValid() && n.Contains(req.Client.Unmap())
	}
	return inside &&
		(pattern == "" || naive(pattern).MatchString(user)) &&
		(m.Users == nil || m.Users.Contains(user)) &&
		(m.Listener == "" || m.Listener == req.Listener) &&
		(m.SNI == "" || naive(m.SNI).MatchString(strings.ToLower(req.SNI)))
}

func (w *world) backend(name string) Backend {
	return w.Backends[slices.IndexFunc(w.Backends, func(b Backend) bool { return b.Name == name })]
}

// sorted orders members by a value that is low for the best.
func (w *world) sorted(members []string, value func(string) float64) []string {
	members = slices.Clone(members)
	slices.SortStableFunc(members, func(a, b string) int {
		if va, vb := value(a), value(b); va != vb {
			return map[bool]int{true: -1, false: 1}[va < vb]
		}
		return 0
	})
	return members
}

func (w *world) weight(name string) float64 {
	if n := w.backend(name).Weight; n != 0 {
		return float64(n)
	}
	return 100
}

func (w *world) order(p Pool, user string) []string {
	byHash := w.sorted(p.Backends, func(name string) float64 {
		sum := sha256.Sum256([]byte(name + "\x00" + user))
		return -math.Log(float64(binary.BigEndian.Uint64(sum[:]))/math.Pow(2, 64)) / w.weight(name)
	})
	if !p.SharedStore || len(p.Backends) == 1 {
		return byHash[:1]
	}
	order := byHash
	switch p.Balance {
	case LeastSessions:
		order = w.sorted(p.Backends, func(name string) float64 { return float64(w.State.Live(name)) / w.weight(name) })
	case RoundRobin:
		n := w.turns[p.Name] % len(p.Backends)
		order = append(slices.Clone(p.Backends[n:]), p.Backends[:n]...)
	case First:
		order = p.Backends
	}
	return w.sorted(order, func(name string) float64 {
		if time.Now().Before(w.down[name]) {
			return 1
		}
		return 0
	})
}

// expect returns the route, and the members that are tried in order, full ones too.
func (w *world) expect(req Request) (*Route, []string) {
	for i := range w.Routes {
		r := &w.Routes[i]
		switch {
		case !w.matches(r.Match, req):
		case r.Pool == "":
			return r, []string{r.Backend}
		default:
			p := w.Pools[slices.IndexFunc(w.Pools, func(p Pool) bool { return p.Name == r.Pool })]
			return r, w.order(p, w.name(req.User))
		}
	}
	return nil, nil
}

// took is told that a login was decided.
func (w *world) took(r *Route) {
	for _, p := range w.Pools {
		if r != nil && r.Pool == p.Name && p.SharedStore && len(p.Backends) > 1 && p.Balance == RoundRobin {
			w.turns[p.Name]++
		}
	}
}

func (w *world) full(name string) bool {
	b := w.backend(name)
	return b.MaxSessions > 0 && w.State.Live(name) >= int64(b.MaxSessions)
}

// TestExplainAndChooseAgree plays random logins on random tables that follow each other with one
// state, and compares what Explain says, what Choose decides, what Next gives and what the model says.
func TestExplainAndChooseAgree(t *testing.T) {
	seen := make(map[string]int)
	synctest.Test(t, func(t *testing.T) {
		r := random{rand.New(rand.NewPCG(1, 2))}
		for range 60 {
			w := &world{down: make(map[string]time.Time), turns: make(map[string]int)}
			state := NewState()
			var held []Lease
			for range 5 {
				w.Config = r.config(state)
				table := newTable(t, w.Config)
				for range 20 {
					if l, ok := login(t, w, table, seen, r); ok {
						held = append(held, l)
					}
					if len(held) > 0 && r.IntN(2) == 0 {
						held[0].Release()
						held = held[1:]
					}
				}
			}
		}
	})
	for _, what := range []string{"no route", "all full", "one full", "left out", "failover", UserHash.in(), LeastSessions.in(), RoundRobin.in(), First.in()} {
		if seen[what] < 20 {
			t.Errorf("%q came up only %d times: the tables are too much alike", what, seen[what])
		}
	}
}

// in is the key of a balancer among what came up.
func (b Balance) in() string { return "balance " + string(b) }

// login plays one login.
func login(t *testing.T, w *world, table *Table, seen map[string]int, r random) (Lease, bool) {
	req := r.request()
	route, order := w.expect(req)
	explained := table.Explain(req)
	if again := table.Explain(req); !reflect.DeepEqual(again, explained) {
		t.Fatalf("Explain says %v, and then %v", explained, again)
	}
	first := ""
	for _, name := range slices.Backward(order) {
		if !w.full(name) {
			first = name
		}
	}
	name := ""
	if route != nil {
		name = route.Name
	}
	if explained.User != w.name(req.User) || explained.Route != name || explained.Backend != first || !slices.Equal(explained.Candidates, order) {
		t.Fatalf("%+v\n%+v\nExplain says %v of %v\nwant route %q to %q of %v", w.Config, req, explained, explained.Candidates, name, first, order)
	}
	steps := table.Consider(req)
	if last := steps[len(steps)-1]; last.Matched != (route != nil) || last.Matched && (last.Route != name || !strings.HasPrefix(explained.Reason, last.Reason)) {
		t.Fatalf("Explain says %v, Consider ends with %+v", explained, last)
	}
	var c Choice
	err := table.Choose(req, &c)
	if !reflect.DeepEqual(c.Decision, explained) || (err == nil) != (route != nil) {
		t.Fatalf("Explain says %v, Choose says %v and %v", explained, c.Decision, err)
	}
	w.took(route)
	count(w, explained, seen)
	return walk(t, w, &c, order, seen, r)
}

// walk takes what Next gives, as a login does that fails here and there.
func walk(t *testing.T, w *world, c *Choice, order []string, seen map[string]int, r random) (Lease, bool) {
	given := 0
	for _, name := range order {
		if w.full(name) {
			continue
		}
		l, ok := c.Next()
		if !ok || l.Backend != name {
			t.Fatalf("%v: Next gives %q, want %q of %v", c.Decision, l.Backend, name, order)
		}
		if r.IntN(3) > 0 {
			l.Reached()
			delete(w.down, name)
			return l, true
		}
		l.Release()
		l.Unreachable()
		if given++; given > 1 {
			seen["failover"]++
		}
		w.down[name] = downUntil(w, name)
	}
	if l, ok := c.Next(); ok {
		t.Fatalf("%v: Next gives %q after all of %v", c.Decision, l.Backend, order)
	}
	if want := given == 0 && len(order) > 0; c.Full() != want {
		t.Fatalf("%v: Full says %v", c.Decision, c.Full())
	}
	<-time.After(time.Duration(r.IntN(4)) * 700 * time.Millisecond)
	return Lease{}, false
}

// downUntil reads until when a backend is left out: TestUnreachableIsLeftOut says how long that is.
func downUntil(w *world, name string) time.Time { return w.State.backend(name).until }

func count(w *world, d Decision, seen map[string]int) {
	switch {
	case d.Route == "":
		seen["no route"]++
	case d.Backend == "":
		seen["all full"]++
	case strings.Contains(d.Reason, "is full"):
		seen["one full"]++
	}
	if strings.Contains(d.Reason, "could not be reached") {
		seen["left out"]++
	}
	for _, b := range []Balance{UserHash, LeastSessions, RoundRobin, First} {
		if strings.Contains(d.Reason, "; "+string(b)) {
			seen[b.in()]++
		}
	}
}
