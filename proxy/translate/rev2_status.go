package translate

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/wire"
)

// maxStatusMessages bounds the mailbox whose size is added up for STATUS: one short FETCH line a message.
const maxStatusMessages = 100_000

// rev2Status answers the items SIZE and DELETED of STATUS (RFC 9051 section 6.3.11) by looking at every
// message. That is possible of the selected mailbox, and of any while none is selected.
func rev2Status() *Translation {
	return &Translation{
		Name:     "imap4rev2-status",
		Commands: []string{"STATUS"},
		Polyfill: true,
		Takes:    keepsRev2,
		Wants: func(m *wire.Message, st *Memory) bool {
			return st.Rev2() && slices.ContainsFunc(m.Tokens, isCostly)
		},
		Run: runRev2Status,
	}
}

func isCostly(t wire.Token) bool { return t.Is("SIZE") || t.Is("DELETED") }

func runRev2Status(m *wire.Message, x Exchange) error {
	if len(m.Tokens) < 4 || !m.Tokens[0].IsString() || m.Tokens[1].Kind != wire.Open {
		return bad("STATUS takes a mailbox name and a list of items")
	}
	name := m.Tokens[0]
	items := m.Tokens[2 : len(m.Tokens)-1]
	selected := x.Mailbox()
	switch {
	case selected.Name == "":
		return statusByExamine(name, items, x)
	case !sameMailbox(selected.Name, name.Value()):
		return no("LIMIT", "SIZE and DELETED are known of the selected mailbox only, while one is selected")
	}
	found, err := weigh(x, items, Pass)
	if err != nil {
		return err
	}
	return statusWith(name, items, found, x)
}

// statusByExamine opens the mailbox for a moment. The client, which has none selected, does not notice.
func statusByExamine(name wire.Token, items []wire.Token, x Exchange) error {
	quiet := func(*wire.Message) (Verdict, error) { return Drop, nil }
	mem := x.Memory()
	was := mem.apart.Load()
	if was != together {
		mem.apart.Store(leaving) // what the backend had open for UNSELECT is over
	}
	s, err := x.Do(wire.Command("EXAMINE", name), quiet)
	if err != nil {
		return err
	}
	if s.Type == "BAD" { // not understood, and nothing has changed
		mem.apart.Store(was)
	}
	if !s.OK() {
		return &Refused{Status: wire.Status{Type: s.Type, Code: s.Code, Args: s.Args, Text: s.Text}}
	}
	found, weighed := weigh(x, items, Drop)
	var refused *Refused
	if weighed != nil && !asRefused(weighed, &refused) {
		return weighed
	}
	if err := leaveExamined(x, quiet); err != nil {
		return err
	}
	if weighed != nil {
		return weighed
	}
	return statusWith(name, items, found, x)
}

// errStillOpen ends the session: the backend has a mailbox open of which the client knows nothing.
var errStillOpen = errors.New("the backend does not leave a mailbox")

// leaveExamined leaves the mailbox. A SELECT or EXAMINE that is answered NO leaves none selected (RFC 3501
// section 6.3.1). CLOSE would do for most servers, but some open for writing all the same, and it expunges.
func leaveExamined(x Exchange, quiet Sink) error {
	cmd, want := wire.Command("EXAMINE", wire.String(nowhere)), "NO"
	if lists(x.Peers().Real, imap.CapUnselect) {
		cmd, want = wire.Command("UNSELECT"), "OK"
	}
	s, err := x.Do(cmd, quiet)
	if err == nil && s.Type != want {
		err = errStillOpen
	}
	return err
}

// weigh counts what the items ask for in the selected mailbox, by commands during which nothing is
// renumbered. News of a mailbox that the client has not selected is dropped.
func weigh(x Exchange, items []wire.Token, news Verdict) (found []wire.Token, err error) {
	n := x.Mailbox().Exists
	if n > maxStatusMessages {
		return nil, no("LIMIT", "The mailbox has more than "+strconv.Itoa(maxStatusMessages)+" messages")
	}
	var size uint64
	var h hits
	var cmds []*wire.Message
	if slices.ContainsFunc(items, func(t wire.Token) bool { return t.Is("SIZE") }) && n > 0 {
		cmds = append(cmds, wire.Command("FETCH", wire.Word("1:"+strconv.FormatUint(uint64(n), 10)), wire.Word("RFC822.SIZE")))
	}
	if slices.ContainsFunc(items, func(t wire.Token) bool { return t.Is("DELETED") }) {
		cmds = append(cmds, wire.Command("SEARCH", wire.Word("DELETED")))
	}
	for _, cmd := range cmds {
		s, err := x.Do(cmd, func(m *wire.Message) (Verdict, error) {
			octets, more := fetchedSize(m)
			size += octets
			if m.Name == "FETCH" && !more {
				return Drop, nil
			}
			if v, err := h.sink(m); v != Pass || err != nil {
				return v, err
			}
			return news, nil
		})
		if err != nil {
			return nil, err
		}
		if !s.OK() {
			return nil, &Refused{Status: wire.Status{Type: "NO", Code: s.Code, Args: s.Args, Text: s.Text}}
		}
	}
	for _, t := range items {
		switch {
		case t.Is("SIZE"):
			found = append(found, wire.Word("SIZE"), wire.Word(strconv.FormatUint(size, 10)))
		case t.Is("DELETED"):
			found = append(found, wire.Word("DELETED"), wire.Word(strconv.FormatUint(h.found.Len(), 10)))
		}
	}
	return found, nil
}

// fetchedSize reads a FETCH response. What tells flags is news, which the client is to see.
func fetchedSize(m *wire.Message) (octets uint64, news bool) {
	if m.Name != "FETCH" {
		return 0, true
	}
	for i, t := range m.Tokens {
		switch {
		case t.Is("RFC822.SIZE") && i+1 < len(m.Tokens):
			n, _ := number64(m.Tokens[i+1].Value())
			octets = uint64(n)
		case t.Is("FLAGS"):
			news = true
		}
	}
	return octets, news
}

// statusWith asks the backend for the other items, and adds what was found.
func statusWith(name wire.Token, items, found []wire.Token, x Exchange) error {
	others := slices.DeleteFunc(slices.Clone(items), isCostly)
	if len(others) == 0 {
		if err := x.Untagged(wire.Data("STATUS", append([]wire.Token{name}, wire.List(found...)...)...)); err != nil {
			return err
		}
		return x.Reply(completed("STATUS"))
	}
	s, err := x.Do(wire.Command("STATUS", append([]wire.Token{name}, wire.List(others...)...)...), func(m *wire.Message) (Verdict, error) {
		if end := len(m.Tokens) - 1; m.Name == "STATUS" && end > 1 && m.Tokens[end].Kind == wire.Close {
			m.Tokens = slices.Insert(slices.Clone(m.Tokens), end, found...)
			return Changed, nil
		}
		return Pass, nil
	})
	if err != nil {
		return err
	}
	return x.Reply(s)
}

func sameMailbox(a, b string) bool {
	return a == b || strings.EqualFold(a, "INBOX") && strings.EqualFold(b, "INBOX")
}

func asRefused(err error, to **Refused) bool { return errors.As(err, to) }
