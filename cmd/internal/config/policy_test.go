package config

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/imapgate/imapgate/proxy/translate"
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
		want                     translate.Policy // the rest is as by default
	}{
		{"a", "", "", translate.Policy{XGWMove: "announce", Move: "auto", PassCommands: []string{"TOP"}}},
		{"b", "", "", translate.Policy{XGWMove: "accept", Move: "auto", PassCommands: []string{"LISTENER"}}},
		{"c", "", "", translate.Policy{XGWMove: "announce", Move: "auto", PassCommands: []string{}}},
		{"a", "two", "routes[3]", translate.Policy{XGWMove: "off", Move: "off", PassCommands: []string{"TOP"}}},
		{"b", "one", "routes[0]", translate.Policy{XGWMove: "accept", Move: "auto", PassCommands: []string{"LISTENER"}}},
		{"b", "two", "routes[0]", translate.Policy{XGWMove: "off", Move: "auto", PassCommands: []string{"LISTENER"}}},
		{"gone", "gone", "gone", translate.Policy{XGWMove: "announce", Move: "auto", PassCommands: []string{"TOP"}}},
	} {
		want := translate.DefaultPolicy()
		want.XGWMove, want.Move, want.PassCommands = test.want.XGWMove, test.want.Move, test.want.PassCommands
		test.want = want
		if got := merged(test.listener, test.backend, test.route); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s %s %s: got %+v, want %+v", test.listener, test.backend, test.route, got, test.want)
		}
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
	if line := "#   b > routes[0] > two: {xgwmove: off, move: auto, pass_commands: [LISTENER]}\n"; !strings.Contains(text, line) {
		t.Errorf("%q is missing in\n%s", line, text)
	}
}
