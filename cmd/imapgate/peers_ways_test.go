//go:build unix

package main

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"github.com/imapgate/imapgate/proxy/imaptest/realpeer"
)

// A notebook is what go-imap's client understood of one conversation, as text that can be compared.
type notebook struct {
	t      testing.TB
	c      *imapclient.Client
	k      realKind
	text   strings.Builder
	broken error       // what a server's refusal does not explain
	exists chan uint32 // each EXISTS that no command had asked for

	mu   sync.Mutex
	told []string // what came with no command to take it, since the last result
}

func newNotebook(t testing.TB, e endpoint, k realKind) *notebook {
	n := &notebook{t: t, k: k, exists: make(chan uint32, 100)}
	n.c = e.open(t, imapclient.Options{UnilateralDataHandler: &imapclient.UnilateralDataHandler{
		Mailbox: n.mailbox,
		Expunge: func(num uint32) { n.tell(fmt.Sprintf("EXPUNGE %d", num)) },
	}})
	return n
}

func (n *notebook) mailbox(data *imapclient.UnilateralDataMailbox) {
	n.tell("mailbox " + plain(data))
	if data.NumMessages != nil {
		n.exists <- *data.NumMessages
	}
}

func (n *notebook) tell(line string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.told = append(n.told, line)
}

// untold forgets what came by itself, for where a server chooses the moment or the client the command.
func (n *notebook) untold() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	told := n.told
	n.told = nil
	return told
}

func (n *notebook) has(feature string) bool {
	return slices.Contains(strings.Fields(n.k.features), feature)
}

func (n *notebook) write(lines ...string) {
	for _, line := range lines {
		n.text.WriteString(line + "\n")
	}
}

// note writes what a command led to: its data, or the type and code of the refusal.
func (n *notebook) note(what string, data any, err error) {
	n.write(n.untold()...)
	var refusal *imap.Error
	switch {
	case errors.As(err, &refusal):
		n.write(fmt.Sprintf("%s: %s [%s]", what, refusal.Type, refusal.Code))
	case err != nil:
		n.broken = errors.Join(n.broken, fmt.Errorf("%s: %w", what, err))
	default:
		n.write(what + ": " + plain(data))
	}
}

// done is note for a command that has no data.
func (n *notebook) done(what string, err error) { n.note(what, "OK", err) }

var timely = regexp.MustCompile(`"UIDValidity":[1-9]\d*`)

// plain renders data without what two users do not share.
func plain(data any) string {
	text, err := json.Marshal(data)
	if err != nil {
		return err.Error()
	}
	return timely.ReplaceAllString(string(text), `"UIDValidity":"v"`)
}

func (n *notebook) list(reference, pattern string, o *imap.ListOptions) {
	boxes, err := n.c.List(reference, pattern, o).Collect()
	for _, box := range boxes {
		box.Attrs = slices.DeleteFunc(box.Attrs, func(a imap.MailboxAttr) bool {
			return a == imap.MailboxAttrMarked || a == imap.MailboxAttrUnmarked
		})
		n.write("  " + plain(box))
	}
	n.note("LIST "+pattern, len(boxes), err)
}

func (n *notebook) status(box string) {
	o := &imap.StatusOptions{NumMessages: true, UIDNext: true, UIDValidity: true, NumUnseen: true}
	o.Size, o.HighestModSeq = n.has("modern"), n.has("modern")
	data, err := n.c.Status(box, o).Wait()
	n.note("STATUS "+box, data, err)
}

func (n *notebook) selectBox(box string, o *imap.SelectOptions) {
	data, err := n.c.Select(box, o).Wait()
	n.note("SELECT "+box, data, err)
}

func (n *notebook) append(box, text string, o *imap.AppendOptions) {
	cmd := n.c.Append(box, int64(len(text)), o)
	_, writeErr := io.WriteString(cmd, text)
	closeErr := cmd.Close()
	data, err := cmd.Wait()
	if err == nil {
		err = errors.Join(writeErr, closeErr)
	}
	n.note("APPEND "+box, data, err)
}

// messages notes each message that FETCH or STORE answers with; long parts are noted as their checksum.
func (n *notebook) messages(what string, cmd *imapclient.FetchCommand) {
	list, err := cmd.Collect()
	for _, m := range list {
		parts := m.BodySection
		m.BodySection = nil
		n.write("  " + plain(m))
		for _, part := range parts {
			body := fmt.Sprintf("%q", part.Bytes)
			if len(part.Bytes) > 500 {
				body = fmt.Sprintf("%d octets, %x", len(part.Bytes), sha256.Sum256(part.Bytes))
			}
			n.write("    " + plain(part.Section) + " " + body)
		}
	}
	n.note(what, len(list), err)
}

func (n *notebook) store(set imap.NumSet, op imap.StoreFlagsOp, flags ...imap.Flag) {
	n.messages(fmt.Sprintf("STORE %s %d %s", set, op, flags), n.c.Store(set, &imap.StoreFlags{Op: op, Flags: flags}, nil))
}

func (n *notebook) search(criteria *imap.SearchCriteria, o *imap.SearchOptions) {
	data, err := n.c.Search(criteria, o).Wait()
	n.note("SEARCH "+plain(criteria), data, err)
	data, err = n.c.UIDSearch(criteria, o).Wait()
	n.note("UID SEARCH "+plain(criteria), data, err)
}

// mailboxes are made, listed, renamed and refused.
func (n *notebook) mailboxes() {
	n.list("", "*", nil)
	for _, box := range []string{"Work", "Work" + n.k.sep + "2024", "Entwürfe & ☺", "copies", "copies"} {
		n.done("CREATE "+box, n.c.Create(n.k.prefix+box, nil).Wait())
	}
	n.list("", "%", nil)
	n.list("", n.k.prefix+"Wo*", nil)
	old, renamed := n.k.prefix+"Work"+n.k.sep+"2024", n.k.prefix+"Work"+n.k.sep+`old "one"`
	n.done("RENAME", n.c.Rename(old, renamed, nil).Wait())
	n.done("RENAME of nothing", n.c.Rename(old, renamed, nil).Wait())
	n.done("SUBSCRIBE", n.c.Subscribe(renamed).Wait())
	n.list("", "*", nil)
	if n.has("modern") {
		status := &imap.StatusOptions{NumMessages: true, UIDNext: true}
		n.list("", "*", &imap.ListOptions{ReturnSubscribed: true, ReturnChildren: true, ReturnStatus: status})
		n.list("", "*", &imap.ListOptions{SelectSubscribed: true})
	}
	n.done("UNSUBSCRIBE", n.c.Unsubscribe(renamed).Wait())
	n.done("DELETE", n.c.Delete(renamed).Wait())
	n.done("DELETE of nothing", n.c.Delete(renamed).Wait())
	namespace, err := n.c.Namespace().Wait()
	n.note("NAMESPACE", namespace, err)
	n.selectBox(n.k.prefix+"nowhere", nil)
	n.status(n.k.prefix + "nowhere")
}

// mixed is a message with a structure and an envelope that need literals and encoding.
func mixed(i int) string {
	return fmt.Sprintf("From: =?utf-8?q?J=C3=B6rg_=22x=22?= <j@example.org>\r\nTo: \"a\\\\b\" <a@example.org>, group: b@example.org, c@example.org;\r\n"+
		"Cc: \r\nSubject: message %[1]d {3} \\ \"quoted\"\r\nDate: Tue, 0%[1]d Jan 2024 12:00:00 -0330\r\nMessage-ID: <%[1]d@example.org>\r\n"+
		"In-Reply-To: <0@example.org>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=xyz\r\n\r\npreamble\r\n"+
		"--xyz\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Language: de, en\r\n\r\ngrüße %[1]d {17}\r\n)\r\n"+
		"--xyz\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\nFrom: i@example.org\r\n\r\ninner body\r\n"+
		"--xyz\r\nContent-Type: application/octet-stream; name=\"a{3}.bin\"\r\nContent-Disposition: attachment; filename=\"a)(.bin\"\r\n"+
		"Content-Transfer-Encoding: base64\r\n\r\nAAECAwQFBgcICQ==\r\n--xyz--\r\n", i)
}

// appends leave six messages in the INBOX.
func (n *notebook) appends() {
	zone := time.FixedZone("", -(3*60+30)*60)
	for i := range 4 {
		o := &imap.AppendOptions{Time: time.Date(2024, 2, 1+i, 10, 0, 0, 0, zone)}
		if i%2 == 0 {
			o.Flags = []imap.Flag{imap.FlagSeen, "$Work"}
		}
		n.append("INBOX", mixed(i+1), o)
	}
	long, err := io.ReadAll(noise(wholeLines(300_000)))
	n.done("noise", err)
	when := time.Date(1999, 12, 31, 23, 59, 59, 0, time.UTC)
	n.append("INBOX", string(long), &imap.AppendOptions{Flags: []imap.Flag{imap.FlagFlagged}, Time: when})
	n.append("INBOX", "Subject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\n\r\n你好 grüße\r\n", &imap.AppendOptions{Time: when})
	n.append(n.k.prefix+"Entwürfe & ☺", mixed(5), &imap.AppendOptions{Time: when})
	if n.has("nonsync") { // go-imap gives a connection up on which a literal is refused before it is sent
		n.append(n.k.prefix+"nowhere", mixed(6), nil)
	}
	n.status("INBOX")
	n.status(n.k.prefix + "Entwürfe & ☺")
}

// fetches read all there is of a message.
func (n *notebook) fetches() {
	n.selectBox("INBOX", &imap.SelectOptions{ReadOnly: true})
	n.store(imap.SeqSetNum(2), imap.StoreFlagsAdd, imap.FlagSeen)
	n.selectBox("INBOX", nil)
	n.messages("envelopes", n.c.Fetch(everything(), &imap.FetchOptions{
		Envelope: true, Flags: true, InternalDate: true, RFC822Size: true, UID: true}))
	n.messages("structure", n.c.Fetch(everything(), &imap.FetchOptions{BodyStructure: &imap.FetchItemBodyStructure{}}))
	n.messages("extended structure", n.c.Fetch(imap.UIDSetNum(1, 2, 5), &imap.FetchOptions{
		UID: true, BodyStructure: &imap.FetchItemBodyStructure{Extended: true}}))
	n.messages("sections", n.c.Fetch(imap.SeqSetNum(2, 4, 5), &imap.FetchOptions{UID: true, BodySection: []*imap.FetchItemBodySection{
		{Peek: true},
		{Peek: true, Specifier: imap.PartSpecifierHeader},
		{Peek: true, Specifier: imap.PartSpecifierText},
		{Peek: true, Specifier: imap.PartSpecifierHeader, HeaderFields: []string{"Subject", "From"}},
		{Peek: true, Specifier: imap.PartSpecifierHeader, HeaderFieldsNot: []string{"Subject"}},
		{Peek: true, Part: []int{1}},
		{Peek: true, Part: []int{2}, Specifier: imap.PartSpecifierHeader},
		{Peek: true, Part: []int{3}, Specifier: imap.PartSpecifierMIME},
		{Peek: true, Partial: &imap.SectionPartial{Offset: 10, Size: 40}},
		{Peek: true, Partial: &imap.SectionPartial{Offset: 1 << 30, Size: 40}},
	}}))
	n.messages("marking", n.c.Fetch(imap.SeqSetNum(4), &imap.FetchOptions{Flags: true, BodySection: []*imap.FetchItemBodySection{{}}}))
	n.messages("nothing", n.c.Fetch(imap.UIDSetNum(9999), &imap.FetchOptions{Flags: true}))
	n.messages("too far", n.c.Fetch(imap.SeqSetNum(9999), &imap.FetchOptions{Flags: true}))
	if n.has("binary") {
		n.messages("binary", n.c.Fetch(imap.SeqSetNum(1), &imap.FetchOptions{
			BinarySection:     []*imap.FetchItemBinarySection{{Part: []int{3}, Peek: true}},
			BinarySectionSize: []*imap.FetchItemBinarySectionSize{{Part: []int{3}}}}))
	}
}

// searches are the same with and without what ESEARCH has.
func (n *notebook) searches() {
	header := func(key, value string) []imap.SearchCriteriaHeaderField {
		return []imap.SearchCriteriaHeaderField{{Key: key, Value: value}}
	}
	for _, criteria := range []imap.SearchCriteria{
		{},
		{NotFlag: []imap.Flag{imap.FlagSeen}},
		{Flag: []imap.Flag{"$Work"}, SeqNum: []imap.SeqSet{imap.SeqSetNum(1, 2)}},
		{Since: time.Date(2024, 2, 2, 0, 0, 0, 0, time.UTC), Before: time.Date(2024, 2, 4, 0, 0, 0, 0, time.UTC)},
		{Larger: 100_000},
		{Header: header("Message-ID", "<2@example.org>")},
		{Header: header("Subject", `message 3 {3} \ "quoted"`)},
		{Body: []string{"grüße"}},
		{Or: [][2]imap.SearchCriteria{{{Header: header("Subject", "1")}, {Not: []imap.SearchCriteria{{UID: []imap.UIDSet{imap.UIDSetNum(1, 2, 3, 4)}}}}}}},
		{Flag: []imap.Flag{imap.FlagDeleted}},
	} {
		n.search(&criteria, nil)
		if n.has("modern") {
			n.search(&criteria, &imap.SearchOptions{ReturnAll: true, ReturnCount: true, ReturnMin: true, ReturnMax: true})
		}
	}
	if n.has("sort") {
		keys := []imapclient.SortCriterion{{Key: imapclient.SortKeySize, Reverse: true}}
		nums, err := n.c.UIDSort(&imapclient.SortOptions{SortCriteria: keys, SearchCriteria: &imap.SearchCriteria{}}).Wait()
		n.note("UID SORT", nums, err)
	}
}

// changes end with two messages in the INBOX and five in copies.
func (n *notebook) changes() {
	copies := n.k.prefix + "copies"
	n.store(imap.SeqSetNum(1, 2), imap.StoreFlagsAdd, imap.FlagAnswered, "kw1")
	n.store(imap.SeqSetNum(1), imap.StoreFlagsDel, imap.FlagAnswered)
	n.store(imap.UIDSetNum(2), imap.StoreFlagsSet, imap.FlagDraft, "kw2")
	for _, to := range []string{copies, n.k.prefix + "nowhere"} {
		data, err := n.c.Copy(imap.SeqSetNum(1, 2), to).Wait()
		n.note("COPY "+to, data, err)
	}
	data, err := n.c.Copy(imap.UIDSetNum(5), copies).Wait()
	n.note("UID COPY", data, err)
	n.move(imap.UIDSetNum(2, 6), copies)
	n.store(imap.UIDSetNum(1, 3), imap.StoreFlagsAdd, imap.FlagDeleted)
	gone, err := n.c.UIDExpunge(imap.UIDSetNum(3, 4)).Collect()
	n.note("UID EXPUNGE", gone, err)
	gone, err = n.c.Expunge().Collect()
	n.note("EXPUNGE", gone, err)
	n.messages("left", n.c.Fetch(everything(), &imap.FetchOptions{UID: true, Flags: true}))
	n.status(copies)
}

// move has the same end everywhere. At a server without MOVE the client does it in three steps, and with
// the proxy in front in one: there the answers differ, and are left out.
func (n *notebook) move(set imap.UIDSet, to string) {
	data, err := n.c.Move(set, to).Wait()
	if n.has("move") {
		n.note("MOVE", data, err)
	} else {
		n.untold()
		n.done("MOVE", err)
	}
	n.note("MOVE leaves", n.c.Mailbox().NumMessages, nil)
}

// idle waits for a delivery that no command asks for.
func (n *notebook) idle(deliver func()) {
	before := n.c.Mailbox().NumMessages
	idle, err := n.c.Idle()
	if err != nil {
		n.done("IDLE", err)
		return
	}
	deliver()
	err = errors.Join(n.awaitExists(before+1), idle.Close(), idle.Wait(), n.c.Noop().Wait())
	n.untold() // Courier tells of a delivery more than once
	n.done("IDLE and NOOP", err)
	n.messages("delivered", n.c.Fetch(imap.SeqSetNum(before+1), &imap.FetchOptions{
		Envelope: true, UID: true, RFC822Size: true, BodySection: []*imap.FetchItemBodySection{{Peek: true}}}))
}

func (n *notebook) awaitExists(want uint32) error {
	deadline := time.After(patience)
	for {
		select {
		case got := <-n.exists:
			if got == want {
				return nil
			}
		case <-deadline:
			return fmt.Errorf("EXISTS %d is not told", want)
		}
	}
}

// end leaves the mailbox in each way, removes one and goes.
func (n *notebook) end() {
	n.store(imap.SeqSetNum(1), imap.StoreFlagsAdd, imap.FlagDeleted)
	n.done("CLOSE", n.c.UnselectAndExpunge().Wait())
	n.status("INBOX")
	if n.has("unselect") {
		n.selectBox(n.k.prefix+"copies", &imap.SelectOptions{CondStore: true})
		n.store(imap.SeqSetNum(1), imap.StoreFlagsAdd, imap.FlagDeleted)
		n.done("UNSELECT", n.c.Unselect().Wait())
		n.status(n.k.prefix + "copies")
	}
	n.done("DELETE", n.c.Delete(n.k.prefix+"copies").Wait())
	n.list("", "*", nil)
	n.done("LOGOUT", n.c.Logout().Wait())
}

// goScenario is a long conversation of go-imap's client. It ends, with an error, even if an answer never comes.
func goScenario(n *notebook, u realpeer.User, deliver func()) (string, error) {
	hung := time.AfterFunc(4*patience, func() { n.c.Close() })
	defer hung.Stop()
	n.done("LOGIN", n.c.Login(u.Name, u.Password).Wait())
	for _, chapter := range []func(){n.mailboxes, n.appends, n.fetches, n.searches, n.changes, func() { n.idle(deliver) }, n.end} {
		if n.broken == nil {
			chapter()
		}
	}
	return n.text.String(), n.broken
}

// go-imap's client understands a server through the proxy as it does without.
func TestPeersGoScenario(t *testing.T) {
	t.Parallel()
	onRealKinds(t, func(t *testing.T, k realKind) {
		var server *realpeer.Server
		start := k.start
		k.start = func(t testing.TB, users []realpeer.User) *realpeer.Server {
			server = start(t, users)
			return server
		}
		onEveryWay(t, k, "go", func(t testing.TB, e endpoint, u realpeer.User) (string, error) {
			return goScenario(newNotebook(t, e, k), u, func() { server.Deliver(t, u.Name, "INBOX", mixed(7)) })
		})
	})
}
