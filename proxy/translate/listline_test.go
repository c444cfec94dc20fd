package translate

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/wire"
)

// response reads a line of a backend as the session does; ok is false where it does not parse inside or
// has a literal.
func response(line string) (m *wire.Message, ok bool) {
	in := wire.NewResponses(strings.NewReader(line+"\r\n"), wire.NewWriter(io.Discard))
	m = new(wire.Message)
	if in.Next(m) != nil || m.Continuation() || m.IsStatus() || in.Load(m) != nil {
		return nil, false
	}
	_, literal := m.Literal()
	return m.Clone(), !literal
}

// Whatever a backend lists, what is held of it is written as a line that says the same.
func FuzzListLine(f *testing.F) {
	f.Add(`(\Noselect \HasChildren) "/" "a \"b\" \\"`)
	f.Add(`() NIL INBOX ("CHILDINFO" ("SUBSCRIBED"))`)
	f.Add(`(\Sent) "\\" &AOk-[x]`)
	f.Add("() \".\" \x01\xff{3}x")
	f.Fuzz(func(t *testing.T, line string) {
		if strings.ContainsAny(line, "\r\n") {
			return
		}
		m, ok := response("* LIST " + line)
		if !ok {
			return
		}
		var l listing
		if v, err := l.hold("LIST")(m); v != Drop || err != nil {
			t.Fatal(v, err)
		}
		if len(l.names) == 0 {
			return
		}
		n := l.names[0]
		var b bytes.Buffer
		w := wire.NewWriter(&b)
		w.Begin()
		w.Message(n.message())
		if err := w.EndFlush(); err != nil {
			t.Fatalf("%q cannot be written: %v", line, err)
		}
		again, ok := response(strings.TrimSuffix(b.String(), "\r\n"))
		if !ok && strings.Contains(b.String(), "}\r\n") {
			return // a name that is no quoted string
		}
		var read listing
		if !ok {
			t.Fatalf("%q is written as %q", line, &b)
		}
		if read.hold("LIST")(again); len(read.names) != 1 {
			t.Fatalf("%q is written as %q", line, &b)
		}
		if r := read.names[0]; r.name != n.name || r.delim != n.delim || r.attrs != n.attrs || len(r.extended) != len(n.extended) {
			t.Errorf("%q is written as %q: %+v is not %+v", line, &b, r, n)
		}
	})
}

var errVanished = errors.New("the backend vanishes")

// At every step of every translation of the family the backend refuses, or vanishes: the client has one
// answer, or the session ends.
func TestListFaults(t *testing.T) {
	for _, c := range []struct {
		tr         *Translation
		name, line string
		caps       string
	}{
		{listExtended(), "LIST", `(SUBSCRIBED RECURSIVEMATCH) "" (% a) RETURN (CHILDREN)`, ""},
		{listExtended(), "LIST", `(SUBSCRIBED) "" zzz RETURN (CHILDREN)`, ""},
		{listStatus(), "LIST", `"" % RETURN (STATUS (MESSAGES))`, "LIST-EXTENDED"},
		{children(), "LIST", `"" %`, ""},
		{specialUse(), "LIST", `(SPECIAL-USE) "" %`, "XLIST"},
		{xlist(), "XLIST", `"" %`, "SPECIAL-USE LIST-EXTENDED"},
		{find(), "FIND", `ALL.MAILBOXES *`, ""},
		{namespace(), "NAMESPACE", ``, ""},
	} {
		for _, instead := range []wire.Status{{Type: "NO", Code: "LIMIT", Text: "no"}, {Type: "BAD", Text: "bad"}, {}} {
			for step := 1; ; step++ {
				m, err := parsed(c.line)
				if err != nil {
					t.Fatal(err)
				}
				m.Name = c.name
				f := &lister{t: t, peers: Peers{Backend: ParseCaps(c.caps), Real: ParseCaps(c.caps)}, alwaysAbove: true,
					boxes: []string{"INBOX", "INBOX/a", "a", "a/b"}, subscribed: []string{"a/b", "a/c/d"}, failing: step, instead: instead}
				err = c.tr.Run(m, f)
				refused, is := errors.AsType[*Refused](err)
				vanished := instead.Type == "" && len(f.asked) >= step
				switch answers := f.answers; {
				case vanished != errors.Is(err, errVanished) || err != nil && !is && !vanished:
					t.Errorf("%s %s, step %d, %q: %v", c.name, c.line, step, instead, err)
				case is && answers == 0 && refused.Status.Type != "OK", err == nil && answers == 1, vanished && answers == 0:
				default:
					t.Errorf("%s %s, step %d, %q: %d answers, %v", c.name, c.line, step, instead, answers, err)
				}
				if len(f.asked) < step {
					break
				}
			}
		}
	}
}

// What a session is offered, by what its backend has.
func TestListOffers(t *testing.T) {
	uses := map[imap.MailboxAttr]string{imap.MailboxAttrSent: "Sent Items"}
	family := Choice{Names: []string{"find", "rlist", "xlist", "list-status", "special-use", "list-extended", "children", "namespace"}}
	for _, c := range []struct {
		caps  string
		names Choice
		uses  map[imap.MailboxAttr]string
		want  string
	}{
		{"IMAP4rev1", family, nil, "NAMESPACE CHILDREN LIST-EXTENDED LIST-STATUS"},
		{"IMAP4rev1", family, uses, "XLIST NAMESPACE CHILDREN LIST-EXTENDED LIST-STATUS SPECIAL-USE"},
		{"IMAP4rev1 XLIST", family, nil, "XLIST NAMESPACE CHILDREN LIST-EXTENDED LIST-STATUS SPECIAL-USE"},
		{"IMAP4rev1 XLIST", Choice{Names: []string{"xlist"}}, nil, "XLIST"},
		{"IMAP4rev1 XLIST", Choice{}, uses, ""},
		{"IMAP4rev1 SPECIAL-USE", Choice{Names: []string{"xlist"}}, nil, "XLIST SPECIAL-USE"},
		{"IMAP4rev1", Choice{Names: []string{"list-status"}}, nil, ""},
		{"IMAP4rev1 LIST-EXTENDED", Choice{Names: []string{"list-status"}}, nil, "LIST-EXTENDED LIST-STATUS"},
		{"IMAP4rev1 LIST-EXTENDED LIST-STATUS CHILDREN NAMESPACE SPECIAL-USE", family, uses, "XLIST NAMESPACE CHILDREN LIST-EXTENDED LIST-STATUS SPECIAL-USE"},
	} {
		p := Peers{Backend: ParseCaps(c.caps), Policy: Policy{Polyfills: c.names, SpecialUse: c.uses}}
		got := strings.TrimSpace(strings.TrimPrefix(NewStack(p, All()).CapText(), "IMAP4rev1 LITERAL+ ID"))
		if got != c.want {
			t.Errorf("%s with %q: %s, want %s", c.caps, c.names.Names, got, c.want)
		}
	}
	stack := NewStack(Peers{Backend: ParseCaps("IMAP4rev1 LIST-EXTENDED LIST-STATUS CHILDREN NAMESPACE SPECIAL-USE"), Policy: Policy{Polyfills: family}}, All())
	for _, tr := range stack.Layers() {
		switch tr.Name {
		case "list-status", "special-use", "list-extended", "children", "namespace":
			t.Errorf("%s is a layer above a backend that has all", tr.Name)
		}
	}
}
