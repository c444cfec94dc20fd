//go:build unix

package main

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"github.com/imapgate/imapgate/proxy/imaptest/realpeer"
)

// searchForms are servers that lack some or all of ESEARCH, SEARCHRES and WITHIN.
func searchForms() []realKind {
	dovecot := func(without ...string) func(testing.TB, []realpeer.User) *realpeer.Server {
		return func(t testing.TB, users []realpeer.User) *realpeer.Server {
			list := realpeer.Without(realpeer.DovecotCapability, without...)
			return realpeer.Dovecot(t, realpeer.DovecotOptions{Users: users, Capability: list})
		}
	}
	return []realKind{
		{"dovecot without all", "", "/", "", dovecot("ESEARCH", "SEARCHRES", "WITHIN", "ESORT", "CONTEXT=SEARCH")},
		{"dovecot without SEARCHRES", "", "/", "", dovecot("SEARCHRES")},
		{"dovecot without WITHIN", "", "/", "", dovecot("WITHIN")},
		{"courier", "INBOX.", ".", "", func(t testing.TB, users []realpeer.User) *realpeer.Server {
			return realpeer.Courier(t, realpeer.CourierOptions{Users: users})
		}},
	}
}

// fillForSearch makes a mailbox of 36 messages with flags and dates in several zones, whose numbers are not
// their UIDs. Dates are far enough from whole hours that the clock may go on during the test.
func fillForSearch(t testing.TB, c *rawClient, now time.Time) {
	t.Helper()
	for i := range 40 {
		text := fmt.Sprintf("From: %s@example.org\r\nSubject: s%d\r\n\r\nbody\r\n", []string{"bob", "eve", "zoe"}[i%3], i)
		flags := []string{"", `\Seen`, `\Flagged`, `\Seen \Flagged`}[i%4]
		zone := time.FixedZone("", []int{0, -11, 14, 9, -3}[i%5]*3600)
		date := now.Add(-time.Duration(40-i)*150*time.Minute + 7*time.Minute).In(zone).Format("_2-Jan-2006 15:04:05 -0700")
		tag := c.begin(fmt.Sprintf("APPEND INBOX (%s) %q {%d}", flags, date, len(text)))
		c.until("+")
		c.say(text)
		c.until(tag + " OK")
	}
	c.must("SELECT INBOX")
	c.must(`STORE 3,4,5,20 +FLAGS (\Deleted)`)
	c.must("EXPUNGE")
}

// searchScript is what is asked of every server, in one session. "-" asks for nothing but OK.
var searchScript = []string{
	"SEARCH RETURN (MIN MAX COUNT ALL) UNSEEN",
	"UID SEARCH RETURN () FROM bob",
	"UID SEARCH RETURN (MAX) FROM nobody",
	"SEARCH RETURN (COUNT) OR (FROM eve NOT SEEN) NOT (FLAGGED FROM zoe)",
	"SEARCH RETURN (COUNT ALL) CHARSET UTF-8 SUBJECT s1",
	"SEARCH OLDER 86400",
	"UID SEARCH YOUNGER 86400",
	"SEARCH NOT OLDER 90000 SEEN",
	"UID SEARCH OR YOUNGER 10000 NOT YOUNGER 172800",
	"SEARCH NOT (YOUNGER 172800 OLDER 40000)",
	"SEARCH NOT (NOT OLDER 200000)",
	"SEARCH OLDER 4294967295",
	"SEARCH YOUNGER 4294967295 NOT SEEN",
	"UID SEARCH RETURN (COUNT MAX) 3:9 OLDER 100000",
	"SEARCH RETURN (SAVE) UNSEEN",
	"FETCH $ (UID)",
	"UID FETCH $ (UID)",
	"SEARCH RETURN (ALL) $ FROM bob",
	"SEARCH NOT $",
	"SEARCH OR $ FROM zoe",
	"SEARCH RETURN (SAVE MIN) $ YOUNGER 200000",
	"FETCH $ (UID)",
	"UID SEARCH RETURN (SAVE MAX MIN COUNT) FLAGGED",
	"FETCH $ (UID)",
	"SEARCH RETURN (SAVE) FROM eve",
	`STORE 2,8 +FLAGS (\Deleted)`,
	"-EXPUNGE",
	"FETCH $ (UID)",
	`-STORE $ +FLAGS.SILENT (\Answered)`,
	"SEARCH ANSWERED",
	"-UID COPY $ ${prefix}Kept",
	"-COPY $ ${prefix}Kept",
	"SEARCH RETURN (SAVE) FROM nobody",
	"FETCH $ (UID)",
	"SEARCH $",
	"SEARCH NOT $ FROM bob",
	"-SELECT ${prefix}Kept",
	"FETCH $ (UID)",
	"SEARCH RETURN (COUNT SAVE) ALL",
	"UID FETCH $ (UID)",
}

// asked plays the script and returns what was answered, in a form in which servers may be compared.
func asked(c *rawClient, prefix string) (notes []string) {
	for _, command := range searchScript {
		command, quiet := strings.CutPrefix(command, "-")
		answer, untagged := c.command(strings.ReplaceAll(command, "${prefix}", prefix))
		note := command + " = " + answer[:2]
		for _, line := range untagged {
			line = strings.ReplaceAll(line, fmt.Sprintf(`"t%d"`, c.n), "TAG")
			name := strings.Fields(line)[1]
			switch {
			case quiet:
			case name == "SEARCH" && strings.TrimSpace(line) == "* SEARCH": // may be left out
			case name == "ESEARCH":
				note += "\n  " + sortedItems(line)
			case name == "SEARCH", strings.Contains(line, " FETCH (UID"):
				note += "\n  " + strings.TrimSpace(line)
			}
		}
		notes = append(notes, note)
	}
	return notes
}

// sortedItems brings the items of an ESEARCH response into one order.
func sortedItems(line string) string {
	line = strings.Replace(line, `(TAG TAG)`, "(TAG)", 1)
	fields := strings.Fields(line)
	var items []string
	for i := 3; i < len(fields); i++ {
		item := fields[i]
		if item != "UID" && i+1 < len(fields) {
			i++
			item += " " + fields[i]
		}
		items = append(items, item)
	}
	slices.Sort(items)
	return strings.Join(append(fields[:3], items...), " ")
}

// TestPeersSearch: what a server answers that has ESEARCH, SEARCHRES and WITHIN, imapgate answers in front of
// one that has not.
func TestPeersSearch(t *testing.T) {
	t.Parallel()
	now := time.Now()
	u := secretUser("searcher.implicit")
	reference := realpeer.Dovecot(t, realpeer.DovecotOptions{Users: []realpeer.User{u}})
	direct := at(reference, legNone).raw(t, u)
	direct.must("CREATE Kept")
	fillForSearch(t, direct, now)
	wantFound := searchedByClient(t, at(reference, legNone).login(t, u))
	want := asked(direct, "")
	for _, k := range searchForms() {
		t.Run(k.name, func(t *testing.T) {
			u := secretUser("searcher.implicit")
			server := k.start(t, []realpeer.User{u})
			g := startPeerGate(t, server.Users, backendLegs(server), "")
			filler := at(server, legNone).raw(t, u)
			filler.must("CREATE " + k.prefix + "Kept")
			fillForSearch(t, filler, now)
			filler.must("LOGOUT")
			if got := searchedByClient(t, g.at(legImplicit).login(t, u)); !reflect.DeepEqual(got, wantFound) {
				t.Errorf("go-imap found\n%v, want\n%v", got, wantFound)
			}
			got := asked(g.at(legImplicit).raw(t, u).selected("INBOX"), k.prefix)
			for i := range want {
				if got[i] != want[i] {
					t.Errorf("got  %s\nwant %s", got[i], want[i])
				}
			}
		})
	}
}

func (c *rawClient) selected(box string) *rawClient {
	c.t.Helper()
	c.must("SELECT " + box)
	return c
}

// searchedByClient is what go-imap's client makes of searches with result options.
func searchedByClient(t testing.TB, c *imapclient.Client) (notes []string) {
	t.Helper()
	for _, name := range []imap.Cap{imap.CapESearch, imap.CapSearchRes, imap.CapWithin} {
		if !c.Caps().Has(name) {
			t.Fatalf("%s is not offered", name)
		}
	}
	selectBox(t, c, "INBOX")
	note := func(found *imap.SearchData, err error) {
		if err != nil {
			t.Fatal(err)
		}
		notes = append(notes, fmt.Sprintf("%v min %d max %d count %d", found.All, found.Min, found.Max, found.Count))
	}
	unseen := &imap.SearchCriteria{NotFlag: []imap.Flag{imap.FlagSeen}}
	note(c.Search(unseen, &imap.SearchOptions{ReturnMin: true, ReturnMax: true, ReturnCount: true, ReturnAll: true}).Wait())
	note(c.UIDSearch(unseen, &imap.SearchOptions{ReturnAll: true}).Wait())
	note(c.UIDSearch(&imap.SearchCriteria{Body: []string{"nothing"}}, &imap.SearchOptions{ReturnAll: true, ReturnCount: true}).Wait())
	note(c.Search(unseen, &imap.SearchOptions{ReturnSave: true, ReturnCount: true}).Wait())
	messages, err := c.Fetch(imap.SearchRes(), &imap.FetchOptions{UID: true, Flags: true}).Collect()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range messages {
		notes = append(notes, fmt.Sprintf("%d is %d", m.SeqNum, m.UID))
	}
	if err := c.Logout().Wait(); err != nil {
		t.Fatal(err)
	}
	return notes
}
