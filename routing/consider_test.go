package routing

import (
	"math/rand/v2"
	"net/netip"
	"testing"
)

// someUsers is a set of two users.
type someUsers struct{}

func (someUsers) Contains(user string) bool { return user == "a@x" || user == "b" }

// anyOf returns one of the choices.
func anyOf[T any](r *rand.Rand, choices ...T) T { return choices[r.IntN(len(choices))] }

func randomMatch(r *rand.Rand) Match {
	return Match{
		User:     anyOf(r, "", "", "a*", "*@x", "b"),
		Users:    anyOf[UserSet](r, nil, nil, someUsers{}),
		Listener: anyOf(r, "", "", "imap", "imaps"),
		SNI:      anyOf(r, "", "", "mail.*"),
		Networks: anyOf(r, nil, nil, []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}),
	}
}

// What is considered ends with what Explain decides, and every step before has a reason of its own.
func TestConsiderAgreesWithExplain(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	matched := 0
	for range 2000 {
		c := Config{Backends: []Backend{{Name: "one"}}, DefaultDomain: anyOf(r, "", "x")}
		for range 1 + r.IntN(4) {
			c.Routes = append(c.Routes, Route{Match: randomMatch(r), Backend: "one"})
		}
		table, err := NewTable(c)
		if err != nil {
			continue // such as a route behind one that takes everyone
		}
		req := Request{
			User: anyOf(r, "a", "A@x", "b", "c@y"), Listener: anyOf(r, "", "imap", "imaps"), SNI: anyOf(r, "", "MAIL.x"),
			Client: anyOf(r, netip.Addr{}, netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")),
		}
		d, steps := table.Explain(req), table.Consider(req)
		last := steps[len(steps)-1]
		if last.Matched != (d.Route != "") || last.Matched && last.Route != d.Route {
			t.Fatalf("%+v: decided %v, considered %v", req, d, steps)
		}
		if last.Matched {
			matched++
		}
		for _, s := range steps {
			if s.Reason == "" || s.Route == "" {
				t.Fatalf("%+v: a step says nothing: %v", req, steps)
			}
		}
	}
	if matched == 0 || matched == 2000 {
		t.Errorf("%d of 2000 matched", matched)
	}
}
