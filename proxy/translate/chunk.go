package translate

import (
	"slices"
	"strconv"
	"strings"

	"github.com/imapgate/imapgate/proxy/wire"
)

const (
	// shortSet is the length of a set that fits on every line: 1000 octets are the least that a known
	// server takes.
	shortSet = 800
	// leastRoom is what a piece of a set gets, however long the rest of the command is.
	leastRoom = 100
	// headRoom is what the tag, the spaces and CRLF take of a line.
	headRoom = 24
)

// chunk sends commands with a set of messages that is longer than a line of the backend in pieces. It is
// the lowest layer, so that it also keeps those of translations short. COPY by numbers is left alone:
// its first piece may renumber what the second one means.
func chunk() *Translation {
	return &Translation{
		Name:     "chunk",
		Commands: []string{"FETCH", "STORE", "SEARCH", "UID FETCH", "UID STORE", "UID COPY", "UID MOVE", "UID EXPUNGE", "UID SEARCH"},
		Takes:    func(p Peers) bool { return p.Quirks.Line > 0 },
		Wants:    func(m *wire.Message, _ *Memory) bool { return longSet(m) >= 0 },
		Run:      runChunk,
	}
}

// longSet finds the argument that may be a set too long for a line; -1 where there is none.
func longSet(m *wire.Message) int {
	search := strings.HasSuffix(m.Name, "SEARCH")
	for i := range m.Tokens {
		if t := &m.Tokens[i]; t.Kind == wire.Atom && len(t.Text) > shortSet {
			return i
		}
		if !search {
			break
		}
	}
	return -1
}

func runChunk(m *wire.Message, x Exchange) error {
	at := longSet(m)
	set, err := ParseSet(string(m.Tokens[at].Text))
	if err != nil {
		return x.Send(m)
	}
	texts := set.Texts(room(m, at, x.Peers().Quirks.Line))
	if strings.HasSuffix(m.Name, "STORE") && set.open != 0 { // "*" is what it is now, not mail that comes meanwhile
		texts = append(texts[len(texts)-1:], texts[:len(texts)-1]...)
	}
	search := strings.HasSuffix(m.Name, "SEARCH")
	switch {
	case len(texts) == 1 && len(m.Tokens[at].Text) <= len(texts[0]), search && (!additive(m, at) || shifting(m)):
		return x.Send(m)
	case search:
		return searchPieces(m, at, texts, x)
	}
	return runPieces(m, at, texts, x)
}

// room returns how long a set may be in a command whose other words stay as they are.
func room(m *wire.Message, at, line int) int {
	n := line - headRoom - len(m.Name)
	for i, t := range m.Tokens {
		if i != at && t.Kind != wire.Literal {
			n -= len(t.Text) + 3 // a space and quotes
		}
	}
	return max(n, leastRoom)
}

// piece is the command with another set.
func piece(m *wire.Message, at int, text string) *wire.Message {
	args := slices.Clone(m.Tokens)
	args[at] = wire.Word(text)
	args[at].Glued = m.Tokens[at].Glued
	return wire.Command(m.Name, args...)
}

// runPieces runs one command for each piece and answers for all of them. It ends with the first that is
// not OK, but for STORE: what has been changed by others meanwhile keeps nobody from storing the rest.
func runPieces(m *wire.Message, at int, texts []string, x Exchange) error {
	var sum answers
	var moved renumbering
	for i, text := range texts {
		if moved.matters(m.Name) {
			return errRenumbered()
		}
		x.Progress(i, len(texts))
		s, err := x.Do(piece(m, at, text), moved.sink)
		if err != nil {
			return err
		}
		if sum.add(s); !s.OK() && s.Code != "MODIFIED" {
			break
		}
	}
	s := sum.status()
	if !s.OK() && sum.done > 0 {
		x.Result("partial")
	}
	return x.Reply(s)
}

// renumbering watches whether a message is removed while pieces run. It must not be while numbers are in
// use (RFC 9051 section 7.5.1); where it is, the next piece would mean other messages.
type renumbering struct{ seen bool }

func (r *renumbering) sink(m *wire.Message) (Verdict, error) {
	_, gone := removed(m)
	r.seen = r.seen || gone
	return Pass, nil
}

func (r *renumbering) matters(name string) bool { return r.seen && !strings.HasPrefix(name, "UID ") }

func errRenumbered() error {
	return no("EXPUNGEISSUED", "Message numbers have changed, the rest was left alone")
}

// answers are those to the pieces of one command.
type answers struct {
	last     wire.Status
	failed   *wire.Status // the first that is not OK
	done     int          // pieces that were OK
	uids     CopyUID
	unsaid   bool     // a COPYUID cannot be read
	mixed    bool     // the mailbox copied to became another one meanwhile
	modified []string // RFC 7162 section 3.1.3
}

func (a *answers) add(s wire.Status) {
	switch s.Code {
	case "COPYUID":
		u, err := ParseCopyUID(s.Args)
		a.unsaid = a.unsaid || err != nil
		merged, ok := a.uids.Merge(u)
		a.mixed = a.mixed || err == nil && !ok
		a.uids = merged
		s.Code, s.Args = "", ""
	case "MODIFIED":
		a.modified = append(a.modified, s.Args)
	}
	if a.last = s; s.OK() {
		a.done++
	} else if a.failed == nil {
		a.failed = &s
	}
}

// status is the answer for all.
func (a *answers) status() wire.Status {
	s := a.last
	if a.failed != nil {
		s = *a.failed
	}
	switch args := a.uids.Args(); {
	case s.OK() && a.mixed: // nobody may take the first pieces for copied
		return wire.Status{Type: "NO", Code: "SERVERBUG", Text: "The mailbox was replaced while messages were copied to it"}
	case len(a.modified) > 0 && (s.Code == "" || s.Code == "MODIFIED"):
		s.Code, s.Args = "MODIFIED", strings.Join(a.modified, ",")
	case s.OK() && args != "" && !a.unsaid:
		s.Code, s.Args = "COPYUID", args
	}
	return s
}

// additive reports whether the hits of a search are those of the same search with each part of the set:
// not where anything is negated, nor where something is asked about all hits together.
func additive(m *wire.Message, at int) bool {
	for i, t := range m.Tokens {
		if t.Is("NOT") || t.Is("RETURN") || t.Is("MODSEQ") || i > at && t.Kind == wire.Atom && len(t.Text) > shortSet {
			return false
		}
	}
	return true
}

// shifting reports whether the first piece of a search may renumber what the second one names by number
// (RFC 9051 section 7.5.1).
func shifting(m *wire.Message) bool {
	if !uidForm(m.Name) {
		return false
	}
	p, err := readProgram(m)
	numbers := false
	if err == nil {
		_, err = p.replace(func(key []wire.Token) ([]wire.Token, error) {
			numbers = numbers || isNumbers(key[0])
			return nil, nil
		})
	}
	return numbers || err != nil
}

func searchPieces(m *wire.Message, at int, texts []string, x Exchange) error {
	var c collector
	var moved renumbering
	var s wire.Status
	for i, text := range texts {
		if moved.matters(m.Name) {
			return errRenumbered()
		}
		x.Progress(i, len(texts))
		var err error
		if s, err = x.Do(piece(m, at, text), func(m *wire.Message) (Verdict, error) {
			moved.sink(m)
			return c.sink(m)
		}); err != nil {
			return err
		}
		if !s.OK() {
			return x.Reply(s)
		}
	}
	if c.tooMany {
		return errTooMany()
	}
	slices.Sort(c.uids)
	c.uids = slices.Compact(c.uids)
	hits := make([]wire.Token, len(c.uids))
	for i, n := range c.uids {
		hits[i] = wire.Token{Kind: wire.Atom, Text: strconv.AppendUint(nil, uint64(n), 10)}
	}
	if err := x.Untagged(wire.Data("SEARCH", hits...)); err != nil {
		return err
	}
	return x.Reply(s)
}
