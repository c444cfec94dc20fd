//go:build unix

package main

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"github.com/imapgate/imapgate/proxy/imaptest/realpeer"
)

// curlArgs are what every call needs on a way.
func curlArgs(e endpoint, path string, more ...string) []string {
	args := []string{"--cacert", e.ca}
	scheme := "imap"
	switch e.tls {
	case legImplicit:
		scheme = "imaps"
	case legStartTLS:
		args = append(args, "--ssl-reqd")
	}
	return append(append(args, fmt.Sprintf("%s://localhost:%s/%s", scheme, e.port(), path)), more...)
}

// curlScenario uses everything that curl can do with IMAP, and prints what curl does.
func curlScenario(t testing.TB, e endpoint, u realpeer.User, box string) (string, error) {
	file := filepath.Join(t.TempDir(), "message")
	text := "From: a@example.org\r\nSubject: curl {3}\r\n\r\n" + strings.Repeat("line of text ( { \" \\\r\n", 5000)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return "", err
	}
	var out strings.Builder
	for _, call := range [][]string{
		{"", "-X", "CREATE " + box},
		{""},
		{"INBOX", "-T", file},
		{"INBOX", "-T", file, "--login-options", "AUTH=PLAIN"},
		{box, "-T", file},
		{box + ";MAILINDEX=1"},
		{"INBOX;UID=2;SECTION=TEXT"},
		{"INBOX;MAILINDEX=1;SECTION=HEADER.FIELDS%20(SUBJECT)"},
		{"INBOX;MAILINDEX=1;PARTIAL=10.50"},
		{"INBOX;MAILINDEX=9"},
		{"INBOX?SUBJECT%20curl"},
		{"INBOX", "-X", "FETCH 1:2 (UID FLAGS RFC822.SIZE)"},
		{"INBOX", "-X", "STORE 1 +FLAGS \\Deleted"},
		{"INBOX", "-X", "EXPUNGE"},
		{"", "-X", "STATUS INBOX (MESSAGES UIDNEXT)"},
		{"", "-X", "NONSENSE"},
		{"nowhere;UID=1"},
	} {
		r := realpeer.RunCurl(t, u, curlArgs(e, call[0], call[1:]...)...)
		fmt.Fprintf(&out, "%s: %d\n%s\n", call, r.Code, r.Stdout)
	}
	return withoutTime(strings.ReplaceAll(out.String(), file, "FILE")), nil
}

func withoutTime(s string) string {
	return regexp.MustCompile(`UIDVALIDITY \d+`).ReplaceAllString(marked.ReplaceAllString(s, ""), "UIDVALIDITY v")
}

func TestPeersCurl(t *testing.T) {
	t.Parallel()
	realpeer.Need(t, realpeer.PartCurl)
	onRealKinds(t, func(t *testing.T, k realKind) {
		onEveryWay(t, k, "curl", func(t testing.TB, e endpoint, u realpeer.User) (string, error) {
			return curlScenario(t, e, u, k.prefix+"Curl")
		})
	})
}

const mbsyncConfig = `
IMAPStore far
Host localhost
Port %s
User %s
Pass "%s"
SSLType %s
CertificateFile %s
AuthMechs %s

MaildirStore near
Path %[7]s/
Inbox %[7]s/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
SyncState *
CopyArrivalDate yes
`

// mbsyncMessages is how many messages lie on each side before the first run.
const mbsyncMessages = 100

func numbered(where string, n int) string {
	return fmt.Sprintf("From: a@example.org\r\nSubject: %s %d\r\nMessage-ID: <%s.%d@example.org>\r\n\r\n%s\r\n",
		where, n, where, n, strings.Repeat("x", n*37%5000))
}

// A mirror is a user's mail at the server and a Maildir here.
type mirror struct {
	e      endpoint
	u      realpeer.User
	server *realpeer.Server
	near   string
	config string
}

func newMirror(t testing.TB, e endpoint, u realpeer.User, server *realpeer.Server) *mirror {
	t.Helper()
	m := &mirror{e: e, u: u, server: server, near: t.TempDir()}
	secure := map[leg]string{legNone: "None", legStartTLS: "STARTTLS", legImplicit: "IMAPS"}[e.tls]
	mechanism := map[leg]string{legNone: "LOGIN", legStartTLS: "*", legImplicit: "PLAIN"}[e.tls]
	m.config = fmt.Sprintf(mbsyncConfig, e.port(), u.Name, u.Password, secure, e.ca, mechanism, m.near)
	return m
}

// sync runs mbsync; new mail on both sides must reach the other.
func (m *mirror) sync(t testing.TB) {
	t.Helper()
	realpeer.Mbsync(t, m.config, "-a")
}

// fill puts mail on both sides.
func (m *mirror) fill(t testing.TB) {
	t.Helper()
	m.addNear(t, 0, mbsyncMessages)
	c := at(m.server, legNone).login(t, m.u)
	defer c.Close()
	for n := range mbsyncMessages {
		m.server.Deliver(t, m.u.Name, "INBOX", numbered("far", n))
	}
}

func (m *mirror) addNear(t testing.TB, from, to int) {
	t.Helper()
	dir := filepath.Join(m.near, "INBOX")
	for _, sub := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for n := from; n < to; n++ {
		name := fmt.Sprintf("17000000%02d.%d.here:2,%s", n%100, n, []string{"", "S", "FS", "R"}[n%4])
		text := strings.ReplaceAll(numbered("near", n), "\r\n", "\n")
		if err := os.WriteFile(filepath.Join(dir, "cur", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// change changes flags, removes and adds on both sides.
func (m *mirror) change(t testing.TB) {
	t.Helper()
	c := at(m.server, legNone).login(t, m.u)
	defer c.Close()
	selectBox(t, c, "INBOX")
	setFlag(t, c, uidsOf(t, c, "far", 0, 20), imap.FlagFlagged)
	setFlag(t, c, uidsOf(t, c, "near", 20, 30), imap.FlagDeleted)
	if err := c.Expunge().Close(); err != nil {
		t.Fatal(err)
	}
	for n := mbsyncMessages; n < mbsyncMessages+20; n++ {
		m.server.Deliver(t, m.u.Name, "INBOX", numbered("far", n))
	}
	m.addNear(t, mbsyncMessages, mbsyncMessages+20)
	m.mark(t, "near 5", "T")
	m.mark(t, "near 6", "S")
	m.mark(t, "far 50", "RS")
}

func setFlag(t testing.TB, c *imapclient.Client, set imap.NumSet, flag imap.Flag) {
	t.Helper()
	err := c.Store(set, &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{flag}}, nil).Close()
	if err != nil {
		t.Fatal(err)
	}
}

// uidsOf finds numbered messages of the selected mailbox.
func uidsOf(t testing.TB, c *imapclient.Client, where string, from, to int) (set imap.UIDSet) {
	t.Helper()
	messages, err := c.Fetch(everything(), &imap.FetchOptions{UID: true, Envelope: true}).Collect()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range messages {
		for n := from; n < to; n++ {
			if m.Envelope.Subject == fmt.Sprintf("%s %d", where, n) {
				set.AddNum(m.UID)
			}
		}
	}
	return set
}

// mark gives the file of a message here other flags.
func (m *mirror) mark(t testing.TB, subject, flags string) {
	t.Helper()
	for file, text := range m.files(t) {
		if strings.Contains(text, "Subject: "+subject+"\n") {
			base, _, _ := strings.Cut(filepath.Base(file), ":2,")
			if err := os.Rename(file, filepath.Join(m.near, "INBOX", "cur", base+":2,"+flags)); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("no message %q here", subject)
}

func (m *mirror) files(t testing.TB) map[string]string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(m.near, "INBOX", "[cn][ue][rw]", "*"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(text)
	}
	return files
}

var subjectLine = regexp.MustCompile(`(?m)^Subject: (.*?)\r?$`)

// here and there list subjects, sizes and flags on the two sides, in the same form.
func (m *mirror) here(t testing.TB) []string {
	t.Helper()
	var list []string
	for name, text := range m.files(t) {
		_, flags, _ := strings.Cut(filepath.Base(name), ":2,")
		list = append(list, fmt.Sprintf("%s %d %s", subjectLine.FindStringSubmatch(text)[1], bodySize(text), flags))
	}
	slices.Sort(list)
	return list
}

// bodySize leaves the header out, to which mbsync adds a line while it copies.
func bodySize(text string) int {
	_, body, _ := strings.Cut(strings.ReplaceAll(text, "\r\n", "\n"), "\n\n")
	return len(body)
}

var maildirFlags = map[imap.Flag]string{
	imap.FlagSeen: "S", imap.FlagFlagged: "F", imap.FlagAnswered: "R", imap.FlagDeleted: "T", imap.FlagDraft: "D",
}

func (m *mirror) there(t testing.TB) []string {
	t.Helper()
	c := at(m.server, legNone).login(t, m.u)
	defer c.Close()
	selectBox(t, c, "INBOX")
	section := &imap.FetchItemBodySection{Peek: true}
	messages, err := c.Fetch(everything(), &imap.FetchOptions{Flags: true, BodySection: []*imap.FetchItemBodySection{section}}).Collect()
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, message := range messages {
		var flags []string
		for _, f := range message.Flags {
			flags = append(flags, maildirFlags[f])
		}
		slices.Sort(flags)
		text := string(bytes.Clone(message.FindBodySection(section)))
		list = append(list, fmt.Sprintf("%s %d %s", subjectLine.FindStringSubmatch(text)[1], bodySize(text), strings.Join(flags, "")))
	}
	slices.Sort(list)
	return list
}

// mbsync with a mailbox in front of the proxy ends as it does in front of the server itself, and both
// sides have the same mail.
func TestPeersMbsync(t *testing.T) {
	t.Parallel()
	realpeer.Need(t, realpeer.PartMbsync)
	onRealKinds(t, func(t *testing.T, k realKind) {
		ways := map[string]leg{"sync.direct": legNone, "sync.none": legNone, "sync.starttls": legStartTLS, "sync.implicit": legImplicit}
		var users []realpeer.User
		for name := range ways {
			users = append(users, secretUser(name))
		}
		server := k.start(t, users)
		g := startPeerGate(t, users, backendLegs(server), asDirect)
		var direct []string
		for _, name := range slices.Sorted(maps.Keys(ways)) {
			e := g.at(ways[name])
			if name == "sync.direct" {
				e = at(server, legNone)
			}
			m := newMirror(t, e, secretUser(name), server)
			m.fill(t)
			m.sync(t)
			m.change(t)
			m.sync(t)
			m.sync(t) // nothing is left to do
			here, there := m.here(t), m.there(t)
			if name == "sync.direct" {
				direct = there
			}
			if len(there) != 2*mbsyncMessages+40-10-1 {
				t.Errorf("%s: %d messages at the server", name, len(there))
			}
			if !slices.Equal(here, there) {
				compareRuns(t, name+" here and there", strings.Join(here, "\n"), strings.Join(there, "\n"))
			}
			compareRuns(t, name, strings.Join(direct, "\n"), strings.Join(there, "\n"))
		}
	})
}
