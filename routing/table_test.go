package routing

import (
	"errors"
	"fmt"
	"reflect"
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

func backends(names ...string) (all []Backend) {
	for _, name := range names {
		all = append(all, Backend{Name: name})
	}
	return all
}

func twoBackends(t *testing.T) *Table {
	return newTable(t, Config{
		Backends: backends("legacy", "modern"),
		Routes: []Route{
			{Name: "moved", Match: Match{User: "*@New.example.org"}, Backend: "modern"},
			{Match: Match{User: "pat"}, Backend: "modern"},
			{Match: Match{User: "*@*"}, Backend: "legacy"},
		},
	})
}

func TestFirstMatchDecides(t *testing.T) {
	table := twoBackends(t)
	modern, legacy := []string{"modern"}, []string{"legacy"}
	for user, want := range map[string]Decision{
		"Riley@new.Example.org": {"riley@new.example.org", "moved", "", "modern", modern, `the user matches "*@new.example.org"`},
		"PAT":                   {"pat", "#2", "", "modern", modern, `the user matches "pat"`},
		"riley@old.example.org": {"riley@old.example.org", "#3", "", "legacy", legacy, `the user matches "*@*"`},
		"riley":                 {User: "riley", Reason: "no route matches"},
	} {
		if got := table.Explain(Request{User: user}); !reflect.DeepEqual(got, want) {
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

func TestMistakesLeaveTheStateAlone(t *testing.T) {
	state := NewState()
	if _, err := NewTable(Config{Backends: backends("a"), Routes: []Route{{Backend: "a"}, {Backend: "b"}}, State: state}); err == nil {
		t.Fatal("no error")
	}
	if len(state.backends) != 0 || len(state.turns) != 0 {
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

	without := newTable(t, Config{Backends: backends("legacy"), Routes: []Route{{Backend: "legacy"}}, State: old.State()})
	wantLive(t, without, "modern", 1)
	with := newTable(t, Config{Backends: backends("modern"), Routes: []Route{{Backend: "modern"}}, State: without.State()})
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

func BenchmarkChoose(b *testing.B) {
	c := Config{Backends: backends("a")}
	for i := range 50 {
		c.Routes = append(c.Routes, Route{Match: Match{User: fmt.Sprintf("*@%d.example.org", i)}, Backend: "a"})
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
