package routing

import (
	"net/netip"
	"slices"
	"testing"
)

// users is a set for tests.
type users map[string]bool

func (u users) Contains(user string) bool { return u[user] }
func (u users) String() string            { return "moved.txt" }

// bare is a set without a name.
type bare struct{ users users }

func (b bare) Contains(user string) bool { return b.users[user] }

func TestMatch(t *testing.T) {
	moved := users{"riley@example.org": true}
	networks := []netip.Prefix{netip.MustParsePrefix("192.0.2.77/24"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("fe80::/10")}
	req := func(user, listener, sni, client string) Request {
		r := Request{User: user, Listener: listener, SNI: sni}
		if client != "" {
			r.Client = netip.MustParseAddr(client)
		}
		return r
	}
	for _, tt := range []struct {
		match  Match
		req    Request
		reason string // "" does not match
	}{
		{Match{}, req("", "", "", ""), "every user matches"},
		{Match{User: "Riley"}, req("RILEY", "", "", ""), `the user matches "riley@example.org"`},
		{Match{User: "riley"}, req("riley@example.org", "", "", ""), `the user matches "riley@example.org"`},
		{Match{User: "riley"}, req("riley@example.net", "", "", ""), ""},
		{Match{User: "ril*"}, req("riley", "", "", ""), `the user matches "ril*"`},
		{Match{User: "*@Example.org"}, req("riley", "", "", ""), `the user matches "*@example.org"`},
		{Match{Users: moved}, req("Riley", "", "", ""), `the user is in "moved.txt"`},
		{Match{Users: bare{moved}}, req("Riley", "", "", ""), `the user is in the set of users`},
		{Match{Users: moved}, req("pat", "", "", ""), ""},
		{Match{Listener: "imaps"}, req("pat", "imaps", "", ""), `the listener is "imaps"`},
		{Match{Listener: "imaps"}, req("pat", "IMAPS", "", ""), ""},
		{Match{SNI: "*.Example.org"}, req("pat", "", "Mail.example.ORG", ""), `the server name matches "*.example.org"`},
		{Match{SNI: "?*"}, req("pat", "", "", ""), ""},
		{Match{SNI: "mail"}, req("pat", "", "mail.example.org", ""), ""},
		{Match{Networks: networks}, req("pat", "", "", "192.0.2.1"), "the client is in 192.0.2.77/24 2001:db8::/32 fe80::/10"},
		{Match{Networks: networks}, req("pat", "", "", "::ffff:192.0.2.1"), "the client is in 192.0.2.77/24 2001:db8::/32 fe80::/10"},
		{Match{Networks: networks}, req("pat", "", "", "fe80::1%eth0"), "the client is in 192.0.2.77/24 2001:db8::/32 fe80::/10"},
		{Match{Networks: networks}, req("pat", "", "", "192.0.3.1"), ""},
		{Match{Networks: networks}, req("pat", "", "", ""), ""},
		{Match{User: "pat", Listener: "l"}, req("pat", "l", "", ""), `the user matches "pat@example.org", the listener is "l"`},
		{Match{User: "pat", Listener: "l"}, req("pat", "m", "", ""), ""},
		{Match{User: "pat", Listener: "l"}, req("sam", "l", "", ""), ""},
	} {
		table := newTable(t, Config{
			Backends: backends("a"), DefaultDomain: "Example.ORG",
			Routes: []Route{{Match: tt.match, Backend: "a"}},
		})
		d := table.Explain(tt.req)
		if (d.Route == "") != (tt.reason == "") || tt.reason != "" && d.Reason != tt.reason {
			t.Errorf("%+v, %+v: %v", tt.match, tt.req, d)
		}
	}
}

func TestDefaultDomain(t *testing.T) {
	config := Config{Backends: backends("a"), Routes: []Route{{Backend: "a"}}, DefaultDomain: "Example.ORG"}
	table := newTable(t, config)
	for user, want := range map[string]string{
		"Riley":         "riley@example.org",
		"Riley@":        "riley@",
		"Riley@Other":   "riley@other",
		`DOM\riley`:     `dom\riley@example.org`,
		"":              "",
		"riley\xff":     "riley\xff@example.org",
		"@example.org ": "@example.org ",
	} {
		if got := table.Normalise(user); got != want || table.Normalise(got) != got {
			t.Errorf("%q becomes %q, want %q", user, got, want)
		}
	}
	config.DefaultDomain = ""
	if got := newTable(t, config).Normalise("Riley"); got != "riley" {
		t.Errorf("without a domain Riley becomes %q", got)
	}
}

func TestConsider(t *testing.T) {
	network := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	table := newTable(t, Config{Backends: backends("a"), Routes: []Route{
		{Match: Match{Listener: "imaps"}, Backend: "a"},
		{Match: Match{User: "*@x"}, Backend: "a"},
		{Match: Match{SNI: "mail.*"}, Backend: "a"},
		{Match: Match{Networks: network}, Backend: "a"},
		{Match: Match{Users: users{}}, Backend: "a"},
		{Match: Match{Listener: "imap"}, Backend: "a"},
		{Backend: "a"},
	}})
	want := []Step{
		{"#1", false, `the listener "imap" is not "imaps"`},
		{"#2", false, `the user "riley" does not match "*@x"`},
		{"#3", false, `the server name "" does not match "mail.*"`},
		{"#4", false, `the client 2001:db8::1 is not in [192.0.2.0/24]`},
		{"#5", false, `the user "riley" is not in "moved.txt"`},
		{"#6", true, `the listener is "imap"`},
	}
	req := Request{User: "Riley", Listener: "imap", Client: netip.MustParseAddr("2001:db8::1")}
	if got := table.Consider(req); !slices.Equal(got, want) {
		t.Errorf("got %+v", got)
	}
	req.Client = netip.Addr{}
	if got := table.Consider(req)[3].Reason; got != "the client's address is not known, and the route is for [192.0.2.0/24]" {
		t.Errorf("without an address: %s", got)
	}
}
