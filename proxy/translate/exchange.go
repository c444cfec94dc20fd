package translate

import (
	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/wire"
)

// A Translation answers one client command by commands of our own.
type Translation struct {
	Name     string                 // for metrics and settings: "xgwmove"
	Commands []string               // heads: "XGWMOVE", "UID XGWMOVE"
	Offers   func(Peers) []imap.Cap // what may be announced when this session can keep it; nil otherwise
	Takes    func(Peers) bool       // whether this session's commands go to Run; false: as if no translation were there
	Run      func(m *wire.Message, x Exchange) error
}

// Peers is what both sides of a session can do.
type Peers struct {
	Backend imap.CapSet // what the backend announces after login
	Enabled imap.CapSet // what the client has enabled (RFC 5161), also implicitly (RFC 7162 section 3.1)
	Policy  Policy
}

// A Mailbox is what the session knows of the selected mailbox.
type Mailbox struct {
	Name     string // as the client wrote it; empty where none is selected
	ReadOnly bool
	Exists   uint32 // number of messages that the backend has told, EXPUNGE and VANISHED subtracted
}

// A Verdict is what a sink says of an untagged response.
type Verdict uint8

// The verdicts of a sink.
const (
	Drop Verdict = iota // the client does not see it
	Pass                // it goes on to the client
)

// A Sink sees the untagged responses that arrive while a command of our own runs. It runs on the
// goroutine that reads the backend; m holds the tokens of its first line and is valid only during the
// call. An error ends the session.
type Sink func(m *wire.Message) (Verdict, error)

// An Exchange is the conversation behind one client command; proxy's session implements it.
// Do, Untagged and Reply first wait until every earlier client command is answered; Send does not wait.
// Run ends with exactly one Send or Reply; a [*Refused] that it returns becomes the tagged answer; any
// other error ends the session.
type Exchange interface {
	// Do runs a command of our own and returns its tagged status. Tags in responses that its sink
	// passes become the client's tag. A nil sink passes everything.
	Do(cmd *wire.Message, sink Sink) (wire.Status, error)
	// Send passes m on to the backend, perhaps under another name; its answer is the client's.
	Send(m *wire.Message) error
	// Untagged writes an untagged response to the client.
	Untagged(m *wire.Message) error
	// Info writes an untagged status response to the client: "* OK [COPYUID ...] text".
	Info(s wire.Status) error
	// Reply writes the client's tagged answer.
	Reply(s wire.Status) error
	// Peers is what both sides can do.
	Peers() Peers
	// Mailbox is the selected mailbox as it is once every earlier client command is answered.
	Mailbox() Mailbox
	// Result names the outcome for translations_total where it is not the reply's type in lower case:
	// "rollback", "partial".
	Result(word string)
}

// Refused is the error of a translation that answers its command with NO or BAD.
type Refused struct{ Status wire.Status }

func (r *Refused) Error() string { return r.Status.String() }
