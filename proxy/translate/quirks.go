package translate

import (
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/wire"
)

// A Server is what a backend says of itself.
type Server struct {
	Greeting string
	Caps     imap.CapSet // after login
}

// greets reports whether the greeting holds a text, in any case.
func (s Server) greets(text string) bool {
	for i := 0; i+len(text) <= len(s.Greeting); i++ {
		if strings.EqualFold(s.Greeting[i:i+len(text)], text) {
			return true
		}
	}
	return false
}

// goesBy reports whether the greeting holds a name as a word of its own, and not as a part of a host's name: a
// Cyrus at groupwise.example.org is no GroupWise.
func (s Server) goesBy(name string) bool {
	for word := range strings.FieldsSeq(s.Greeting) {
		if strings.EqualFold(strings.Trim(word, `.,;:()[]"`), name) {
			return true
		}
	}
	return false
}

// A Quirk is a misbehaviour of one server or client that breaks sessions, and its work-around.
type Quirk struct {
	Name   string // in settings: "courier"
	Of     string // who does it: "Courier"
	Does   string // what is done to whoever follows the RFCs
	Gets   string // what the proxy does about it
	Source string // where it is told

	// Found recognises a server by what it says of itself, after login; nil where only a setting can tell.
	Found func(Server) bool
	// Client recognises a client by the name that it gives in ID; nil for quirks of servers, and for
	// clients that do not say who they are.
	Client func(name string) bool
	// Apply adds the work-around to those of a session; nil where every session has it, because whoever
	// keeps to the RFCs does not notice.
	Apply func(*Quirks)
}

// When says what switches a quirk on: auto, a setting alone, or nothing, because it is always on.
func (k *Quirk) When() string {
	switch {
	case k.Apply == nil:
		return "always"
	case k.Found != nil || k.Client != nil:
		return "auto"
	}
	return "set"
}

// Quirks are the work-arounds that apply to one session. The zero value is none.
type Quirks struct {
	Names []string // of the quirks that apply, in the table's order

	Line     int   // octets of a command line that the backend takes; 0: no limit is known
	Literal  int64 // octets of a literal that is not message data; 0: no limit is known
	Literals int   // literals of one command; 0: no limit is known

	// Probe is a command that is sent right behind the login; nil for none. Whoever is not let in by it is
	// not logged in.
	Probe *wire.Message

	AskUIDNext    bool // SELECT does not tell UIDNEXT: STATUS does
	SilentAppend  bool // APPEND to the selected mailbox does not tell EXISTS: NOOP does
	NeverClosed   bool // SELECT does not tell CLOSED (RFC 7162 section 3.2.11)
	TellsUnseen   bool // NOOP tells UNSEEN, which belongs to SELECT
	WritesExamine bool // EXAMINE opens for writing, so that CLOSE expunges
	PlainList     bool // LIST with selection options is answered BAD

	KnownData    bool // the client takes data that it does not know for an error
	DelayNewMail bool // the client wants EXISTS as an answer to NOOP, CHECK and IDLE only

	// Hides are capabilities that the backend announces and that break it.
	Hides []imap.Cap

	// Rewrites change commands and responses on their way.
	Rewrites []Rewrite
}

// FindQuirks returns the work-arounds for a server under a policy.
func FindQuirks(c Choice, s Server) Quirks {
	return gather(func(k *Quirk) bool {
		return slices.Contains(c.Names, k.Name) || c.Auto && k.Found != nil && k.Found(s)
	})
}

// FindClientQuirks returns the work-arounds for a client that calls itself name (RFC 2971), under a
// policy. Those that a setting names are among those of the server already.
func FindClientQuirks(c Choice, name string) Quirks {
	return gather(func(k *Quirk) bool { return c.Auto && k.Client != nil && k.Client(name) })
}

func gather(applies func(*Quirk) bool) Quirks {
	var q *Quirks // most servers have none, which is to cost nothing
	for _, k := range quirks {
		if k.Apply == nil || !applies(k) {
			continue
		}
		if q == nil {
			q = new(Quirks)
		}
		q.Names = append(q.Names, k.Name)
		k.Apply(q)
	}
	if q == nil {
		return Quirks{}
	}
	return *q
}

// Visible returns the capabilities of a backend without those that the quirks hide.
func (q *Quirks) Visible(caps imap.CapSet) imap.CapSet {
	if len(q.Hides) == 0 {
		return caps
	}
	caps = caps.Copy()
	for _, c := range q.Hides {
		delete(caps, c)
	}
	return caps
}

// AllQuirks returns the table of quirks. It is not to be changed.
func AllQuirks() []*Quirk { return quirks }

// QuirkNames returns the names that the policy quirks takes, in the table's order.
func QuirkNames() []string {
	names := make([]string, len(quirks))
	for i, k := range quirks {
		names[i] = k.Name
	}
	return names
}

// limit lowers a limit; 0 is none.
func limit[T int | int64](old *T, to T) {
	if *old == 0 || to < *old {
		*old = to
	}
}
