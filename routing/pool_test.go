package routing

import (
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// sharing is a table of one pool whose members share their mail.
func sharing(t *testing.T, balance Balance, members ...Backend) *Table {
	t.Helper()
	var names []string
	for _, b := range members {
		names = append(names, b.Name)
	}
	return newTable(t, Config{
		Backends: members,
		Pools:    []Pool{{Name: "p", Backends: names, Balance: balance, SharedStore: true}},
		Routes:   []Route{{Pool: "p"}},
	})
}

func choose(t *testing.T, table *Table) *Choice {
	t.Helper()
	c := new(Choice)
	if err := table.Choose(Request{User: "riley"}, c); err != nil {
		t.Fatal(err)
	}
	return c
}

// wantNext takes the next lease, of the backend that is named; "" is none.
func wantNext(t *testing.T, c *Choice, backend string) Lease {
	t.Helper()
	l, ok := c.Next()
	if l.Backend != backend || ok != (backend != "") {
		t.Fatalf("Next gives %q, %v, want %q", l.Backend, ok, backend)
	}
	return l
}

func TestFirst(t *testing.T) {
	table := sharing(t, First, backends("b", "a", "c")...)
	for range 2 {
		c := choose(t, table)
		for _, name := range []string{"b", "a", "c", "", ""} {
			wantNext(t, c, name)
		}
		if c.Full() {
			t.Error("nobody is full")
		}
	}
}

func TestRoundRobin(t *testing.T) {
	table := sharing(t, RoundRobin, backends("a", "b", "c")...)
	for _, want := range []string{"abc", "bca", "cab", "abc"} {
		for range 2 { // asking takes no turn
			if got := strings.Join(table.Explain(Request{}).Candidates, ""); got != want {
				t.Fatalf("Explain says %s, want %s", got, want)
			}
		}
		c := choose(t, table)
		for _, name := range want {
			wantNext(t, c, string(name))
		}
	}
	again := newTable(t, Config{
		Backends: backends("a", "b"), Pools: []Pool{{Name: "p", Backends: []string{"a", "b"}, Balance: RoundRobin, SharedStore: true}},
		Routes: []Route{{Pool: "p"}}, State: table.State(),
	})
	wantNext(t, choose(t, again), "a") // the fifth turn
	wantNext(t, choose(t, table), "c") // the sixth
}

func TestLeastSessions(t *testing.T) {
	table := sharing(t, LeastSessions, Backend{Name: "a"}, Backend{Name: "b", Weight: 200}, Backend{Name: "c", Weight: 50})
	var got strings.Builder
	var leases []Lease
	for range 9 {
		l, _ := choose(t, table).Next()
		got.WriteString(l.Backend)
		leases = append(leases, l)
	}
	if got.String() != "abcbabbab" { // loads in units of 1/200: a 2, b 1, c 4
		t.Errorf("logins went to %s", got.String())
	}
	for _, l := range leases {
		if l.Backend == "a" {
			l.Release()
		}
	}
	wantNext(t, choose(t, table), "a")
}

// Without a shared store there is one home, whatever becomes of it.
func TestOneHome(t *testing.T) {
	table := newTable(t, Config{
		Backends: []Backend{{Name: "a", MaxSessions: 1}, {Name: "b", MaxSessions: 1}, {Name: "c", MaxSessions: 1}},
		Pools:    []Pool{{Name: "p", Backends: []string{"a", "b", "c"}}},
		Routes:   []Route{{Pool: "p"}},
	})
	home := table.Explain(Request{User: "riley"})
	if home.Pool != "p" || len(home.Candidates) != 1 || home.Reason != "every user matches; user_hash finds the user's home" {
		t.Fatalf("decision %+v", home)
	}
	c := choose(t, table)
	l := wantNext(t, c, home.Backend)
	l.Unreachable()
	wantNext(t, c, "")
	if c.Full() {
		t.Error("the home was not full")
	}
	wantNext(t, choose(t, table), home.Backend)

	full := choose(t, table)
	wantNext(t, full, "")
	if !full.Full() {
		t.Error("the home was full")
	}
	want := `user "riley" to no backend of pool "p" by route "#1": every user matches; user_hash finds the user's home; "` + home.Backend + `" is full`
	if got := full.Decision.String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestFullMembersAreSkipped(t *testing.T) {
	table := sharing(t, First, Backend{Name: "a", MaxSessions: 1}, Backend{Name: "b", MaxSessions: 2})
	l := wantNext(t, choose(t, table), "a")
	wantNext(t, choose(t, table), "b")
	c := choose(t, table)
	if d := c.Decision; d.Backend != "b" || len(d.Candidates) != 2 || d.Reason != `every user matches; first; "a" is full` {
		t.Errorf("decision %+v", d)
	}
	wantNext(t, c, "b")
	wantNext(t, c, "")
	if c.Full() {
		t.Error("b was given, so not every member is full")
	}
	wantNext(t, choose(t, table), "b")
	c = choose(t, table)
	wantNext(t, c, "")
	if !c.Full() {
		t.Error("every member is full")
	}
	l.Release()
	wantNext(t, choose(t, table), "a")
}

func TestMaxSessionsIsNeverExceeded(t *testing.T) {
	table := sharing(t, LeastSessions, Backend{Name: "a", MaxSessions: 3}, Backend{Name: "b", MaxSessions: 2})
	held := map[string]*atomic.Int64{"a": new(atomic.Int64), "b": new(atomic.Int64)}
	most := map[string]int64{"a": 3, "b": 2}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 300 {
				var c Choice
				if err := table.Choose(Request{}, &c); err != nil {
					t.Error(err)
				}
				l, ok := c.Next()
				if !ok {
					continue
				}
				if n := held[l.Backend].Add(1); n > most[l.Backend] {
					t.Errorf("%d sessions on %s", n, l.Backend)
				}
				held[l.Backend].Add(-1)
				l.Release()
				l.Release()
			}
		})
	}
	wg.Wait()
	wantLive(t, table, "a", 0)
	wantLive(t, table, "b", 0)
}

// The same where it is narrowest: two walk past many single places in step.
func TestTakeIsAtomic(t *testing.T) {
	places := make([]live, 100_000)
	var at, taken [2]atomic.Int64
	var wg sync.WaitGroup
	for me := range at {
		wg.Go(func() {
			for i := range places {
				for at[me].Store(int64(i)); at[1-me].Load() < int64(i); {
					runtime.Gosched()
				}
				if places[i].take(1) {
					taken[me].Add(1)
				}
			}
			at[me].Store(int64(len(places)))
		})
	}
	wg.Wait()
	if n := taken[0].Load() + taken[1].Load(); n != int64(len(places)) {
		t.Errorf("%d took one of %d places", n, len(places))
	}
}

func TestUnreachableIsLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := sharing(t, First, backends("a", "b")...)
		a := table.state.backend("a")
		for _, seconds := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
			c := choose(t, table)
			l := wantNext(t, c, "a")
			wantNext(t, c, "b")
			l.Unreachable() // after Next has released it
			if got := time.Until(a.until); got != seconds*time.Second {
				t.Fatalf("left out for %v, want %vs", got, int(seconds))
			}
			d := table.Explain(Request{})
			if d.Backend != "b" || strings.Join(d.Candidates, "") != "ba" || d.Reason != `every user matches; first; "a" could not be reached a moment ago` {
				t.Fatalf("decision %+v", d)
			}
			<-time.After(seconds*time.Second - 1)
			wantNext(t, choose(t, table), "b")
			<-time.After(time.Nanosecond)
		}
		wantNext(t, choose(t, table), "a").Reached()
		c := choose(t, table)
		l := wantNext(t, c, "a")
		l.Unreachable()
		if got := time.Until(a.until); got != time.Second {
			t.Errorf("after it was reached it is left out for %v", got)
		}
	})
}

// The others do not wait together with the one that tries a backend that may still be down.
func TestOneLoginTriesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := sharing(t, First, backends("a", "b")...)
		wantNext(t, choose(t, table), "a").Unreachable()
		<-time.After(time.Second)
		trial := wantNext(t, choose(t, table), "a")
		wantNext(t, choose(t, table), "b")
		trial.Unreachable()
		trial.Unreachable() // one failure
		<-time.After(2*time.Second - 1)
		wantNext(t, choose(t, table), "b")
		<-time.After(time.Nanosecond)
		trial = wantNext(t, choose(t, table), "a")
		wantNext(t, choose(t, table), "b")
		trial.Reached()
		wantNext(t, choose(t, table), "a")
		wantNext(t, choose(t, table), "a")
	})
}

func TestFailuresOfManyAreOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := sharing(t, First, backends("a", "b")...)
		var leases []Lease
		for range 50 {
			leases = append(leases, wantNext(t, choose(t, table), "a"))
		}
		for _, l := range leases {
			l.Unreachable()
		}
		<-time.After(time.Second)
		wantNext(t, choose(t, table), "a")
	})
}

// Left out is not gone: when all are, or the others are full, it is tried.
func TestLeftOutIsBetterThanNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := sharing(t, First, Backend{Name: "a"}, Backend{Name: "b", MaxSessions: 1})
		c := choose(t, table)
		wantNext(t, c, "a").Unreachable()
		wantNext(t, c, "b")
		wantNext(t, choose(t, table), "a") // b is full
		wantNext(t, c, "")

		c = choose(t, table)
		wantNext(t, c, "b").Unreachable()
		wantNext(t, c, "a")
		wantNext(t, choose(t, table), "a") // both are left out: the balancer's order
		var zero Lease
		zero.Unreachable()
		zero.Reached()
	})
}

func TestStateOutlivesTheTableInPools(t *testing.T) {
	old := sharing(t, First, backends("a", "b")...)
	l := wantNext(t, choose(t, old), "a")
	l.Unreachable()
	c := Config{
		Backends: []Backend{{Name: "b", MaxSessions: 1}, {Name: "a", MaxSessions: 1}},
		Pools:    []Pool{{Name: "p", Backends: []string{"a", "b"}, Balance: First, SharedStore: true}},
		Routes:   []Route{{Pool: "p"}},
		State:    old.State(),
	}
	table := newTable(t, c)
	held := choose(t, table)
	wantNext(t, held, "b") // a is full by a lease of the old table, and left out
	l.Release()
	wantNext(t, choose(t, table), "a")
}
