package proxy

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/backend"
	"github.com/imapgate/imapgate/proxy/translate"
	"github.com/imapgate/imapgate/proxy/wire"
	"github.com/imapgate/imapgate/routing"
)

// A session is a client that is logged in, and the backend connection that serves it. Two goroutines
// work on it while it relays: up reads the client, down reads the backend. Each is parked while it has
// nothing to read for some time; the next one goes on where it was.
type session struct {
	*client
	user      string // normalised
	route     string // by which the user is served
	pool      string // "" where the route names a backend
	counted   bool   // it has one of the user's places
	mechanism string
	tried     []string // backends that failed before this one
	b         *backend.Conn
	toBackend sink // below b.Out
	lease     routing.Lease
	reuse     *reuse // nil where the backend connection serves no other session
	metrics   *backendMetrics
	peers     *translate.Peers   // of the backend itself; Enabled is in the ledger
	stack     *translate.Stack   // with what this client was told; it never changes
	dialect   *translate.Dialect // nil where the backend's conversation needs no rewriting
	memory    translate.Memory   // what translations remember
	largest   int64              // octets of a message that the client may store; -1 for no limit

	knownData atomic.Bool // the client takes data that no RFC defines for an error

	up      control // of the goroutine that reads the client
	down    control // of the one that reads the backend
	pending pending
	reading sync.WaitGroup // until the backend is not read any more
	downErr error          // then: why
	ledger  ledger
	updates updates

	*upWork   // nil while up is parked
	*downWork // nil while down is parked

	partial *entry      // up: a command of which a part is at the backend and the rest is not
	modSeqs bool        // up: the backend has CONDSTORE and the client has not enabled it yet
	heeds   signal      // up: what interrupts waiting for the next command
	again   bool        // up: IDLE was over when the command was read that is to be dispatched now
	idled   bool        // up: the last command was IDLE: a DONE that comes late means nothing
	idling  *entry      // up: an IDLE that the backend has; nil outside it
	vigil   *vigil      // up: an IDLE that the proxy answers; nil outside it
	packed  bool        // up: the client's side is compressed, and counted
	upEnded atomic.Bool // the goroutine that reads the client is over
	byed    string      // down: text of the backend's BYE
	news    newMail     // down: what a client does not want to hear yet
	edited  bool        // down: the response was changed, and is written from its tokens
	pace    pace        // down: the backend is in IDLE
}

// errOver says that the session ends for a reason that somebody else knows.
var errOver = errors.New("the session is over")

// prepare makes the session's state: what it offers, and its readers and writers.
func (s *session) prepare() {
	s.srv.foresight.see(s.b, s.srv.options)
	s.memory.Begin(s.peers, s.srv.marks.Of(s.user, s.store()))
	s.largest = s.peers.AppendLimit()
	s.metrics = s.srv.metrics.backend(s.b.Config.Name)
	s.noteClient(s.name)
	s.b.Hand()
	s.modSeqs = s.b.Caps.Has(imap.CapCondStore)
	s.pending.last = s.b.Last
	s.pending.clock.tell()
	s.up.conn, s.down.conn = s.conn, s.b.Net
	s.up.lot, s.down.lot = &s.srv.lot, &s.srv.lot
	s.up.reader, s.down.reader = upSource{s}, downSource{s}
	s.toBackend.conn, s.toBackend.timeout = s.b.Net, s.opts.Timeouts.Write
}

// store names where the user's mail is: in a pool, or at a backend.
func (s *session) store() string {
	if s.pool != "" {
		return "pool " + s.pool
	}
	return s.b.Config.Name
}

// welcome answers the login command. The capabilities of this very session stand in the tagged OK,
// because that is where clients look.
func (s *session) welcome(tag string) error {
	return s.send(tag, wire.Status{Type: "OK", Code: "CAPABILITY", Args: s.stack.CapText(), Text: "Logged in"})
}
