package translate

import (
	"io"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/wire"
)

// A Translation answers one client command by commands of our own. It is a layer: what it adds, those
// above it in [All] may use as if the backend had it.
type Translation struct {
	Name     string   // for metrics and settings: "xgwmove"
	Commands []string // heads: "XGWMOVE", "UID XGWMOVE"
	Polyfill bool     // it adds what a modern backend has; the policy polyfills can leave it out

	Offers func(Peers) []imap.Cap // what may be announced when this session can keep it; nil for nothing
	Takes  func(Peers) bool       // whether it is a layer of such a session at all
	// Wants says whether a command goes to Run; nil for every one of Commands. It sees the tokens of the
	// command's first line, of which a literal may be the last, and must not allocate.
	Wants func(m *wire.Message, st *Memory) bool
	Run   func(m *wire.Message, x Exchange) error
	// Rewrite changes the conversation between the lowest layer and the backend; nil for nothing.
	Rewrite *Rewrite
}

// Peers is what both sides of a session can do, as a layer sees it.
type Peers struct {
	// Backend is what stands below the layer: what the backend announces after login, and what the
	// layers below add.
	Backend imap.CapSet
	// Real is what the backend itself announces after login.
	Real    imap.CapSet
	Enabled imap.CapSet // what the client has enabled (RFC 5161), also implicitly (RFC 7162 section 3.1)
	Policy  Policy
	// Append is the proxy's own limit for message data in octets; 0 for none.
	Append int64
	// Quirks are those that apply to this session.
	Quirks Quirks
}

// Lacks reports whether c is neither the backend's nor added below.
func (p Peers) Lacks(c imap.Cap) bool { return !lists(p.Backend, c) }

// A Mailbox is what the session knows of the selected mailbox.
type Mailbox struct {
	Name     string // as the client wrote it; empty where none is selected
	ReadOnly bool
	Exists   uint32 // number of messages that the backend has told, EXPUNGE and VANISHED subtracted

	UIDValidity string // empty where the backend has not told it

	// Visit is another one each time that a mailbox was selected or left; not after a SELECT that the
	// backend did not understand.
	Visit uint64
}

// A Verdict is what a sink says of an untagged response.
type Verdict uint8

// The verdicts of a sink.
const (
	Drop    Verdict = iota // the client does not see it
	Pass                   // it goes on to the client
	Changed                // it goes on with its tokens, or a status response with its text, as they are now
)

// A Sink sees the untagged responses that arrive while a command of our own runs. It runs on the
// goroutine that reads the backend, or on the one that runs the translation when a layer below wrote the
// response; never on both at once. m is valid only during the call and holds the whole response with its
// literals, but of FETCH the tokens of the first line. It may write to the client by Untagged and Info. An
// error ends the session.
type Sink func(m *wire.Message) (Verdict, error)

// An Exchange is the conversation behind one client command; proxy's session implements it.
// Do, DoAll, Untagged and Reply first wait until every earlier client command is answered; Send does not
// wait. Run ends with exactly one Send or Reply; a [*Refused] that it returns becomes the tagged answer;
// any other error ends the session.
//
// A translation may run inside another's Do. Then what it writes goes to the other's sink first, and its
// Reply is what Do returns.
type Exchange interface {
	// Do runs a command, through the layers below, and returns its tagged status. Tags in responses that
	// its sink passes become the client's tag. A nil sink passes everything.
	Do(cmd *wire.Message, sink Sink) (wire.Status, error)
	// DoAll is Do for several commands, which are under way at the same time where the backend itself
	// answers them; at most 20. All have the same sink.
	DoAll(cmds []*wire.Message, sink Sink) ([]wire.Status, error)
	// Send passes m on to the layers below, perhaps under another name; its answer is the client's.
	Send(m *wire.Message) error
	// Untagged writes an untagged response to the client.
	Untagged(m *wire.Message) error
	// Info writes an untagged status response to the client: "* OK [COPYUID ...] text".
	Info(s wire.Status) error
	// Reply writes the client's tagged answer.
	Reply(s wire.Status) error
	// Tag is the client's tag, for responses that name it (RFC 4466 section 2.6.2).
	Tag() string
	// Peers is what both sides can do.
	Peers() Peers
	// Offered is what this client was told that it can use.
	Offered() []imap.Cap
	// Memory is what the translations of this session remember.
	Memory() *Memory
	// Mailbox is the selected mailbox as it is once every earlier client command is answered.
	Mailbox() Mailbox
	// Leave notes that no mailbox is selected any more, as far as the client knows.
	Leave()
	// Enable notes what the client has enabled although the backend does not know it.
	Enable(names ...imap.Cap)
	// Introduce notes what the client says of itself, and returns what the proxy says of itself (RFC 2971).
	Introduce(client []IDPair) []IDPair
	// Body gives what a sink's FETCH response holds behind the tokens of its first line. It is used within
	// a call of the sink, which then says Drop.
	Body() Body
	// Progress notes how much of a long command is done, for INPROGRESS (RFC 9585).
	Progress(done, goal int)
	// Result names the outcome for translations_total where it is not the reply's type in lower case:
	// "rollback", "partial".
	Result(word string)
}

// A Body reads and replaces a FETCH response piece by piece, so that messages need not be held.
type Body interface {
	// Writer is the client's. It is locked until the end of the response; who writes to it writes one
	// whole response in this one's place.
	Writer() *wire.Writer
	// Copy moves the literal that the tokens end with. The tokens are not valid any more.
	Copy(to io.Writer) error
	// Next puts the tokens of the line behind the literal into m.
	Next(m *wire.Message) error
	// End drops the last line, and releases the Writer.
	End() error
}

// Refused is the error of a translation that answers its command with NO or BAD.
type Refused struct{ Status wire.Status }

func (r *Refused) Error() string { return r.Status.String() }
