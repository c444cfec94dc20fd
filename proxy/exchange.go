package proxy

import (
	"errors"
	"strings"

	"github.com/imapgate/imapgate/proxy/translate"
	"github.com/imapgate/imapgate/proxy/wire"
)

// An exchange is the conversation behind one client command that a translation answers.
type exchange struct {
	s      *session
	e      *entry
	result string // for translations_total
	ended  bool   // the client has its answer, or the backend is going to give it
}

var errNoAnswer = errors.New("a translation ended without an answer")

// translate lets a translation answer a command. Later commands of this client wait.
func (s *session) translate(t *translate.Translation, m *wire.Message, cmd *translate.Command) error {
	if ok, err := s.collect(m); !ok {
		return err
	}
	e, err := s.push(translated, m.Tag, cmd)
	if err != nil {
		return err
	}
	x := &exchange{s: s, e: e}
	err = t.Run(m, x)
	var refused *translate.Refused
	if errors.As(err, &refused) {
		err = x.Reply(refused.Status)
	}
	if err == nil && !x.ended {
		err = errNoAnswer
	}
	if err != nil {
		x.result = "failed"
	}
	s.srv.metrics.translated(t.Name, x.result)
	return err
}

// turn waits until every earlier command of the client is answered.
func (x *exchange) turn() error { return x.s.before(x.e) }

// Do runs a command of our own.
func (x *exchange) Do(cmd *wire.Message, sink translate.Sink) (wire.Status, error) {
	if err := x.turn(); err != nil {
		return wire.Status{}, err
	}
	s := x.s
	spec, _ := s.spec(cmd.Name)
	o, err := s.push(ours, x.e.tag, spec)
	if err != nil {
		return wire.Status{}, err
	}
	if sink != nil {
		s.pending.sink.Store(&sink)
	}
	s.head(o, cmd.Name)
	if granted, err := s.tokens(o, cmd.Tokens); err != nil {
		return wire.Status{}, err
	} else if granted {
		s.b.Out.CRLF()
		s.pending.sentNow(o)
	}
	if err := s.b.Out.Push(); err != nil {
		return wire.Status{}, err
	}
	p := &s.pending
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.await(func() bool { return o.done }); err != nil {
		return wire.Status{}, err
	}
	p.drop(o)
	return o.status, nil
}

// Send passes m on to the backend.
func (x *exchange) Send(m *wire.Message) error {
	s := x.s
	s.pending.mu.Lock()
	x.e.kind = passed
	s.metrics.inFlight.Inc()
	s.pending.mu.Unlock()
	x.finish("sent")
	s.head(x.e, m.Name)
	if granted, err := s.tokens(x.e, m.Tokens); !granted || err != nil {
		return err
	}
	s.b.Out.CRLF()
	s.pending.sentNow(x.e)
	return s.b.Out.Err()
}

// Untagged writes an untagged response to the client.
func (x *exchange) Untagged(m *wire.Message) error {
	return x.tell(func(w *wire.Writer) { w.Message(m) })
}

// Info writes an untagged status response to the client.
func (x *exchange) Info(status wire.Status) error {
	return x.tell(func(w *wire.Writer) { w.Status([]byte("*"), status) })
}

func (x *exchange) tell(write func(*wire.Writer)) error {
	if err := x.turn(); err != nil {
		return err
	}
	x.s.out.Begin()
	write(x.s.out)
	return x.s.out.EndFlush()
}

// Reply writes the client's tagged answer. A backend's codes that would change what the client may do,
// or lead it past the proxy, are taken out.
func (x *exchange) Reply(status wire.Status) error {
	if status.Code == "CAPABILITY" || status.Code == "REFERRAL" {
		status.Code, status.Args = "", ""
	}
	if err := x.tell(func(w *wire.Writer) { w.Status(x.e.tag, status) }); err != nil {
		return err
	}
	x.finish(strings.ToLower(status.Type))
	x.s.metrics.answered(x.e, status.Type)
	x.s.pending.mu.Lock()
	defer x.s.pending.mu.Unlock()
	x.s.pending.answered(x.e, x.s.writeHeld)
	return nil
}

func (x *exchange) finish(result string) {
	x.ended = true
	if x.result == "" {
		x.result = result
	}
}

// Peers is what both sides can do.
func (x *exchange) Peers() translate.Peers { return x.s.ledger.peers(x.s.peers) }

// Mailbox is the selected mailbox once every earlier command is answered.
func (x *exchange) Mailbox() translate.Mailbox {
	if x.turn() != nil {
		return translate.Mailbox{}
	}
	m := x.s.ledger.selected()
	return translate.Mailbox{Name: m.Name, ReadOnly: m.ReadOnly, Exists: m.Exists}
}

// Result names the outcome for metrics.
func (x *exchange) Result(word string) { x.result = word }
