//go:build unix

package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/imaptest/realpeer"
)

func rev2Kinds() []poorKind {
	kinds := slices.DeleteFunc(poorKinds(), func(k poorKind) bool { return k.name == "dovecot" })
	for i := range kinds {
		kinds[i].policy = strings.Replace(kinds[i].policy, "policy: {", "policy: {capabilities: {add: [IMAP4rev2]}, ", 1)
	}
	return kinds
}

// A client that enables IMAP4rev2 has it in front of servers that never heard of it.
func TestPeersRev2(t *testing.T) {
	t.Parallel()
	u := secretUser("riley.implicit")
	for _, k := range rev2Kinds() {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			server := k.start(t, []realpeer.User{u})
			g := startPeerGate(t, server.Users, backendLegs(server), k.policy)
			n := newNotebook(t, g.at(legImplicit), realKind{name: "modern", sep: "/", features: "uidplus move idle unselect"})
			hung := time.AfterFunc(4*patience, func() { n.c.Close() })
			defer hung.Stop()
			n.done("LOGIN", n.c.Login(u.Name, u.Password).Wait())
			n.rev2(func() { server.Deliver(t, u.Name, "INBOX", "From: a@example.org\r\nSubject: news\r\n\r\nnews\r\n") })
			for _, want := range rev2Lines {
				if !strings.Contains(n.text.String(), want) {
					t.Errorf("%q is not in\n%s", want, n.text.String())
				}
			}
			if n.broken != nil {
				t.Errorf("go-imap: %v", n.broken)
			}
			rev2Raw(t, g.at(legImplicit).dial(t), u)
		})
	}
}

func (n *notebook) rev2(deliver func()) {
	if !n.c.Caps().Has(imap.CapIMAP4rev2) {
		n.broken = errors.New("IMAP4rev2 is not announced")
		return
	}
	enabled, err := n.c.Enable(imap.CapIMAP4rev2).Wait()
	n.note("ENABLE", enabled, err)
	for _, box := range []string{"Größe", "Größe/日本", "A & B"} {
		n.done("CREATE "+box, n.c.Create(box, nil).Wait())
		n.done("SUBSCRIBE "+box, n.c.Subscribe(box).Wait())
	}
	n.done("RENAME", n.c.Rename("A & B", "B & Ä", nil).Wait())
	for i := range 6 {
		mustAppend(n.t, n.c, "INBOX", fmt.Sprintf("number %d", i+1))
	}
	mustAppend(n.t, n.c, "Größe/日本", "one")
	all := &imap.StatusOptions{NumMessages: true, UIDNext: true, NumUnseen: true, NumDeleted: true, Size: true}
	for _, box := range []string{"INBOX", "Größe/日本", "nowhere"} {
		data, err := n.c.Status(box, all).Wait()
		n.note("STATUS "+box, data, err)
	}
	n.listed("all", &imap.ListOptions{ReturnStatus: all}, "*")
	n.listed("subscribed", &imap.ListOptions{SelectSubscribed: true, ReturnSubscribed: true}, "%", "Gr*")
	n.selectBox("INBOX", nil)
	for _, options := range []*imap.SearchOptions{
		nil, {ReturnMin: true, ReturnMax: true, ReturnCount: true, ReturnAll: true}, {ReturnCount: true},
	} {
		found, err := n.c.UIDSearch(&imap.SearchCriteria{NotFlag: []imap.Flag{imap.FlagSeen}, UID: []imap.UIDSet{imap.UIDSetNum(2, 3, 5)}}, options).Wait()
		n.note("UID SEARCH", found, err)
	}
	found, err := n.c.Search(&imap.SearchCriteria{Text: []string{"größer"}}, nil).Wait()
	n.note("SEARCH", found, err)
	n.store(imap.SeqSetNum(4), imap.StoreFlagsAdd, imap.FlagDeleted)
	for _, box := range []string{"INBOX", "Größe"} {
		data, err := n.c.Status(box, all).Wait()
		n.note("STATUS "+box, data, err)
	}
	moved, err := n.c.Move(imap.UIDSetNum(2, 3), "Größe/日本").Wait()
	n.untold()
	n.note("MOVE", moved, err)
	n.messages("left", n.c.Fetch(imap.SeqSet{{Start: 1}}, &imap.FetchOptions{UID: true, Flags: true}))
	n.idle(deliver)
	n.selectBox("Größe/日本", nil)
	n.messages("moved", n.c.Fetch(imap.SeqSet{{Start: 1}}, &imap.FetchOptions{UID: true, Flags: true, Envelope: true}))
	n.done("UNSELECT", n.c.Unselect().Wait())
	n.listed("all", &imap.ListOptions{ReturnStatus: all}, "*")
	n.done("LOGOUT", n.c.Logout().Wait())
}

// rev2Lines are in the notebook, whatever the server.
var rev2Lines = []string{
	`ENABLE: {"Caps":{"IMAP4rev2":{}}}`,
	`STATUS INBOX: {"Mailbox":"INBOX","NumMessages":6,"NumRecent":null,"UIDNext":7,"UIDValidity":0,"NumUnseen":6,"NumDeleted":0,"Size":234,`,
	`STATUS Größe/日本: {"Mailbox":"Größe/日本","NumMessages":1,"NumRecent":null,"UIDNext":2,"UIDValidity":0,"NumUnseen":1,"NumDeleted":0,"Size":29,`,
	"STATUS nowhere: NO []", "LIST all *: 4", "LIST subscribed Gr*: 2",
	`"List":{"Attrs":`,
	`UID SEARCH: {"All":[{"Start":2,"Stop":3},{"Start":5,"Stop":5}],"Min":0,"Max":0,"Count":0,"ModSeq":0}`,
	`UID SEARCH: {"All":[{"Start":2,"Stop":3},{"Start":5,"Stop":5}],"Min":2,"Max":5,"Count":3,"ModSeq":0}`,
	`UID SEARCH: {"All":null,"Min":0,"Max":0,"Count":3,"ModSeq":0}`,
	`SEARCH: {"All":null,"Min":0,"Max":0,"Count":0,"ModSeq":0}`,
	`"UIDNext":7,"UIDValidity":0,"NumUnseen":6,"NumDeleted":1,"Size":234,`,
	"STATUS Größe: NO [LIMIT]",
	`"SourceUIDs":[{"Start":2,"Stop":3}],"DestUIDs":[{"Start":2,"Stop":3}]`,
	"left: 4", `IDLE and NOOP: "OK"`, "delivered: 1", "moved: 3", `UNSELECT: "OK"`, `LOGOUT: "OK"`,
}

// rev2Raw uses several layers in one command.
func rev2Raw(t *testing.T, c *rawClient, u realpeer.User) {
	c.must(fmt.Sprintf("LOGIN %s %s", u.Name, u.Password))
	c.must("ENABLE IMAP4rev2")
	c.must("CREATE \"Übersicht\"")
	for _, step := range [][2]string{
		{`LIST "" * RETURN (STATUS (SIZE DELETED MESSAGES))`, "(MESSAGES 3 SIZE 107 DELETED 0)"},
		{`LIST "" (Gr% INBOX) RETURN (STATUS (SIZE) CHILDREN SUBSCRIBED)`, `* STATUS "INBOX" (SIZE 200)`},
		{"SELECT INBOX", `"/" "INBOX"`},
		{"SEARCH RETURN (SAVE) UNDELETED YOUNGER 3600 SUBJECT {6+}\r\nnumber", "OK"},
		{"FETCH $ (FLAGS BINARY[1])", "BINARY[1] {18}\r\nbody of number 5\r\n)"},
		{"UID FETCH $ (BINARY.SIZE[1] BINARY.PEEK[1]<2.3> ENVELOPE)", "BINARY[1]<2> {3}\r\ndy  BINARY.SIZE[1] 18)"},
		{`UID STORE $ +FLAGS (\Flagged)`, `* 4 FETCH (UID 6 FLAGS (\Flagged \Seen))`},
		{`UID MOVE $ "Übersicht"`, " 1,5:6 1:3]"},
		{"FETCH $ FLAGS", "OK"},
		{"UID FETCH 1:* FLAGS", "* 2 FETCH (UID 7 FLAGS ())"},
		{"UID XGWMOVE 4 {10+}\r\nÜbersicht", " 4 4]"},
		{`SELECT "Übersicht"`, "* OK [CLOSED]"},
		{"UID FETCH 1:* FLAGS", `* 4 FETCH (UID 4 FLAGS (\Deleted))`},
	} {
		answer, untagged := c.command(step[0])
		if all := strings.Join(append(untagged, answer), "\n"); !strings.HasPrefix(answer, "OK") || !strings.Contains(all, step[1]) {
			t.Errorf("%s is answered\n%s\nwithout %q", step[0], all, step[1])
		}
	}
}
