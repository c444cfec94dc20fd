package imaptest

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/emersion/go-sasl"
)

// start runs b and returns go-imap's client, not logged in.
func start(t *testing.T, b *Backend, o *imapclient.Options) *imapclient.Client {
	t.Helper()
	l := Listen()
	b.Start(t, l)
	nc, err := l.Dial()
	if err != nil {
		t.Fatal(err)
	}
	c := imapclient.New(nc, o)
	t.Cleanup(func() { c.Close() })
	return c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// selected returns a client that has selected INBOX, which holds three messages.
func selected(t *testing.T, b *Backend) *imapclient.Client {
	t.Helper()
	b.Store = NewStore()
	for _, body := range []string{"one", "two", "three"} {
		b.Store.Add("INBOX", body)
	}
	b.Store.Create("Old Mail")
	c := start(t, b, nil)
	must(t, c.Login("riley", "firetruck").Wait())
	data, err := c.Select("INBOX", nil).Wait()
	must(t, err)
	if data.NumMessages != 3 || data.UIDNext != 4 || data.UIDValidity != 1 {
		t.Fatalf("selected %+v", data)
	}
	return c
}

func expectStore(t *testing.T, st *Store, want ...string) {
	t.Helper()
	if got := strings.Split(strings.TrimSpace(st.String()), "\n"); !slices.Equal(got, want) {
		t.Errorf("the store holds\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestBackendLogin(t *testing.T) {
	b := &Backend{Store: NewStore(), User: "riley", Password: "fire \"truck\\"}
	for _, caps := range []string{defaultCaps, "IMAP4rev1"} {
		b.Caps = caps
		c := start(t, b, nil)
		if err := c.Login("riley", "x").Wait(); err == nil {
			t.Error("a wrong password is right")
		}
		must(t, c.Authenticate(sasl.NewPlainClient("", b.User, b.Password)))
		must(t, c.Logout().Wait())
		c = start(t, b, nil)
		must(t, c.Login(b.User, b.Password).Wait())
		if _, err := c.Select("nowhere", nil).Wait(); err == nil {
			t.Error("a mailbox that is not there was selected")
		}
	}
	if strings.Contains(strings.Join(b.Commands(), "\n"), "truck") {
		t.Errorf("the password stands in %q", b.Commands())
	}
}

func TestBackendStartTLS(t *testing.T) {
	cert, pool := Certificate(t)
	b := &Backend{Store: NewStore(), TLS: &tls.Config{Certificates: []tls.Certificate{cert}}}
	l := Listen()
	b.Start(t, l)
	nc, err := l.Dial()
	must(t, err)
	c, err := imapclient.NewStartTLS(nc, &imapclient.Options{TLSConfig: &tls.Config{RootCAs: pool, ServerName: "imap.example.org"}})
	must(t, err)
	defer c.Close()
	must(t, c.Login("riley", "firetruck").Wait())
}

func TestBackendFetchStoreSearch(t *testing.T) {
	b := &Backend{}
	c := selected(t, b)
	section := &imap.FetchItemBodySection{Peek: true}
	messages, err := c.Fetch(imap.SeqSetNum(1, 3), &imap.FetchOptions{UID: true, Flags: true, BodySection: []*imap.FetchItemBodySection{section}}).Collect()
	must(t, err)
	if len(messages) != 2 || messages[1].UID != 3 || string(messages[1].FindBodySection(section)) != "three" {
		t.Errorf("fetched %+v", messages)
	}
	store := &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{imap.FlagDeleted, "$Label"}}
	messages, err = c.Store(imap.UIDSetNum(2), store, nil).Collect()
	must(t, err)
	if len(messages) != 1 || !slices.Contains(messages[0].Flags, imap.FlagDeleted) {
		t.Errorf("stored %+v", messages)
	}
	store = &imap.StoreFlags{Op: imap.StoreFlagsDel, Silent: true, Flags: []imap.Flag{"$Label"}}
	messages, err = c.Store(imap.SeqSetNum(2), store, nil).Collect()
	must(t, err)
	if len(messages) != 0 {
		t.Errorf("stored silently, told %+v", messages)
	}
	found, err := c.UIDSearch(&imap.SearchCriteria{NotFlag: []imap.Flag{imap.FlagDeleted}, UID: []imap.UIDSet{{{Start: 2, Stop: 0}}}}, nil).Wait()
	must(t, err)
	if got := found.AllUIDs(); !slices.Equal(got, []imap.UID{3}) {
		t.Errorf("found %v", got)
	}
	expectStore(t, b.Store, "INBOX 1 () one", `INBOX 2 (\Deleted) two`, "INBOX 3 () three")
}

func TestBackendCopyMoveExpunge(t *testing.T) {
	b := &Backend{}
	c := selected(t, b)
	copied, err := c.Copy(imap.UIDSetNum(1, 2, 3), "Old Mail").Wait()
	must(t, err)
	if copied.SourceUIDs.String() != "1:3" || copied.DestUIDs.String() != "1:3" || copied.UIDValidity != 2 {
		t.Errorf("copied %+v", copied)
	}
	moved, err := c.Move(imap.SeqSetNum(2), "Old Mail").Wait()
	must(t, err)
	if moved.SourceUIDs.(imap.UIDSet).String() != "2" || moved.DestUIDs.(imap.UIDSet).String() != "4" {
		t.Errorf("moved %+v", moved)
	}
	_, err = c.Copy(imap.UIDSetNum(1), "nowhere").Wait()
	var status *imap.Error
	if !errors.As(err, &status) || status.Code != imap.ResponseCodeTryCreate {
		t.Errorf("COPY to nowhere: %v", err)
	}
	mark := &imap.StoreFlags{Op: imap.StoreFlagsAdd, Silent: true, Flags: []imap.Flag{imap.FlagDeleted}}
	must(t, c.Store(imap.SeqSetNum(1, 2), mark, nil).Close())
	gone, err := c.UIDExpunge(imap.UIDSetNum(3)).Collect()
	must(t, err)
	if !slices.Equal(gone, []uint32{2}) {
		t.Errorf("expunged %v", gone)
	}
	expectStore(t, b.Store, `INBOX 1 (\Deleted) one`, "Old Mail 1 () one", "Old Mail 2 () two", "Old Mail 3 () three", "Old Mail 4 () two")
	must(t, c.UnselectAndExpunge().Wait())
	if n := len(b.Store.Messages("inbox")); n != 0 {
		t.Errorf("CLOSE leaves %d messages", n)
	}
}

func TestBackendAppendListStatus(t *testing.T) {
	for _, caps := range []string{defaultCaps, "IMAP4rev1 UIDPLUS"} {
		b := &Backend{Caps: caps}
		c := selected(t, b)
		body := "four\r\nlines (\r\n{3}\r\n\r\n"
		cmd := c.Append("Old Mail", int64(len(body)), &imap.AppendOptions{Flags: []imap.Flag{imap.FlagSeen}})
		io.WriteString(cmd, body)
		must(t, cmd.Close())
		data, err := cmd.Wait()
		must(t, err)
		if data.UID != 1 || b.Store.Messages("Old Mail")[0].Body != body {
			t.Errorf("appended %+v: %q", data, b.Store.String())
		}
		boxes, err := c.List("", "*", nil).Collect()
		must(t, err)
		if len(boxes) != 2 || boxes[1].Mailbox != "Old Mail" {
			t.Errorf("listed %+v", boxes)
		}
		st, err := c.Status("Old Mail", &imap.StatusOptions{NumMessages: true, UIDNext: true, NumUnseen: true}).Wait()
		must(t, err)
		if *st.NumMessages != 1 || st.UIDNext != 2 || *st.NumUnseen != 0 {
			t.Errorf("status %+v", st)
		}
	}
}

func TestBackendWithoutCapability(t *testing.T) {
	b := &Backend{Caps: "IMAP4rev1"}
	c := selected(t, b)
	copied, err := c.Copy(imap.UIDSetNum(1), "Old Mail").Wait()
	must(t, err)
	if len(copied.SourceUIDs) != 0 {
		t.Errorf("COPYUID without UIDPLUS: %+v", copied)
	}
	if _, err := c.UIDExpunge(imap.UIDSetNum(1)).Collect(); err == nil {
		t.Error("UID EXPUNGE without UIDPLUS")
	}
}

func TestBackendIdle(t *testing.T) {
	b := &Backend{Store: NewStore()}
	uid := b.Store.Add("INBOX", "one")
	exists, gone := make(chan uint32, 3), make(chan uint32, 1)
	c := start(t, b, &imapclient.Options{UnilateralDataHandler: &imapclient.UnilateralDataHandler{
		Expunge: func(n uint32) { gone <- n },
		Mailbox: func(d *imapclient.UnilateralDataMailbox) {
			if d.NumMessages != nil {
				exists <- *d.NumMessages
			}
		},
	}})
	must(t, c.Login("riley", "firetruck").Wait())
	_, err := c.Select("INBOX", nil).Wait()
	must(t, err)
	idle, err := c.Idle()
	must(t, err)
	b.Store.Add("INBOX", "two")
	if n := <-exists; n != 2 {
		t.Errorf("%d EXISTS", n)
	}
	b.Store.Remove("INBOX", uid)
	if n := <-gone; n != 1 {
		t.Errorf("%d EXPUNGE", n)
	}
	must(t, idle.Close())
	must(t, idle.Wait())
	must(t, c.Noop().Wait())
}

const loginAndSelect = `=== select
c: * OK [CAPABILITY ` + defaultCaps + ` AUTH=PLAIN] ready
C: a LOGIN x y
c: a OK [CAPABILITY ` + defaultCaps + `] logged in
C: b SELECT INBOX
c: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft)
c: * 2 EXISTS
c: * 0 RECENT
c: * OK [UIDVALIDITY 1] valid
c: * OK [UIDNEXT 3] next
c: * OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft \*)] kept
c: b OK [READ-WRITE] selected
`

func TestBackendFaults(t *testing.T) {
	const before = "INBOX 1 () one\nINBOX 2 () two\n"
	const after = "INBOX 2 () two\nOld 1 () one\n"
	for _, f := range []struct {
		fault  Fault
		answer string
		store  string
	}{
		{AnswerNo, "c: c NO [SERVERBUG] refused\n", before},
		{VanishBefore, "c: <CUT>\n", before},
		{VanishAfter, "c: <CUT>\n", after},
		{VanishUntold, "c: * OK [COPYUID 2 1 1] moved\nc: * 1 EXPUNGE\nc: <CUT>\n", after},
		{VanishMiddle, "c: * OK [COPYUID 2 1 1] moved\nc\"* 1 E\"\nc: <CUT>\n", after},
		{StallBefore, "C: d NOOP\n", before},
		{StallAfter, "C: d NOOP\n", after},
		{Sound, "c: * OK [COPYUID 2 1 1] moved\nc: * 1 EXPUNGE\nc: c OK UID MOVE completed\n", after},
	} {
		s := parse(t, loginAndSelect+"=== move prefix=select\nC: c UID MOVE 1 Old\n"+f.answer)
		synctest.Test(t, func(t *testing.T) {
			b := &Backend{Store: NewStore(), Fault: FaultAt("UID MOVE", 1, f.fault)}
			b.Store.Add("INBOX", "one")
			b.Store.Add("INBOX", "two")
			b.Store.Create("Old")
			l := Listen()
			b.Start(t, l)
			client, _ := l.Dial()
			Compare(t, s[1], Play(t, s[1], Stage{Client: client}))
			if got := b.Store.String(); got != f.store {
				t.Errorf("fault %d leaves\n%s", f.fault, got)
			}
		})
	}
}

func TestBackendTellsOtherSessions(t *testing.T) {
	s := parse(t, loginAndSelect+`=== others prefix=select
C: c STORE 1 +FLAGS (\Seen)
c: * 1 FETCH (UID 1 FLAGS (\Seen))
c: * 2 FETCH (UID 2 FLAGS (\Flagged))
c: * 3 EXISTS
c: c OK STORE completed
C: d FETCH 4 FLAGS
c: d BAD FETCH: there is no message 4
C: e NOOP
c: e OK NOOP completed
`)
	synctest.Test(t, func(t *testing.T) {
		b := &Backend{Store: NewStore()}
		b.Store.Add("INBOX", "one")
		b.Store.Add("INBOX", "two")
		b.Fault = func(command string, _ int) Fault {
			if command == "STORE" { // what another session does meanwhile
				b.Store.SetFlags("INBOX", 2, `\Flagged`)
				b.Store.Add("INBOX", "three")
			}
			return Sound
		}
		l := Listen()
		b.Start(t, l)
		client, _ := l.Dial()
		Compare(t, s[1], Play(t, s[1], Stage{Client: client}))
	})
}

func TestBackendTranscripts(t *testing.T) {
	Transcripts(t, "testdata/backend.txt", func(t *testing.T, s Section) Stage {
		b := &Backend{Store: NewStore(), User: "riley", Password: "firetruck", Caps: s.Options["caps"]}
		b.Store.Add("INBOX", "one", `\Seen`)
		b.Store.Add("INBOX", "two")
		b.Store.Add("INBOX", "three", `\Deleted`)
		b.Store.Create("Old/Mail")
		l := Listen()
		b.Start(t, l)
		client, err := l.Dial()
		must(t, err)
		return Stage{Client: client}
	})
}

func TestScript(t *testing.T) {
	cert, pool := Certificate(t)
	l := Listen()
	Script{
		Send("* OK hi"),
		Match(`^(?P<tag>\S+) STARTTLS$`), Send("${tag} OK go"), StartTLS(&tls.Config{Certificates: []tls.Certificate{cert}}),
		Match(`^(?P<tag>\S+) LOGIN "?(?P<user>\w+)`), Send("* CAPABILITY IMAP4rev1", "${tag} OK hello ${user}"),
		Match(`^(?P<tag>\S+) NOOP`), ExpectLiteral("${tag}x APPEND x ", "body"), Expect(""), SendRaw("* BYE $5\r\n"),
		ExpectEOF(),
	}.Start(t, l)
	nc, err := l.Dial()
	must(t, err)
	tlsClient := func(p *Peer) error {
		c := tls.Client(p.Conn, &tls.Config{RootCAs: pool, ServerName: "localhost"})
		p.Conn, p.Reader = c, bufio.NewReader(c)
		return c.Handshake()
	}
	must(t, Script{
		Expect("* OK hi"), Send("a STARTTLS"), Expect("a OK go"), tlsClient,
		Send("b LOGIN riley firetruck"), Expect("* CAPABILITY IMAP4rev1"), Expect("b OK hello riley"),
		Send("c NOOP", "cx APPEND x {4}"), Match(`^\+ `), SendRaw("body\r\n"), Match(`BYE \$5`), CloseWrite(),
	}.Run(nc))
	must(t, nc.CloseWrite())
}

func TestScriptReportsMismatch(t *testing.T) {
	for _, s := range []struct {
		script Script
		says   string
		want   string
	}{
		{Script{Expect("a")}, "b\r\n", `step 1: expected "a", got "b"`},
		{Script{Match("^a"), Match("^c")}, "a\r\nb\r\n", `step 2: expected a match of ^c, got "b"`},
		{Script{ExpectLiteral("a ", "xyz")}, "a {3+}\r\nxya", `step 1: expected "xyz", got "xya"`},
		{Script{ExpectEOF()}, "x", `step 1: expected the end of the stream, got 'x'`},
		{Script{Expect("a")}, "a", `step 1: expected "a", got "": after "a": EOF`},
		{Script{Expect("a")}, "a\n", `step 1: expected "a", got "": "a\n" does not end in CRLF`},
	} {
		a, b := Pipe()
		io.WriteString(a, s.says)
		a.CloseWrite()
		if err := s.script.Run(b); err == nil || !strings.HasPrefix(err.Error(), s.want) {
			t.Errorf("error %v, want %s", err, s.want)
		}
	}
}

func TestMemoryServer(t *testing.T) {
	cert, pool := Certificate(t)
	config := &tls.Config{Certificates: []tls.Certificate{cert}}
	o := &imapclient.Options{TLSConfig: &tls.Config{RootCAs: pool}}
	for name, dial := range map[string]func(string, *imapclient.Options) (*imapclient.Client, error){
		"plain": imapclient.DialInsecure, "starttls": imapclient.DialStartTLS, "implicit": imapclient.DialTLS,
	} {
		t.Run(name, func(t *testing.T) {
			m := MemoryServer(t, MemoryOptions{Users: map[string]string{"riley": "firetruck"}, TLS: config, Implicit: name == "implicit"})
			c, err := dial(m.Addr, o)
			must(t, err)
			defer c.Close()
			must(t, c.Login("riley", "firetruck").Wait())
			if _, err = c.Select("INBOX", nil).Wait(); err != nil || !c.Caps().Has(imap.CapMove) {
				t.Errorf("INBOX: %v; capabilities %v", err, c.Caps())
			}
		})
	}
}

var (
	_ net.Conn     = (*Conn)(nil)
	_ net.Listener = (*Listener)(nil)
)
