package routing

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

// fourHomes is the pool of the pinned values.
func fourHomes(t testing.TB, names ...string) *Table {
	t.Helper()
	table, err := NewTable(Config{
		Backends: []Backend{{Name: "imap-1"}, {Name: "imap-2", Weight: 100}, {Name: "imap-3", Weight: 200}, {Name: "imap-4", Weight: 50}},
		Pools:    []Pool{{Name: "p", Backends: names, SharedStore: true}},
		Routes:   []Route{{Pool: "p"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// TestUserHashIsPinned holds the contract of hash.go. The values were computed with another program,
// in floating point. A value that changes here is a user who loses his mail there.
func TestUserHashIsPinned(t *testing.T) {
	table := fourHomes(t, "imap-1", "imap-2", "imap-3", "imap-4")
	for _, tt := range []struct{ user, want string }{
		{`riley@example.org`, "3 2 4 1"},
		{`pat@example.org`, "2 3 1 4"},
		{`sam@example.org`, "3 1 2 4"},
		{`kim@example.org`, "2 4 3 1"},
		{`lee@example.org`, "3 1 2 4"},
		{`alex@example.org`, "1 3 2 4"},
		{`jordan@example.org`, "3 2 1 4"},
		{`casey@example.org`, "3 4 1 2"},
		{`morgan@example.org`, "1 3 4 2"},
		{`robin@example.org`, "3 1 2 4"},
		{`a`, "3 2 1 4"},
		{`b`, "1 2 3 4"},
		{``, "2 3 4 1"},
		{`0`, "2 3 1 4"},
		{`Postmaster@Example.COM`, "2 3 4 1"},
		{`Éric@example.org`, "1 2 3 4"},
		{`user+tag@example.net`, "3 1 4 2"},
		{`very.long.user.name.with.many.parts@mail.example.org`, "3 4 1 2"},
		{`o'neil@example.org`, "1 2 3 4"},
		{`DOM\riley`, "2 4 1 3"},
	} {
		got := strings.ReplaceAll(strings.Join(table.Explain(Request{User: tt.user}).Candidates, " "), "imap-", "")
		if got != tt.want {
			t.Errorf("%q goes to %s, want %s", tt.user, got, tt.want)
		}
	}
}

func TestUserHashKeepsToTheWeights(t *testing.T) {
	table := fourHomes(t, "imap-1", "imap-2", "imap-3", "imap-4")
	homes := make(map[string]float64)
	const users = 18000
	for i := range users {
		homes[table.Explain(Request{User: fmt.Sprint("user", i)}).Backend]++
	}
	for name, share := range map[string]float64{"imap-1": 100, "imap-2": 100, "imap-3": 200, "imap-4": 50} {
		want := users * share / 450
		if got := homes[name]; math.Abs(got-want) > 0.05*want {
			t.Errorf("%s is the home of %v users, want about %v", name, got, want)
		}
	}
}

func TestUserHashMovesOnlyWhoMust(t *testing.T) {
	all := fourHomes(t, "imap-1", "imap-2", "imap-3", "imap-4")
	fewer := fourHomes(t, "imap-4", "imap-3", "imap-1") // the order plays no part
	moved := 0
	for i := range 1000 {
		req := Request{User: fmt.Sprint("user", i)}
		want := slices.DeleteFunc(all.Explain(req).Candidates, func(name string) bool { return name == "imap-2" })
		if got := fewer.Explain(req).Candidates; !slices.Equal(got, want) {
			t.Fatalf("without imap-2 %q goes to %v, want %v", req.User, got, want)
		}
		if all.Explain(req).Backend == "imap-2" {
			moved++
		}
	}
	if moved == 0 {
		t.Error("nobody lived on imap-2")
	}
}

func TestLog2(t *testing.T) {
	for _, x := range []uint64{1, 2, 3, 5, 1 << 20, 1<<20 + 1, 1 << 62, 1<<63 - 1, 1 << 63, 1<<63 + 12345, 0xdeadbeefcafef00d, math.MaxUint64} {
		got, want := float64(log2(x))/(1<<32), math.Log2(float64(x))
		if math.Abs(got-want) > 2.0/(1<<32) || log2(x) >= 64<<32 {
			t.Errorf("log2(%d) = %.12f, want %.12f", x, got, want)
		}
	}
}

func BenchmarkUserHash(b *testing.B) {
	table := fourHomes(b, "imap-1", "imap-2", "imap-3", "imap-4")
	p := table.routes[0].pool
	b.ReportAllocs()
	for b.Loop() {
		p.byHash("riley@example.org")
	}
}
