package config

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

const layered = `
listeners:
  - {name: a, address: ":993", tls: implicit}
  - {name: b, address: ":994", tls: implicit, policy: {xgwmove: accept, pass_commands: [LISTENER]}}
  - {name: c, address: "unix:/run/c", tls: none, policy: {pass_commands: []}}
tls: {certificates: [{cert: good.crt, key: good.key}]}
backends:
  one: {address: "imap1.example.org:993"}
  two: {address: "imap2.example.org:993", policy: {xgwmove: off, move: off}}
pools: {both: {backends: [one, two], shared_store: true}}
routes:
  - {match: {listener: b}, pool: both, policy: {move: auto}}
  - {match: {sni: "x.example.org"}, backend: one}
  - {match: {network: [10.0.0.0/8]}, backend: one}
  - {backend: two}
policy: {pass_commands: [TOP]}
`

// Leaf by leaf: top, listener, backend, route. A list replaces the wider list.
func TestPoliciesMerge(t *testing.T) {
	merged := mustLoad(t, layered).Options().Policies
	for _, test := range []struct {
		listener, backend, route string
		want                     string // what is not the default
	}{
		{"a", "", "", "{pass_commands: [TOP]}"},
		{"b", "", "", "{xgwmove: accept, pass_commands: [LISTENER]}"},
		{"c", "", "", "{}"},
		{"a", "two", "routes[3]", "{xgwmove: off, move: off, pass_commands: [TOP]}"},
		{"b", "one", "routes[0]", "{xgwmove: accept, pass_commands: [LISTENER]}"},
		{"b", "two", "routes[0]", "{xgwmove: off, pass_commands: [LISTENER]}"},
		{"gone", "gone", "gone", "{pass_commands: [TOP]}"},
	} {
		if got := describePolicy(merged(test.listener, test.backend, test.route)); got != test.want {
			t.Errorf("%s %s %s: got %s, want %s", test.listener, test.backend, test.route, got, test.want)
		}
	}
}

// The goals of a listener are what its clients can meet.
func TestGoals(t *testing.T) {
	want := map[string]string{
		"a": "[{one routes[1]} {one routes[2]} {two routes[3]}]",
		"b": "[{one routes[0]} {two routes[0]} {one routes[1]} {one routes[2]} {two routes[3]}]",
		"c": "[{two routes[3]}]",
	}
	goals := mustLoad(t, layered).Options().Goals
	for listener, want := range want {
		if got := fmt.Sprint(goals[listener]); got != want {
			t.Errorf("%s leads to %s, want %s", listener, got, want)
		}
	}
}

// Mechanisms are added and removed like other capabilities.
func TestMechanismsByPolicy(t *testing.T) {
	p := mustLoad(t, strings.Replace(layered, "policy: {pass_commands: [TOP]}", "policy: {capabilities: {add: [auth=oauthbearer, AUTH=XOAUTH2], remove: [AUTH=LOGIN]}}", 1)).Options().Policy
	if got := fmt.Sprint(p.Add, p.Remove); got != "[AUTH=OAUTHBEARER AUTH=XOAUTH2] [AUTH=LOGIN]" {
		t.Errorf("the policy adds and removes %s", got)
	}
}

// Every leaf is merged by itself, at every level; a list replaces the wider list.
func TestPolicyLeavesMerge(t *testing.T) {
	c := mustLoad(t, `
listeners:
  - {name: a, address: ":993", tls: implicit, policy: {capabilities: {remove: [CONDSTORE]}, id: merge, polyfills: off}}
tls: {certificates: [{cert: good.crt, key: good.key}]}
backends:
  one:
    address: "imap1.example.org:993"
    policy: {mailbox_map: {prefix: "INBOX.", separator: "."}, special_use: {sent: "Sent Items", trash: Bin}, quirks: [courier], idle_poll: 30s}
routes:
  - match: {user: "old-*"}
    backend: one
    policy:
      capabilities: {remove: [], add: [xdeltapush, CONDSTORE]}
      polyfills: [binary]
      quirks: []
      special_use: {sent: Sent}
      mailbox_map: {client_separator: "/"}
      move_without_uidplus: dance
  - {backend: one}
policy: {capabilities: {remove: [IDLE, "thread=*"], add: [XLIST]}, special_use: {trash: Trash, junk: Spam}}
`)
	merged := c.Options().Policies
	for _, test := range []struct{ listener, backend, route, want string }{
		{"", "", "", `{capabilities: {remove: [IDLE, THREAD=*], add: [XLIST]}, special_use: {junk: "Spam", trash: "Trash"}}`},
		{"a", "", "", `{capabilities: {remove: [CONDSTORE], add: [XLIST]}, polyfills: off, id: merge, special_use: {junk: "Spam", trash: "Trash"}}`},
		{"a", "one", "routes[1]", `{capabilities: {remove: [CONDSTORE], add: [XLIST]}, polyfills: off, quirks: [courier], id: merge, idle_poll: 30s, ` +
			`special_use: {junk: "Spam", sent: "Sent Items", trash: "Bin"}, mailbox_map: {prefix: "INBOX.", separator: "."}}`},
		{"a", "one", "routes[0]", `{move_without_uidplus: dance, capabilities: {add: [XDELTAPUSH, CONDSTORE]}, polyfills: [binary], quirks: off, id: merge, ` +
			`idle_poll: 30s, special_use: {junk: "Spam", sent: "Sent", trash: "Bin"}, mailbox_map: {prefix: "INBOX.", separator: ".", client_separator: "/"}}`},
	} {
		if got := describePolicy(merged(test.listener, test.backend, test.route)); got != test.want {
			t.Errorf("%s %s %s: got\n%s, want\n%s", test.listener, test.backend, test.route, got, test.want)
		}
	}
	text, err := c.Effective()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"polyfills: [binary]\n", "quirks: []\n", "remove: [IDLE, thread=*]\n", "polyfills: off\n", "idle_poll: 30s\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
}

// A name that is like no other is answered by all that there are.
func TestPolyfillsAreListed(t *testing.T) {
	_, err := loadText(t, minimal+"policy: {polyfills: [somethingelse]}\n", manyFiles)
	want := "there is no polyfill somethingelse; write some of " + strings.Join(polyfillNames(), ", ")
	if err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

// What nobody knows may still be somebody's: it is told.
func TestUnknownCapabilityIsNoted(t *testing.T) {
	c := mustLoad(t, minimal+"policy: {capabilities: {add: [X-VENDOR, IMAP5BIS]}}\n")
	want := "policy.capabilities.add[0]: imapgate does not know X-VENDOR: it is offered where the backend has it, and its commands need pass_commands"
	if len(c.Notes) != 2 || c.Notes[0] != want || !strings.Contains(c.Summary(), "note: "+want) {
		t.Errorf("notes %q", c.Notes)
	}
}

// Nobody comes to routes[0] but by b, no server name without TLS, no address on a Unix socket.
func TestEffectiveHasEveryMeeting(t *testing.T) {
	text, err := mustLoad(t, layered).Effective()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(text) {
		if names, _, ok := strings.Cut(strings.TrimPrefix(line, "#   "), ": {"); ok && strings.HasPrefix(line, "#   ") {
			got = append(got, names)
		}
	}
	want := []string{
		"a", "a > routes[1] > one", "a > routes[2] > one", "a > routes[3] > two",
		"b", "b > routes[0] > one", "b > routes[0] > two", "b > routes[1] > one", "b > routes[2] > one", "b > routes[3] > two",
		"c", "c > routes[3] > two",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if line := "#   b > routes[0] > two: {xgwmove: off, pass_commands: [LISTENER]}\n"; !strings.Contains(text, line) {
		t.Errorf("%q is missing in\n%s", line, text)
	}
}
