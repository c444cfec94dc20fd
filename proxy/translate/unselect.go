package translate

import (
	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/wire"
)

// unselect answers UNSELECT (RFC 3691) at a backend without it. CLOSE would expunge, and EXAMINE before
// CLOSE does not help on servers that open for writing all the same. So the backend is not told: it keeps
// its mailbox until the client selects another one, and what it says of it meanwhile is swallowed. The
// session refuses commands that need a mailbox: see [Memory.Away].
func unselect() *Translation {
	return &Translation{
		Name:     "unselect",
		Polyfill: true,
		Commands: []string{"UNSELECT", "SELECT", "EXAMINE", "DELETE", "RENAME", "ENABLE"},
		Offers:   func(Peers) []imap.Cap { return []imap.Cap{imap.CapUnselect} },
		Takes:    func(p Peers) bool { return p.Lacks(imap.CapUnselect) },
		Wants: func(m *wire.Message, st *Memory) bool {
			return m.Name == "UNSELECT" || st.Away()
		},
		Run:     runUnselect,
		Rewrite: swallow(),
	}
}

// How far the client and the backend are apart.
const (
	together uint32 = iota // the backend has the client's mailbox open, or none
	away                   // the backend has a mailbox open, and the client has none
	empty                  // both have none, but that of the backend is not sure
	going                  // a SELECT of the client's ends it: commands of ours may come before
	leaving                // it is sent
)

// Away reports whether no mailbox is selected as far as the client knows, whatever the backend has open.
func (s *Memory) Away() bool { return s.apart.Load() != together }

func runUnselect(m *wire.Message, x Exchange) error {
	switch m.Name {
	case "UNSELECT":
		return leave(m, x)
	case "SELECT", "EXAMINE":
		return selectNext(m, x)
	}
	if m.Name == "ENABLE" && len(m.Tokens) == 0 {
		return bad("ENABLE takes at least one capability")
	}
	if err := leaveBackend(x); err != nil {
		return err
	}
	if m.Name == "ENABLE" { // which no server answers while a mailbox is selected (RFC 5161 section 3.1)
		m.Tokens = EnableFilter(m.Tokens, x.Offered())
		if len(m.Tokens) == 0 {
			if err := x.Untagged(wire.Data("ENABLED")); err != nil {
				return err
			}
			return x.Reply(completed(m.Name))
		}
	}
	return x.Send(m)
}

func leave(m *wire.Message, x Exchange) error {
	if len(m.Tokens) != 0 {
		return bad("UNSELECT takes no arguments")
	}
	if x.Mailbox().Name == "" {
		return bad("No mailbox is selected")
	}
	x.Memory().apart.Store(away)
	x.Leave()
	return x.Reply(completed(m.Name))
}

// selectNext lets the backend leave by opening another mailbox.
func selectNext(m *wire.Message, x Exchange) error {
	x.Mailbox() // waits for its turn
	x.Memory().apart.Store(going)
	s, err := x.Do(m, nil)
	if err != nil || s.Type == "BAD" { // not sent or not understood, and nothing has changed
		x.Memory().apart.Store(away)
		return replyOr(x, s, err)
	}
	x.Memory().apart.Store(together)
	return x.Reply(s)
}

// nowhere is a mailbox that does not exist.
const nowhere = "imapgate-no-such-mailbox"

// openNowhere has the backend refuse a SELECT or EXAMINE of a name that cannot be sent: that leaves no mailbox
// selected (RFC 3501 section 6.3.1), so that nothing the client says next reaches the one before. false for
// other commands.
func openNowhere(m *wire.Message, name *wire.Token, prefix string) bool {
	if m.Name != "SELECT" && m.Name != "EXAMINE" {
		return false
	}
	m.Name = "EXAMINE"
	*name = glueLike(*name, wire.String(prefix+nowhere))
	return true
}

// leaveBackend makes the backend leave its mailbox, before a command that it may refuse while it has one:
// a SELECT or EXAMINE that is answered NO leaves none selected (RFC 3501 section 6.3.1). Any other answer
// leaves one open, which is as it was before.
func leaveBackend(x Exchange) error {
	x.Mailbox() // waits for its turn
	if x.Memory().apart.Load() != away {
		return nil
	}
	s, err := x.Do(wire.Command("EXAMINE", wire.String(nowhere)), nil)
	if err != nil {
		return err
	}
	if s.Type == "NO" {
		x.Memory().apart.Store(empty)
	}
	x.Leave()
	return nil
}

// swallow keeps from the client what the backend says of a mailbox that the client has left.
func swallow() *Rewrite {
	return &Rewrite{
		Name: "unselect",
		Commands: func(st *Memory, head string) bool {
			return st.apart.Load() == going && (head == "SELECT" || head == "EXAMINE")
		},
		Up: func(st *Memory, _ *wire.Message) error {
			st.apart.Store(leaving)
			return nil
		},
		Responses: func(st *Memory, name string) bool {
			return st.Away() && ofMailbox(name)
		},
		Down: (*Memory).swallow,
	}
}

func ofMailbox(name string) bool {
	switch name {
	case "EXISTS", "RECENT", "EXPUNGE", "VANISHED", "FETCH", "FLAGS", "OK", "NO", "BAD":
		return true
	}
	return false
}

func (s *Memory) swallow(m *wire.Message) (Verdict, error) {
	if s.apart.Load() == leaving {
		return s.opening(m)
	}
	if !m.IsStatus() {
		return Drop, nil
	}
	if code, _, _ := wire.Code(m.Text); m.Untagged() && m.Name == "OK" && mailboxCodes[code] {
		return Drop, nil
	}
	return Pass, nil
}

// opening follows the answer to SELECT, so that not a word behind it is lost. What comes before the first
// word of the mailbox that is opened is of the other one: nobody removes or tells of messages in a mailbox before its size is known.
func (s *Memory) opening(m *wire.Message) (Verdict, error) {
	switch m.Name {
	case "EXPUNGE", "VANISHED", "FETCH":
		return Drop, nil
	case "FLAGS", "EXISTS":
		s.apart.Store(together)
	case "OK", "NO":
		if !m.Untagged() {
			s.apart.Store(together)
		}
	}
	return Pass, nil
}

// mailboxCodes are the response codes that tell of the selected mailbox.
var mailboxCodes = map[string]bool{
	"UIDVALIDITY": true, "UIDNEXT": true, "UNSEEN": true, "PERMANENTFLAGS": true, "HIGHESTMODSEQ": true,
	"NOMODSEQ": true, "READ-ONLY": true, "READ-WRITE": true, "UIDNOTSTICKY": true, "CLOSED": true,
	"MAILBOXID": true,
}
