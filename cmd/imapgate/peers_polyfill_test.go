//go:build unix

package main

import (
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"

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
		{"dovecot that announces little", "policy: {idle_poll: 5s}\n", dovecot("IMAP4rev1 UIDPLUS")},
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

// The same with go-imap's client, which waits for what the server announces before it uses it.
func TestPeersPolyfillGo(t *testing.T) {
	t.Parallel()
	onPoorServers(t, func(t testing.TB, e endpoint, u realpeer.User, server *realpeer.Server) string {
		n := newNotebook(t, e, realKind{name: "modern", sep: "/", features: "uidplus move idle unselect"})
		hung := time.AfterFunc(4*patience, func() { n.c.Close() })
		defer hung.Stop()
		n.done("LOGIN", n.c.Login(u.Name, u.Password).Wait())
		n.modern(func() { server.Deliver(t, u.Name, "INBOX", "From: a@example.org\r\nSubject: news\r\n\r\nnews\r\n") })
		if n.broken != nil {
			t.Errorf("go-imap: %v\n%s", n.broken, n.text.String())
		}
		return n.text.String()
	})
}

// modern uses what is not in IMAP4rev1.
func (n *notebook) modern(deliver func()) {
	caps := n.c.Caps()
	for _, c := range []imap.Cap{
		imap.CapMove, imap.CapIdle, imap.CapNamespace, imap.CapUnselect, imap.CapESearch, imap.CapEnable, imap.CapListExtended,
		imap.CapListStatus, imap.CapSearchRes, imap.CapBinary, imap.CapUIDPlus, imap.CapLiteralPlus, imap.CapChildren,
	} {
		if !caps.Has(c) {
			n.broken = errors.Join(n.broken, fmt.Errorf("%s is not announced", c))
		}
	}
	space, err := n.c.Namespace().Wait()
	if err == nil {
		n.note("NAMESPACE", space.Personal, nil)
	}
	for _, box := range []string{"Box", "Box/Sub", "Größe"} {
		n.done("CREATE "+box, n.c.Create(box, nil).Wait())
	}
	n.done("SUBSCRIBE", n.c.Subscribe("Box/Sub").Wait())
	for i := range 6 {
		mustAppend(n.t, n.c, "INBOX", fmt.Sprintf("number %d", i+1))
	}
	n.listed("all", &imap.ListOptions{ReturnStatus: &imap.StatusOptions{NumMessages: true, NumUnseen: true}}, "*")
	n.listed("subscribed", &imap.ListOptions{SelectSubscribed: true, ReturnSubscribed: true}, "Box/%", "G*")
	n.listed("above", &imap.ListOptions{SelectSubscribed: true, SelectRecursiveMatch: true}, "%")
	selectBox(n.t, n.c, "INBOX")
	for _, options := range []*imap.SearchOptions{
		{ReturnMin: true, ReturnMax: true, ReturnCount: true, ReturnAll: true}, {ReturnCount: true},
	} {
		found, err := n.c.UIDSearch(&imap.SearchCriteria{NotFlag: []imap.Flag{imap.FlagSeen}, UID: []imap.UIDSet{imap.UIDSetNum(2, 3, 5)}}, options).Wait()
		n.note("UID SEARCH", found, err)
	}
	moved, err := n.c.Move(imap.UIDSetNum(2, 3), "Größe").Wait()
	n.untold()
	n.note("MOVE", moved, err)
	_, err = n.c.Move(imap.UIDSetNum(1), "Nowhere").Wait()
	n.note("MOVE nowhere", "moved", err)
	n.untold()
	n.idle(deliver)
	n.done("UNSELECT", n.c.Unselect().Wait())
	n.listed("all", &imap.ListOptions{ReturnStatus: &imap.StatusOptions{NumMessages: true, NumUnseen: true}}, "*")
	n.done("LOGOUT", n.c.Logout().Wait())
}

// listed writes what a LIST with options finds, in the order of names.
func (n *notebook) listed(what string, o *imap.ListOptions, patterns ...string) {
	for _, pattern := range patterns {
		boxes, err := n.c.List("", pattern, o).Collect()
		slices.SortFunc(boxes, func(a, b *imap.ListData) int { return strings.Compare(a.Mailbox, b.Mailbox) })
		for _, box := range boxes {
			subscribed := slices.Contains(box.Attrs, imap.MailboxAttrSubscribed)
			n.write("  " + plain([]any{box.Mailbox, string(box.Delim), subscribed, box.ChildInfo, box.Status}))
		}
		n.note("LIST "+what+" "+pattern, len(boxes), err)
	}
}

// And mbsync, which has the same mail on both sides at the end.
func TestPeersPolyfillMbsync(t *testing.T) {
	t.Parallel()
	realpeer.Need(t, realpeer.PartMbsync)
	onPoorServers(t, func(t testing.TB, e endpoint, u realpeer.User, server *realpeer.Server) string {
		m := newMirror(t, e, u, server)
		m.fill(t)
		m.sync(t)
		m.change(t)
		m.sync(t)
		here, there := strings.Join(m.here(t), "\n"), strings.Join(m.there(t), "\n")
		if here != there {
			t.Errorf("here\n%s\nand there\n%s", here, there)
		}
		return there
	})
}

// onPoorKinds is onPoorServers for clients that need nothing of the server.
func onPoorKinds(t *testing.T, run func(testing.TB, endpoint, realpeer.User) string) {
	onPoorServers(t, func(t testing.TB, e endpoint, u realpeer.User, _ *realpeer.Server) string { return run(t, e, u) })
}

// onPoorServers compares what a client understands of a modern server with what it understands of each poor
// one through the gate.
func onPoorServers(t *testing.T, run func(testing.TB, endpoint, realpeer.User, *realpeer.Server) string) {
	u := secretUser("riley.implicit")
	modern := realpeer.Dovecot(t, realpeer.DovecotOptions{Users: []realpeer.User{u}})
	want := run(t, at(modern, legImplicit), u, modern)
	if strings.Count(want, "\n") < 10 {
		t.Fatalf("the client understood too little of the server itself:\n%s", want)
	}
	for _, k := range poorKinds() {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			server := k.start(t, []realpeer.User{u})
			g := startPeerGate(t, server.Users, backendLegs(server), k.policy)
			if got := run(t, g.at(legImplicit), u, server); got != want {
				t.Errorf("through the gate:\n%s\nthe modern server itself:\n%s", got, want)
			}
		})
	}
}
