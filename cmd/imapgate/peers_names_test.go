//go:build unix

package main

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/imapgate/imapgate/proxy/imaptest/realpeer"
)

// courierNames is the map for Courier, whose mailboxes all lie below INBOX.
const courierNames = "policy: {mailbox_map: {prefix: \"INBOX.\", separator: \".\"}, polyfills: [enable, utf8, children, namespace]}\n"

// Python's imaplib sees of Courier, through the map of names, what Dovecot shows of itself.
func TestPeersNames(t *testing.T) {
	t.Parallel()
	realpeer.Need(t, realpeer.PartPython)
	script := readScript(t, "names.py")
	u := secretUser("riley.starttls")
	talk := func(server *realpeer.Server, policy string) string {
		g := startPeerGate(t, server.Users, backendLegs(server), policy)
		e := g.at(legImplicit)
		r := realpeer.RunPython(t, script, "localhost", e.port(), e.ca, u.Name, u.Password)
		if err := failure(r); err != nil {
			t.Fatal(err)
		}
		return r.Stdout
	}
	courier := talk(realpeer.Courier(t, realpeer.CourierOptions{Users: []realpeer.User{u}}), courierNames)
	dovecot := talk(realpeer.Dovecot(t, realpeer.DovecotOptions{Users: []realpeer.User{u}}), "policy: {polyfills: [enable, utf8]}\n")
	compareRuns(t, "courier", dovecot, courier)
}

// A client speaks UTF-8 to Dovecot, which speaks modified UTF-7.
func TestPeersUTF8(t *testing.T) {
	t.Parallel()
	u := secretUser("riley.starttls")
	server := realpeer.Dovecot(t, realpeer.DovecotOptions{Users: []realpeer.User{u}})
	g := startPeerGate(t, server.Users, backendLegs(server), "policy: {polyfills: [enable, utf8, esearch]}\n")
	c, witness := g.at(legImplicit).raw(t, u), at(server, legNone).raw(t, u)
	expect := func(want string, got []string) {
		t.Helper()
		if text := strings.Join(got, "\n"); !strings.Contains(text+"\n", want+"\n") {
			t.Errorf("got %q, want %q", text, want)
		}
	}
	expect("* ENABLED UTF8=ACCEPT", c.must("ENABLE UTF8=ACCEPT FOO"))
	c.must(`CREATE "été/über"`)
	c.must(`SUBSCRIBE "été/über"`)
	c.must(`CREATE "R&D"`)
	expect(`* STATUS &AOk-t&AOk-/&APw-ber (MESSAGES 0)`, witness.must("STATUS &AOk-t&AOk-/&APw-ber (MESSAGES)"))
	witness.must("STATUS R&-D (MESSAGES)")
	const text = "Subject: grue\r\n\r\nGr\u00fc\u00dfe\r\n"
	c.must(fmt.Sprintf("APPEND \"été/über\" (\\Seen) UTF8 (~{%d+}\r\n%s)", len(text), text))
	const eight = "Subject: Grüße\r\n\r\nx\r\n"
	if answer, _ := c.command(fmt.Sprintf("APPEND \"été/über\" UTF8 (~{%d+}\r\n%s)", len(eight), eight)); !strings.HasPrefix(answer, "NO [CANNOT]") {
		t.Error(answer)
	}
	c.must(`SELECT "été/über"`)
	expect("* 1 FETCH (RFC822.SIZE "+strconv.Itoa(len(text))+")", c.must("FETCH 1:* RFC822.SIZE"))
	expect("* SEARCH 1", c.must(`SEARCH BODY "Grüße"`))
	expect("* SEARCH", c.must(`SEARCH BODY "Grüßen"`))
	for pattern, want := range map[string]string{"é%": `"été"`, "*ü*": `"été/über"`, "%é/%b%": `"été/über"`, "R&%": `"R&D"`} {
		found := c.must(fmt.Sprintf("LIST \"\" \"%s\"", pattern))
		if len(found) != 1 || !strings.HasSuffix(found[0], " "+want) {
			t.Errorf("%s finds %q", pattern, found)
		}
	}
}
