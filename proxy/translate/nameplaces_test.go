package translate

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/imapgate/imapgate/proxy/wire"
)

// Every command that passes either has names in the table or is known to have none, so that a new one
// cannot be forgotten.
func TestEveryCommandIsKnownByItsNames(t *testing.T) {
	none := strings.Fields(`CAPABILITY NOOP LOGOUT ID STARTTLS AUTHENTICATE LOGIN CHECK CLOSE EXPUNGE SEARCH FETCH STORE
		NAMESPACE IDLE ENABLE UNSELECT GETQUOTA SETQUOTA SORT THREAD CANCELUPDATE LANGUAGE COMPARATOR UIDBATCHES COMPRESS
		FIND RLIST RLSUB PARTIAL XGWDISPMODE XGWCONF XGWTAULIST XGWEXTENSIONS`) // FIND and its kin become LIST
	listings := []string{"LIST", "LSUB", "XLIST"}
	for _, c := range commandTable() {
		plain := strings.TrimPrefix(c.Name, "UID ")
		here := commandNames[c.Name] != nil
		if missing := !here && !slices.Contains(none, plain) && !slices.Contains(listings, plain); missing || here && slices.Contains(none, plain) {
			t.Errorf("%s: in the table of names %v", c.Name, here)
		}
	}
	for head := range commandNames {
		if _, known := Lookup(head); !known {
			t.Errorf("%s is no command", head)
		}
	}
}

// FuzzNameTokens holds that whatever a client or a backend says, what comes of it can be written, as one
// message, and that no command's names pass as they are.
func FuzzNameTokens(f *testing.F) {
	for _, seed := range []string{
		"LIST (SUBSCRIBED) \"\" (a \"b%\") RETURN (STATUS (MESSAGES))", "NOTIFY SET (mailboxes (x y) (MessageNew))(subtree x (FlagChange))",
		"ESEARCH IN (mailboxes \"x\" subtree (y z)) RETURN (ALL) ALL", "GETMETADATA (DEPTH 1) x /a", "COPY 1 x", "SELECT x\"y\"", "RENAME a {3+}\r\nb/c",
		"XAPPLEPUSHSERVICE mailboxes (a b)", "SEARCH RETURN (SAVE) SUBJECT \"\xc3\xa9\"", "APPEND x (\\Seen) UTF8 (~{3+}\r\nabc)",
		"STATUS \"INBOX.x\" (MESSAGES 1)", "LIST (\\HasChildren) \".\" INBOX (\"CHILDINFO\" (\"SUBSCRIBED\"))", "NAMESPACE ((\"INBOX.\" \".\")) NIL NIL",
		"METADATA INBOX.x (/a {1}\r\nb)", "ESEARCH (TAG \"x\" MAILBOX INBOX.x) UID ALL 1", "NO [NEWNAME a b] x",
	} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, line string, wide bool) {
		st := new(Memory)
		st.utf8.Store(wide)
		dialect := NewDialect(Names(courierMap()))
		var m wire.Message
		in := wire.NewCommands(strings.NewReader("a " + line + "\r\n"))
		if in.Next(&m) == nil && in.Collect(&m, 1000, func() error { return nil }) == nil {
			before := render(&m)
			if up, err := dialect.Up(st, &m); err == nil {
				canWrite(t, up)
			}
			if after := render(&m); before != after {
				t.Errorf("%q became %q in the hands of Up", before, after)
			}
		}
		responses := wire.NewResponses(strings.NewReader("* "+line+"\r\n"), nil)
		if responses.Next(&m) != nil || responses.Load(&m) != nil || !dialect.TakesResponse(st, m.Name) {
			return
		}
		if _, literal := m.Literal(); literal {
			return
		}
		if v, err := dialect.Down(st, &m); err != nil {
			t.Error(err)
		} else if v != Drop && !m.IsStatus() {
			canWrite(t, &m)
		}
	})
}

func canWrite(t *testing.T, m *wire.Message) {
	t.Helper()
	var b bytes.Buffer
	w := wire.NewWriter(&b)
	w.Begin()
	w.Head([]byte("a"), m.Name)
	w.Tokens(m.Tokens)
	w.CRLF()
	if err := w.EndFlush(); err != nil {
		t.Fatalf("%q: %v", render(m), err)
	}
	var again wire.Message
	in := wire.NewCommands(&b)
	if err := in.Next(&again); err != nil {
		return // a backend's line need not be a command
	}
	if err := in.Collect(&again, 1<<20, func() error { return nil }); err != nil && err != io.EOF {
		return
	}
	if in.Next(&again) == nil {
		t.Errorf("%q is two lines", render(m))
	}
}
