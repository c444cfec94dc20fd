package routing

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestNewTableSaysEveryMistake(t *testing.T) {
	v4in6 := netip.MustParsePrefix("::ffff:10.0.0.0/104")
	_, err := NewTable(Config{
		DefaultDomain: "@example.org",
		Backends: []Backend{
			{Name: "a"}, {Name: "a"}, {}, {Name: "c\n"},
			{Name: "w", Weight: -1}, {Name: "x", Weight: maxWeight + 1, MaxSessions: -1},
		},
		Pools: []Pool{
			{Name: "p", Backends: []string{"a", "w", "a", "b"}, Balance: First},
			{Name: "p", Backends: []string{"a"}, Balance: RoundRobin},
			{Name: "q", Balance: "random"},
			{Name: "s", Backends: []string{"a", "w"}, Balance: LeastSessions, SharedStore: true},
		},
		Routes: []Route{
			{Name: "x", Match: Match{User: "ok*"}, Backend: "a"},
			{Name: "x", Match: Match{User: "bad\xff"}, Backend: "b"},
			{Match: Match{User: "bad\n"}},
			{Match: Match{SNI: strings.Repeat("*", maxGlob+1)}, Pool: "p"},
			{Name: "#3", Pool: "p", Backend: "a"},
			{Pool: "nowhere", Match: Match{Networks: []netip.Prefix{{}, v4in6}}},
		},
	})
	want := []string{
		`backends: there are two backends "a"; rename one`,
		`backends: a backend has no name; give it one`,
		`backends: the name "c\n" has a control character in it; rename the backend`,
		`backends.w.weight: the weight is -1; write one from 1 to 1000000`,
		`backends.x.weight: the weight is 1000001; write one from 1 to 1000000`,
		`backends.x.max_sessions: the number is -1; write 0 for no bound, or how many sessions it may have`,
		`pools.p.backends[2]: "a" is in the pool already; leave it out here, and write a weight if it is to get more users`,
		`pools.p.backends[3]: there is no backend "b"; define it or correct the name`,
		`pools.p.balance: first sends a user now to one member and now to another; write user_hash, or shared_store: true if every member serves the same mail`,
		`pools: there are two pools "p"; rename one`,
		`pools.q.backends: the pool has no member; name a backend`,
		`pools.q.balance: "random" is unknown; write one of user_hash, least_sessions, round_robin, first`,
		`routes[1].backend: there is no backend "b"; define it or correct the name`,
		`routes[1].match.user: the pattern is not UTF-8: "bad\xff"`,
		`routes[1].name: routes[0] is called "x" too; rename one`,
		`routes[2]: the route leads nowhere; name a pool or a backend`,
		`routes[2].match.user: the pattern has a control character in it: "bad\n"`,
		`routes[4]: the route leads to a pool and to a backend; leave one out`,
		`routes[4].name: routes[2] is called "#3" too; rename one`,
		`routes[5].pool: there is no pool "nowhere"; define it or correct the name`,
		`routes[5].match.networks[0]: this is no network; write a network such as 192.0.2.0/24 or 2001:db8::/32`,
		`routes[5].match.networks[1]: ::ffff:10.0.0.0/104 is IPv4 written as IPv6, which no client's address is; write a network such as 192.0.2.0/24 or 2001:db8::/32`,
		`default_domain: the domain has one of "@", "*", "?" in it: "@example.org"; write a domain such as example.org`,
	}
	if err == nil {
		t.Fatal("no error")
	}
	got := strings.Split(err.Error(), "\n")
	all := len(got)
	got = slices.DeleteFunc(got, func(s string) bool {
		return strings.HasPrefix(s, "routes[3].match.sni: the pattern is longer than 1024 octets")
	})
	if len(got) != all-1 {
		t.Error("nothing is said of routes[3]")
	}
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Fatalf("mistake %d differs\ngot  %s\nwant %s", i, strings.Join(got[min(i, len(got)):], "\n"), strings.Join(want[min(i, len(want)):], "\n"))
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

func TestDefaultDomainMistakes(t *testing.T) {
	for _, domain := range []string{"a b", "a\x00", "\xff", "*.org", "a?", "x@y"} {
		_, err := NewTable(Config{Backends: backends("a"), Routes: []Route{{Backend: "a"}}, DefaultDomain: domain})
		if m := (*Mistake)(nil); !errors.As(err, &m) || m.Key != "default_domain" {
			t.Errorf("%q: error %v", domain, err)
		}
	}
}
