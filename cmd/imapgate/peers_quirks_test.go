//go:build unix

package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/imaptest/realpeer"
)

// Courier keeps UIDNEXT and the EXISTS of an appended message to itself; clients hear of both.
func TestPeersCourierQuirks(t *testing.T) {
	t.Parallel()
	u := secretUser("courier.implicit")
	server := realpeer.Courier(t, realpeer.CourierOptions{Users: []realpeer.User{u}})
	server.Deliver(t, u.Name, "INBOX", "Subject: one\n\nbody\n")
	g := startPeerGate(t, server.Users, backendLegs(server), "")
	direct, c := at(server, legImplicit).raw(t, u), g.at(legImplicit).raw(t, u)
	told := func(c *rawClient) bool {
		return slices.ContainsFunc(c.must("SELECT INBOX"), func(line string) bool { return strings.Contains(line, "[UIDNEXT 2]") })
	}
	if told(direct) || !told(c) {
		t.Error("UIDNEXT is not what it was made for")
	}
	if got := c.must("APPEND INBOX {1+}\r\nx"); !slices.Contains(got, "* 2 EXISTS") {
		t.Errorf("APPEND: %q", got)
	}
}

// mailutilsScenario is one user's ordinary work with imaplib.
const mailutilsScenario = `
import imaplib, ssl, sys
host, port, ca, name, password = sys.argv[1:6]
i = imaplib.IMAP4_SSL(host, int(port), ssl_context=ssl.create_default_context(cafile=ca))
def ok(r):
    assert r[0] == "OK", r
    return r[1]
ok(i.login(name, password))
print("list", sorted(ok(i.list())))
print("select", ok(i.select()))
print("fetch", [p for p in ok(i.fetch("1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])"))])
print("store", ok(i.store("2", "+FLAGS", r"(\Flagged)")))
print("search", ok(i.search(None, "SUBJECT", "two")), ok(i.uid("SEARCH", None, "FLAGGED")))
ok(i.create("Archive"))
print("copy", ok(i.copy("1:2", "Archive")))
print("copy to nowhere", i.copy("1", "Nowhere")[1])
print("append to nowhere", i.append("Nowhere", None, None, b"Subject: x\r\n\r\n")[1])
ok(i.append("Archive", r"(\Seen)", None, b"Subject: three\r\n\r\nbody\r\n"))
print("store", ok(i.store("1", "+FLAGS.SILENT", r"(\Deleted)")))
print("expunge", ok(i.expunge()))
print("left", ok(i.search(None, "ALL")))
print("select", ok(i.select("Archive")))
print("search", ok(i.uid("SEARCH", None, "SEEN")))
ok(i.close())
i.logout()
`

// GNU mailutils' imap4d has nearly nothing, and does some of that wrong.
func TestPeersMailutils(t *testing.T) {
	t.Parallel()
	users := []realpeer.User{secretUser("riley@example.none"), secretUser("riley@example.implicit")}
	server := realpeer.Mailutils(t, realpeer.MailutilsOptions{Users: users})
	for _, u := range users {
		for _, subject := range []string{"one", "two", "three"} {
			server.Deliver(t, u.Name, "INBOX", "Subject: "+subject+"\n\nbody of "+subject+"\n")
		}
	}
	g := startPeerGate(t, users, backendLegs(server), "")
	e := g.at(legImplicit)
	out := realpeer.Python(t, mailutilsScenario, "localhost", e.port(), e.ca, users[0].Name, users[0].Password)
	for _, want := range []string{"select [b'3']", "copy to nowhere [b'[TRYCREATE] COPY failed']", "append to nowhere [b'[TRYCREATE] APPEND failed']", "left [b'1 2']", "expunge [b'1']", "select [b'3']"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in what imaplib saw:\n%s", want, out)
		}
	}
	c := e.login(t, users[1])
	defer c.Close()
	if data := selectBox(t, c, "INBOX"); data.NumMessages != 3 || data.UIDNext == 0 {
		t.Errorf("SELECT: %+v", data)
	}
	if _, err := c.Copy(imap.SeqSetNum(1), "Nowhere").Wait(); err == nil || !strings.Contains(fmt.Sprint(err), "TRYCREATE") {
		t.Errorf("COPY to nowhere: %v", err)
	}
	if _, err := c.Store(imap.SeqSetNum(1), &imap.StoreFlags{Op: imap.StoreFlagsAdd, Silent: true, Flags: []imap.Flag{imap.FlagDeleted}}, nil).Collect(); err != nil {
		t.Fatal(err)
	}
	if gone, err := c.Expunge().Collect(); err != nil || !slices.Equal(gone, []uint32{1}) {
		t.Errorf("EXPUNGE: %v, %v", gone, err)
	}
	if err := c.Logout().Wait(); err != nil {
		t.Error(err)
	}
	if !strings.Contains(g.log.String(), `"quirks":"mailutils"`) {
		t.Error("the log does not name the quirk")
	}
}
