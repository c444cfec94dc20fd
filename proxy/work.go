package proxy

import (
	"sync"

	"github.com/imapgate/imapgate/proxy/wire"
)

// What follows is what a reader has at hand while it reads, and gives back when it is parked: nothing in it has to be
// known of the conversation. Besides it, up has the readers and writers that it alone uses: of commands, and to the
// backend; and down has that of responses. A session holds them only while it has a goroutine for them.

// An upWork is what up has at hand.
type upWork struct {
	asked   wire.Message // what was read last
	staging staging
	wrapped wrapped    // message data that the proxy takes out of UTF8 ()
	sent    tagCounter // the tag that the backend saw last
	same    verb       // what the last command's name means
}

// A downWork is what down has at hand.
type downWork struct {
	said  wire.Message // what was read last
	given given        // answers that the queue does not know of yet
	odd   int          // repaired lines that were counted
}

var (
	upWorks   = sync.Pool{New: func() any { return new(upWork) }}
	downWorks = sync.Pool{New: func() any { return new(downWork) }}
)

// workUp has up ready to read, where it is not.
func (s *session) workUp() {
	if s.upWork != nil {
		return
	}
	s.upWork = upWorks.Get().(*upWork)
	s.staging.inFlight = s.metrics.inFlight
	s.pending.attend(&s.staging)
	if s.in == nil {
		s.in = wire.NewCommands(upSource{s})
	}
	if s.b.Out == nil {
		s.b.Out = wire.NewWriter(upSink{s})
	}
	s.in.SetSource(upSource{s}) // the first were those of the logins
	s.b.Out.SetDestination(upSink{s})
	s.in.MoveFrom = moveFrom
	s.in.MaxLine = s.opts.Limits.Line
	s.in.MaxUnasked = unasked(s.stack.Caps())
	s.in.MaxDrain = max(s.opts.Limits.Append, 64<<20)
}

// restUp gives back what up has at hand. It stands between commands, and nothing is held for the backend.
func (s *session) restUp() {
	w := s.upWork
	s.pending.lighten()
	if s.b.Out.Err() == nil { // else that is to be known
		s.b.Out.GiveBack()
		s.b.Out = nil
	}
	s.in.GiveBack()
	s.in, s.upWork = nil, nil
	clear(w.staging.entries[:cap(w.staging.entries)])
	*w = upWork{staging: staging{entries: w.staging.entries[:0]}}
	upWorks.Put(w)
}

// workDown has down ready to read, where it is not.
func (s *session) workDown() {
	if s.downWork != nil {
		return
	}
	s.downWork = downWorks.Get().(*downWork)
	if s.b.In == nil {
		s.b.In = wire.NewResponses(downSource{s}, s.out)
	}
	s.b.In.SetSource(downSource{s}) // the first was that of the login
	s.b.In.SetOut(s.out)
	s.b.In.MoveFrom = moveFrom
	s.b.In.Before = s.noteGiven
	s.b.In.MaxHeld = 16 << 20
}

// restDown gives back what down has at hand. It stands between messages.
func (s *session) restDown() {
	w := s.downWork
	s.noteOdd()
	s.b.In.GiveBack()
	s.b.In, s.downWork = nil, nil
	clear(w.given.next[:cap(w.given.next)])
	*w = downWork{given: given{next: w.given.next[:0]}}
	downWorks.Put(w)
}

// layDown gives back what both have at hand, for the next session to use, behind one that is over. Where a reader
// stands inside a message, what it has is left to the garbage collector.
func (s *session) layDown() {
	if s.upWork != nil && s.in.Boundary() {
		s.restUp()
	}
	if s.downWork != nil && s.b.In.Boundary() && s.b.In.Whole() {
		s.restDown()
	}
}
