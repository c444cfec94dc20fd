package proxy

import (
	"errors"
	"fmt"
	"strings"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/translate"
	"github.com/imapgate/imapgate/proxy/wire"
)

// An exchange is the conversation behind one client command that a translation answers, as the layer
// sees it that is at work.
type exchange struct {
	s      *session
	e      *entry
	depth  int    // of the layer in the session's stack
	result string // for translations_total
	ended  bool   // the command has its answer, or the layer below is going to give it

	// A layer that works for another one's Do writes to sink, what passes there goes to the client, and
	// status is its answer.
	inner  bool
	sink   translate.Sink
	status wire.Status

	progress *progress
}

var errNoAnswer = errors.New("a translation ended without an answer")

// translate lets a translation answer a command. Later commands of this client wait.
func (s *session) translate(t *translate.Translation, depth int, m *wire.Message, cmd *translate.Command) error {
	if ok, err := s.collect(m); !ok {
		return err
	}
	e, err := s.push(translated, m.Tag, cmd)
	if err != nil {
		return err
	}
	x := &exchange{s: s, e: e, progress: newProgress(s, e)}
	defer x.progress.stop()
	return x.run(t, depth, m)
}

// run lets the layer at depth answer the exchange's command.
func (x *exchange) run(t *translate.Translation, depth int, m *wire.Message) error {
	x.depth, x.result = depth, ""
	err := t.Run(m, x)
	if refused, is := errors.AsType[*translate.Refused](err); is && !x.ended {
		err = x.Reply(refused.Status)
	}
	if err == nil && !x.ended {
		err = errNoAnswer
	}
	if err != nil {
		x.result = "failed"
	}
	x.s.srv.metrics.translated(t.Name, x.result)
	return err
}

// turn waits until every earlier command of the client is answered. A sink, which may not wait, runs only
// when they are.
func (x *exchange) turn() error {
	if x.s.pending.isFirst(x.e) {
		return nil
	}
	return x.s.before(x.e)
}

// through is what a response passes on its way from below: the sink of a Do, then that of the layers
// for which this one works.
func (x *exchange) through(sink translate.Sink) translate.Sink {
	switch {
	case sink == nil:
		return x.sink
	case x.sink == nil:
		return sink
	}
	return func(m *wire.Message) (translate.Verdict, error) {
		inner, err := sink(m)
		if err != nil || inner == translate.Drop {
			return inner, err
		}
		outer, err := x.sink(m)
		if outer == translate.Pass {
			outer = inner
		}
		return outer, err
	}
}

// Do runs a command: by the layers below, else by the backend.
func (x *exchange) Do(cmd *wire.Message, sink translate.Sink) (wire.Status, error) {
	if err := x.turn(); err != nil {
		return wire.Status{}, err
	}
	sink = x.through(sink)
	if t, depth, ok := x.s.stack.Answering(cmd, &x.s.memory, x.depth); ok {
		return x.below(t, depth, cmd, sink)
	}
	o, err := x.order(cmd, sink)
	if err != nil {
		return wire.Status{}, err
	}
	return x.answerTo(o)
}

// below lets another layer answer a command of this one.
func (x *exchange) below(t *translate.Translation, depth int, cmd *wire.Message, sink translate.Sink) (wire.Status, error) {
	inner := &exchange{s: x.s, e: x.e, inner: true, sink: sink, progress: x.progress}
	if err := inner.run(t, depth, cmd); err != nil {
		return wire.Status{}, err
	}
	return inner.status, nil
}

// order sends a command of our own to the backend.
func (x *exchange) order(cmd *wire.Message, sink translate.Sink) (*entry, error) {
	up, err := x.s.dialect.Up(&x.s.memory, cmd)
	if err != nil {
		return nil, err
	}
	return x.orderAs(cmd, up, sink)
}

// orderAs sends a command of our own in the words of the backend.
func (x *exchange) orderAs(cmd, up *wire.Message, sink translate.Sink) (*entry, error) {
	s := x.s
	spec, _ := s.spec(cmd.Name)
	s.pending.clock.tell() // the command before may have taken long
	o, err := s.push(ours, x.e.tag, spec)
	if err != nil {
		return nil, err
	}
	if sink != nil {
		s.pending.sink.Store(&sink)
	}
	if spec.Mailbox {
		s.opening(o, cmd)
	}
	s.noteModSeq(spec, cmd.Tokens)
	s.head(o, up.Name)
	if granted, err := s.tokens(o, up.Tokens); err != nil {
		return nil, err
	} else if granted {
		s.b.Out.CRLF()
		s.pending.sentNow(o)
	}
	return o, s.b.Out.Err()
}

// answerTo waits for the backend's answer to a command of our own.
func (x *exchange) answerTo(o *entry) (wire.Status, error) {
	if err := x.s.b.Out.Push(); err != nil {
		return wire.Status{}, err
	}
	p := &x.s.pending
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.await(func() bool { return o.done }); err != nil {
		return wire.Status{}, err
	}
	p.drop(o)
	return o.has().status, nil
}

// maxWindow bounds how many commands DoAll has under way.
const maxWindow = 20

// DoAll runs several commands, at the same time where no layer below takes one.
func (x *exchange) DoAll(cmds []*wire.Message, sink translate.Sink) ([]wire.Status, error) {
	if len(cmds) > maxWindow {
		return nil, fmt.Errorf("%d commands at once are more than %d", len(cmds), maxWindow)
	}
	if err := x.turn(); err != nil {
		return nil, err
	}
	if x.anyBelow(cmds) {
		return x.oneByOne(cmds, sink)
	}
	ups := make([]*wire.Message, len(cmds)) // all before any is sent: one may be refused
	for i, cmd := range cmds {
		var err error
		if ups[i], err = x.s.dialect.Up(&x.s.memory, cmd); err != nil {
			return nil, err
		}
	}
	var orders []*entry
	for i, cmd := range cmds {
		o, err := x.orderAs(cmd, ups[i], x.through(sink))
		if err != nil {
			return nil, err
		}
		orders = append(orders, o)
	}
	answers := make([]wire.Status, len(orders))
	for i, o := range orders {
		var err error
		if answers[i], err = x.answerTo(o); err != nil {
			return nil, err
		}
	}
	return answers, nil
}

func (x *exchange) anyBelow(cmds []*wire.Message) bool {
	for _, cmd := range cmds {
		if _, _, ok := x.s.stack.Answering(cmd, &x.s.memory, x.depth); ok {
			return true
		}
	}
	return false
}

func (x *exchange) oneByOne(cmds []*wire.Message, sink translate.Sink) (answers []wire.Status, err error) {
	for _, cmd := range cmds {
		s, err := x.Do(cmd, sink)
		if err != nil {
			return nil, err
		}
		answers = append(answers, s)
	}
	return answers, nil
}

// Send passes m on to the layers below.
func (x *exchange) Send(m *wire.Message) error {
	if x.inner {
		s, err := x.Do(m, nil)
		if err != nil {
			return err
		}
		return x.Reply(s)
	}
	if t, depth, ok := x.s.stack.Answering(m, &x.s.memory, x.depth); ok {
		before := x.result
		err := x.run(t, depth, m)
		if x.result = before; before == "" {
			x.result = "sent"
		}
		return err
	}
	return x.sendUp(m)
}

// sendUp passes m on to the backend.
func (x *exchange) sendUp(m *wire.Message) error {
	s := x.s
	up, err := s.dialect.Up(&s.memory, m)
	if err != nil {
		return err
	}
	spec, _ := s.spec(m.Name)
	updating := spec.Tags == translate.TagRegistered && asksUpdates(m.Tokens)
	if updating && !s.updates.free(x.Tag()) {
		return x.Reply(bad("", "Tag reuse, or too many searches with updates"))
	}
	if updating {
		s.updates.add(x.e.own, x.Tag())
	}
	x.progress.stop()
	s.pending.mu.Lock()
	x.e.kind, x.e.live = passed, updating
	if spec != other {
		x.e.cmd = spec
	}
	s.metrics.inFlight.Inc()
	s.pending.mu.Unlock()
	x.finish("sent")
	if x.e.cmd.Mailbox {
		s.opening(x.e, m)
	}
	s.noteModSeq(x.e.cmd, m.Tokens)
	s.head(x.e, up.Name)
	if granted, err := s.tokens(x.e, up.Tokens); !granted || err != nil {
		return err
	}
	s.b.Out.CRLF()
	s.pending.sentNow(x.e)
	return s.b.Out.Err()
}

// Untagged writes an untagged response to the client, or to the layer for which this one works.
func (x *exchange) Untagged(m *wire.Message) error {
	if x.sink != nil {
		if verdict, err := x.sink(m); err != nil || verdict == translate.Drop {
			return err
		}
	}
	return x.tell(func(w *wire.Writer) {
		if m.IsStatus() {
			w.Text([]byte("*"), m.Name, m.Text)
			return
		}
		w.Message(m)
	})
}

// Info writes an untagged status response to the client.
func (x *exchange) Info(status wire.Status) error {
	return x.Untagged(&wire.Message{Tag: []byte("*"), Name: status.Type, Text: status.Append(nil)[len(status.Type)+1:]})
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
// or lead it past the proxy, and those that tell a tag, are taken out.
func (x *exchange) Reply(status wire.Status) error {
	switch status.Code {
	case "CAPABILITY", "REFERRAL", "INPROGRESS", "NOUPDATE":
		status.Code, status.Args = "", ""
	case "":
		if listsCapabilities([]byte(status.Text)) {
			status.Text = ""
		}
	}
	if x.inner {
		x.status = status
		x.finish(strings.ToLower(status.Type))
		return nil
	}
	x.progress.stop() // nothing is told of a command that is answered
	if err := x.tell(func(w *wire.Writer) { w.Status(x.e.tag, status) }); err != nil {
		return err
	}
	x.finish(strings.ToLower(status.Type))
	x.s.pending.clock.tell()
	x.s.metrics.answered(x.e, status.Type, x.s.pending.clock.reading())
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

// Tag is the client's tag.
func (x *exchange) Tag() string { return string(x.e.tag) }

// Peers is what both sides can do, as the layer sees it.
func (x *exchange) Peers() translate.Peers { return x.s.ledger.peers(x.s.stack.Peers(x.depth)) }

// Offered is what this client was told that it can use.
func (x *exchange) Offered() []imap.Cap { return x.s.stack.Caps() }

// Memory is what the translations of this session remember.
func (x *exchange) Memory() *translate.Memory { return &x.s.memory }

// Mailbox is the selected mailbox once every earlier command is answered.
func (x *exchange) Mailbox() translate.Mailbox {
	if x.turn() != nil {
		return translate.Mailbox{}
	}
	m, visit := x.s.ledger.visit()
	return translate.Mailbox{Name: m.Name, ReadOnly: m.ReadOnly, Exists: m.Exists, UIDValidity: m.UIDValidity, Visit: visit}
}

// Leave notes that no mailbox is selected any more.
func (x *exchange) Leave() {
	x.s.memory.Left()
	x.s.updates.clear(x.e.own)
	x.s.ledger.closed()
}

// Enable notes what the client has enabled.
func (x *exchange) Enable(names ...imap.Cap) { x.s.enabled(names) }

// Introduce notes what the client says of itself.
func (x *exchange) Introduce(client []translate.IDPair) []translate.IDPair {
	x.s.noteClient(clientName(client))
	return ownID(x.s.opts.Version)
}

// Progress notes how much of the command is done.
func (x *exchange) Progress(done, goal int) { x.progress.at(done, goal) }

// Result names the outcome for metrics.
func (x *exchange) Result(word string) { x.result = word }
