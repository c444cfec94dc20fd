package routing

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
)

func newTable(t *testing.T, c Config) *Table {
	t.Helper()
	table, err := NewTable(c)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func twoBackends(t *testing.T) *Table {
	return newTable(t, Config{
		Backends: []string{"legacy", "modern"},
		Routes: []Route{
			{Name: "moved", User: "*@New.example.org", Backend: "modern"},
			{User: "pat", Backend: "modern"},
			{User: "*@*", Backend: "legacy"},
		},
	})
}

func TestFirstMatchDecides(t *testing.T) {
	table := twoBackends(t)
	for user, want := range map[string]Decision{
		"Riley@new.Example.org": {"riley@new.example.org", "moved", "modern", `the user matches "*@new.example.org"`},
		"PAT":                   {"pat", "#2", "modern", `the user matches "pat"`},
		"riley@old.example.org": {"riley@old.example.org", "#3", "legacy", `the user matches "*@*"`},
		"riley":                 {"riley", "", "", "no route matches"},
	} {
		if got := table.Explain(Request{User: user}); got != want {
			t.Errorf("%s: %+v, want %+v", user, got, want)
		}
	}
}

func TestDecisionString(t *testing.T) {
	table := twoBackends(t)
	for user, want := range map[string]string{
		"pat":          `user "pat" to backend "modern" by route "#2": the user matches "pat"`,
		"ri\r\nley":    `user "ri\r\nley" to no backend: no route matches`,
		"a@b\x00\xffC": `user "a@b\x00\xffc" to backend "legacy" by route "#3": the user matches "*@*"`,
	} {
		if got := table.Explain(Request{User: user}).String(); got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
	}
}

func TestNewTableSaysEveryMistake(t *testing.T) {
	_, err := NewTable(Config{
		Backends: []string{"a", "a", ""},
		Routes: []Route{
			{Name: "x", User: "ok*", Backend: "a"},
			{Name: "x", User: "bad\xff", Backend: "b"},
			{User: "bad\n", Backend: ""},
			{User: strings.Repeat("*", maxGlob+1), Backend: "a"},
			{Name: "#3", Backend: "a"},
		},
	})
	want := []string{
		`backends: there are two backends "a"; rename one`,
		`backends: a backend has no name; give it one`,
		`routes[1].backend: there is no backend "b"; define it or correct the name`,
		`routes[1].user: the pattern is not UTF-8: "bad\xff"`,
		`routes[1].name: routes[0] is called "x" too; rename one`,
		`routes[2].backend: the route leads nowhere; name a backend`,
		`routes[2].user: the pattern has a control character in it: "bad\n"`,
		`routes[4].name: routes[2] is called "#3" too; rename one`,
	}
	if err == nil {
		t.Fatal("no error")
	}
	got := strings.Split(err.Error(), "\n")
	got = slices.DeleteFunc(got, func(s string) bool { return strings.HasPrefix(s, "routes[3].user: the pattern is longer") })
	if len(got) != len(want) {
		t.Errorf("%d mistakes, want %d", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Errorf("got  %s\nwant %s", got[i], want[i])
		}
	}
	var m *Mistake
	if !errors.As(err, &m) || m.Key != "backends" {
		t.Errorf("the mistakes have no key: %v", m)
	}
}

func TestNewTableOfNothing(t *testing.T) {
	_, err := NewTable(Config{})
	if err == nil || !strings.Contains(err.Error(), "backends: there is no backend") || !strings.Contains(err.Error(), "routes: there is no route") {
		t.Errorf("error %v", err)
	}
}

func TestMistakesLeaveTheStateAlone(t *testing.T) {
	state := NewState()
	if _, err := NewTable(Config{Backends: []string{"a"}, Routes: []Route{{Backend: "a"}, {Backend: "b"}}, State: state}); err == nil {
		t.Fatal("no error")
	}
	if len(state.backends) != 0 {
		t.Errorf("the state has learnt of %v", state.backends)
	}
}

func TestChooseWithoutRoute(t *testing.T) {
	var c Choice
	err := twoBackends(t).Choose(Request{User: "riley"}, &c)
	if !errors.Is(err, ErrNoRoute) || !strings.Contains(err.Error(), `"riley"`) {
		t.Errorf("error %v", err)
	}
	if l, ok := c.Next(); ok || l.Backend != "" {
		t.Errorf("Next gives %q", l.Backend)
	}
	if c.Decision.Reason != "no route matches" {
		t.Errorf("decision %v", c.Decision)
	}
}

func wantLive(t *testing.T, table *Table, backend string, want int64) {
	t.Helper()
	if got := table.Live(backend); got != want {
		t.Errorf("%d sessions on %s, want %d", got, backend, want)
	}
}

func TestNextReleasesTheLeaseBefore(t *testing.T) {
	table := twoBackends(t)
	var c Choice
	if err := table.Choose(Request{User: "pat"}, &c); err != nil {
		t.Fatal(err)
	}
	wantLive(t, table, "modern", 0)
	l, ok := c.Next()
	if !ok || l.Backend != "modern" {
		t.Fatalf("Next gives %q, %v", l.Backend, ok)
	}
	wantLive(t, table, "modern", 1)
	if _, ok := c.Next(); ok {
		t.Error("a second backend, though the route has one")
	}
	wantLive(t, table, "modern", 0)
	l.Release()
	wantLive(t, table, "modern", 0)
}

func TestReleaseTwiceIsHarmless(t *testing.T) {
	table := twoBackends(t)
	var first, second Choice
	for _, c := range []*Choice{&first, &second} {
		if err := table.Choose(Request{User: "pat"}, c); err != nil {
			t.Fatal(err)
		}
	}
	l, _ := first.Next()
	second.Next()
	again := l
	l.Release()
	l.Release()
	again.Release()
	first.Next()
	wantLive(t, table, "modern", 1)
	Lease{}.Release()
}

func TestChooseLeavesALeaseGivenBefore(t *testing.T) {
	table := twoBackends(t)
	var c Choice
	for range 2 {
		if err := table.Choose(Request{User: "pat"}, &c); err != nil {
			t.Fatal(err)
		}
		c.Next()
	}
	wantLive(t, table, "modern", 2)
}

func TestStateOutlivesTheTable(t *testing.T) {
	old := twoBackends(t)
	var c Choice
	if err := old.Choose(Request{User: "pat"}, &c); err != nil {
		t.Fatal(err)
	}
	l, _ := c.Next()

	without := newTable(t, Config{Backends: []string{"legacy"}, Routes: []Route{{Backend: "legacy"}}, State: old.State()})
	wantLive(t, without, "modern", 1)
	with := newTable(t, Config{Backends: []string{"modern"}, Routes: []Route{{Backend: "modern"}}, State: without.State()})
	var d Choice
	if err := with.Choose(Request{}, &d); err != nil {
		t.Fatal(err)
	}
	d.Next()
	wantLive(t, with, "modern", 2)
	l.Release()
	wantLive(t, with, "modern", 1)
	wantLive(t, old, "modern", 1)
	wantLive(t, with, "unheard of", 0)
}

func TestConcurrentLeases(t *testing.T) {
	table := twoBackends(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				var c Choice
				if err := table.Choose(Request{User: "pat"}, &c); err != nil {
					t.Error(err)
					return
				}
				l, _ := c.Next()
				var twice sync.WaitGroup
				twice.Go(l.Release)
				l.Release()
				twice.Wait()
			}
		})
	}
	wg.Wait()
	wantLive(t, table, "modern", 0)
}

// random makes tables and users from few letters, so that they meet often.
type random struct{ *rand.Rand }

func (r random) word(letters string) string {
	b := make([]byte, r.IntN(4))
	for i := range b {
		b[i] = letters[r.IntN(len(letters))]
	}
	return string(b)
}

func (r random) config() Config {
	c := Config{Backends: []string{"x", "y", "z"}}
	for i := range 1 + r.IntN(5) {
		c.Routes = append(c.Routes, Route{Name: fmt.Sprint("r", i), User: r.word("abA*?"), Backend: c.Backends[r.IntN(3)]})
	}
	return c
}

// expect decides by the words of the contract alone.
func expect(c Config, user string) (route, backend string) {
	for _, r := range c.Routes {
		if r.User == "" || naive(r.User).MatchString(strings.ToLower(user)) {
			return r.Name, r.Backend
		}
	}
	return "", ""
}

func TestExplainAndChooseAgree(t *testing.T) {
	r := random{rand.New(rand.NewPCG(1, 2))}
	refused := 0
	for range 2000 {
		config := r.config()
		table := newTable(t, config)
		req := Request{User: r.word("abB"), Client: netip.MustParseAddr("192.0.2.1")}
		explained := table.Explain(req)
		for _, name := range config.Backends {
			wantLive(t, table, name, 0)
		}
		var c Choice
		err := table.Choose(req, &c)
		l, ok := c.Next()
		if c.Decision != explained || ok != (err == nil) || l.Backend != explained.Backend {
			t.Fatalf("%+v, user %q: Explain says %v, Choose says %v and %v", config, req.User, explained, c.Decision, err)
		}
		route, backend := expect(config, req.User)
		if explained.Route != route || explained.Backend != backend {
			t.Fatalf("%+v, user %q: %v, want route %q to %q", config, req.User, explained, route, backend)
		}
		if !ok {
			refused++
			continue
		}
		wantLive(t, table, l.Backend, 1)
	}
	if refused == 0 || refused == 2000 {
		t.Errorf("%d of 2000 requests had no route: the tables are too much alike", refused)
	}
}

func BenchmarkChoose(b *testing.B) {
	c := Config{Backends: []string{"a"}}
	for i := range 50 {
		c.Routes = append(c.Routes, Route{User: fmt.Sprintf("*@%d.example.org", i), Backend: "a"})
	}
	table, err := NewTable(c)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		var c Choice
		if err := table.Choose(Request{User: "riley@49.example.org"}, &c); err != nil {
			b.Fatal(err)
		}
		l, _ := c.Next()
		l.Release()
	}
}
