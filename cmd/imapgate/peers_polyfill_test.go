//go:build unix

package main

import (
	_ "embed"
	"strings"
	"testing"

	"github.com/imapgate/imapgate/proxy/imaptest/realpeer"
)

//go:embed testdata/polyfill.js
var polyfillScript string

//go:embed testdata/polyfill.py
var polyfillPython string

// A poorKind is a server that lacks what modern clients use, and what the gate is told of it.
type poorKind struct {
	name   string
	policy string // of the gate
	start  func(testing.TB, []realpeer.User) *realpeer.Server
}

func poorKinds() []poorKind {
	dovecot := func(capability string) func(testing.TB, []realpeer.User) *realpeer.Server {
		return func(t testing.TB, users []realpeer.User) *realpeer.Server {
			return realpeer.Dovecot(t, realpeer.DovecotOptions{Users: users, Capability: capability})
		}
	}
	return []poorKind{
		{"dovecot", "", dovecot("")},
		{"dovecot that announces little", "", dovecot("IMAP4rev1 UIDPLUS")},
		{"courier", "policy: {mailbox_map: {prefix: \"INBOX.\", separator: \".\", client_separator: \"/\"}}\n",
			func(t testing.TB, users []realpeer.User) *realpeer.Server {
				return realpeer.Courier(t, realpeer.CourierOptions{Users: users})
			}},
	}
}

// A modern client sees the same in front of a modern server and, through the gate, in front of servers
// that lack nearly everything.
func TestPeersPolyfillIMAPFlow(t *testing.T) {
	t.Parallel()
	realpeer.Need(t, realpeer.PartIMAPFlow)
	onPoorKinds(t, func(t testing.TB, e endpoint, u realpeer.User) string {
		r := realpeer.RunNode(t, polyfillScript, e.port(), e.ca, u.Name, u.Password)
		if err := failure(r); err != nil {
			t.Errorf("imapflow: %v\n%s\n%s", err, r.Stdout, r.Stderr)
		}
		return r.Stdout
	})
}

// The same, command by command.
func TestPeersPolyfillPython(t *testing.T) {
	t.Parallel()
	onPoorKinds(t, func(t testing.TB, e endpoint, u realpeer.User) string {
		r := realpeer.RunPython(t, polyfillPython, e.port(), e.ca, u.Name, u.Password)
		if err := failure(r); err != nil {
			t.Errorf("imaplib: %v\n%s\n%s", err, r.Stdout, r.Stderr)
		}
		return r.Stdout
	})
}

// onPoorKinds compares what a client understands of a modern server with what it understands of each poor
// one through the gate.
func onPoorKinds(t *testing.T, run func(testing.TB, endpoint, realpeer.User) string) {
	u := secretUser("riley.implicit")
	want := run(t, at(realpeer.Dovecot(t, realpeer.DovecotOptions{Users: []realpeer.User{u}}), legImplicit), u)
	if strings.Count(want, "\n") < 10 {
		t.Fatalf("the client understood too little of the server itself:\n%s", want)
	}
	t.Logf("understood:\n%s", want)
	for _, k := range poorKinds() {
		t.Run(k.name, func(t *testing.T) {
			server := k.start(t, []realpeer.User{u})
			g := startPeerGate(t, server.Users, backendLegs(server), k.policy)
			if got := run(t, g.at(legImplicit), u); got != want {
				t.Errorf("through the gate:\n%s\nthe modern server itself:\n%s", got, want)
			}
		})
	}
}
