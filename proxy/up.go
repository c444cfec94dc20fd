package proxy

import (
	"errors"
	"io"
	"slices"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/translate"
	"github.com/imapgate/imapgate/proxy/wire"
)

const (
	heedAll  = sigDrain | sigPause
	heedIdle = sigDrain
	heedWait = sigDrain | sigResume
)

// How a session can end from the client's side.
var (
	errDrained    = errors.New("drained")
	errClientLeft = errors.New("the client left")
	// errCut says that a part of a command is at the backend and its rest must never follow: the
	// connection is cut before the command's CRLF, so that nothing of it is executed.
	errCut = errors.New("a command was cut short")
)

// relayUp reads the client's commands and sees that each gets its answer. After errQuiet it is called again
// and goes on.
func (s *session) relayUp() error {
	s.workUp()
	defer s.pending.publishStaged()
	for {
		if err := s.step(&s.asked); err != nil {
			return err
		}
	}
}

// step reads the client's next command, or what it says in IDLE.
func (s *session) step(m *wire.Message) error {
	switch {
	case s.vigil != nil:
		return s.torn(s.keepVigil(m))
	case s.idling != nil:
		return s.torn(s.untilDone(m))
	}
	s.heeds = heedAll
	if s.again {
		s.again = false
		return s.torn(s.dispatch(m))
	}
	err := errSignal
	if !s.heeded() { // also with commands in the buffer
		err = s.in.Next(m)
	}
	fault, isFault := errors.AsType[*wire.Fault](err)
	switch {
	case err == nil:
		return s.torn(s.dispatch(m))
	case isFault:
		return s.faulty(m, fault)
	case errors.Is(err, errSignal):
		return s.heed()
	case errors.Is(err, io.EOF):
		return s.finish()
	}
	return err
}

// heeded reports a signal at which no further command is read.
func (s *session) heeded() bool { return s.up.get()&(heedAll|sigKick|sigStop) != 0 }

// heed does what a signal asks for; the reader stands between commands.
func (s *session) heed() error {
	up := s.up.get()
	switch {
	case up&sigStop != 0:
		return errOver
	case up&sigKick != 0:
		return errKicked
	case up&sigDrain != 0:
		if err := s.allAnswered(); err != nil {
			return err
		}
		return errDrained
	}
	return s.paused()
}

// paused reads no further command. The client's TCP connection is the queue; only its end is noticed,
// and that only where nothing lies before it.
func (s *session) paused() error {
	s.heeds = heedWait
	for s.up.get()&sigPause != 0 {
		err := s.in.Await()
		if err == nil {
			err = s.asleep()
		}
		switch {
		case errors.Is(err, io.EOF):
			return s.finish()
		case errors.Is(err, errIdle): // a paused client is silent by order
		case errors.Is(err, errSignal):
			s.up.clear(sigResume)
			if s.up.get()&(sigKick|sigStop|sigDrain) != 0 {
				s.up.clear(sigPause)
				return s.heed()
			}
		case err != nil:
			return err
		}
	}
	s.up.clear(sigResume)
	s.pending.clock.tell()
	return nil
}

// asleep waits for any signal, without reading.
func (s *session) asleep() error {
	s.b.Out.Push()
	s.pending.mu.Lock()
	defer s.pending.mu.Unlock()
	err := s.pending.await(func() bool { return s.up.get()&(heedWait|sigKick|sigStop) != 0 })
	if err != nil {
		return err
	}
	return errSignal
}

// allAnswered waits until every command has its answer.
func (s *session) allAnswered() error {
	s.b.Out.Push()
	s.pending.mu.Lock()
	defer s.pending.mu.Unlock()
	return s.pending.await(func() bool { return len(s.pending.queue) == 0 })
}

// finish follows the client's end of its direction: what it asked for before is still answered.
func (s *session) finish() error {
	if err := s.allAnswered(); err != nil {
		return err
	}
	return errClientLeft
}

// torn follows the client's end in the middle of a command: what it asked for before is still answered.
func (s *session) torn(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.EOF) && s.partial == nil:
		return s.finish()
	case errors.Is(err, io.EOF):
		err = errClientLeft
	case errors.Is(err, errStalled) && s.partial != nil:
		s.pending.instead(s.partial, bad("", "Command was not completed in time"))
		return err
	case !errors.Is(err, errCut):
		return err
	}
	if waited := s.before(s.partial); waited != nil {
		return waited
	}
	return err
}

// before waits until every command before e has its answer.
func (s *session) before(e *entry) error {
	s.b.Out.Push()
	s.pending.mu.Lock()
	defer s.pending.mu.Unlock()
	return s.pending.await(func() bool { return len(s.pending.queue) == 0 || s.pending.queue[0] == e })
}

// faulty answers a line that breaks the grammar.
func (s *session) faulty(m *wire.Message, f *wire.Fault) error {
	if s.idled && isDone(m, f) {
		s.idled = false
		return nil
	}
	if f.Kind == wire.FaultUnasked {
		s.used(imap.CapLiteralPlus)
	}
	return s.reject(m, bad(f.Code, f.Text))
}

// reject answers a command by itself, after reading past what is left of it.
func (s *session) reject(m *wire.Message, status wire.Status) error {
	tag := slices.Clone(m.Tag)
	if len(tag) == 0 {
		tag = []byte("*")
	}
	cmd, _ := s.spec(m.Name)
	if err := s.in.Discard(); err != nil {
		return err
	}
	return s.answer(tag, cmd, status.Type, status.Append(append(slices.Clone(tag), ' ')))
}

// answer queues the proxy's own answer behind all that is under way. lines is without the last CRLF.
func (s *session) answer(tag []byte, cmd *translate.Command, typ string, lines []byte) error {
	e, err := s.push(held, tag, cmd)
	if err != nil {
		return err
	}
	s.pending.mu.Lock()
	defer s.pending.mu.Unlock()
	e.result = typ
	e.gets().reply = append(lines, "\r\n"...)
	s.pending.release(s.writeHeld)
	return nil
}

// push adds an entry; it waits while too many commands are under way.
func (s *session) push(k kind, tag []byte, cmd *translate.Command) (*entry, error) {
	p := &s.pending
	if k == passed {
		if e := p.stage(tag, cmd); e != nil {
			return e, nil
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.publish()
	if len(p.queue) >= maxPending {
		p.mu.Unlock()
		s.b.Out.Push()
		p.mu.Lock()
		if err := p.await(func() bool { return len(p.queue) < maxPending }); err != nil {
			return nil, err
		}
	}
	if p.over {
		return nil, errOver
	}
	if k == passed {
		s.metrics.inFlight.Inc()
	}
	return p.push(k, tag, cmd), nil
}

// writeHeld writes an answer of the proxy's own that came due.
func (s *session) writeHeld(e *entry) {
	s.out.Begin()
	s.out.Write(e.has().reply)
	s.out.EndFlush()
	s.metrics.answered(e, e.result, s.pending.clock.reading())
}

// spec finds what the command table says; for a command that only passes by policy, the row of others.
func (s *session) spec(name string) (cmd *translate.Command, known bool) {
	if cmd, ok := translate.Lookup(name); ok {
		return cmd, true
	}
	return other, slices.Contains(s.peers.Policy.PassCommands, name)
}

// A verb is what the name of a command means for a session, as far as it never changes.
type verb struct {
	name    string
	cmd     *translate.Command
	known   bool
	layered bool // a translation may answer it
	short   bool
	run     func(*session, *wire.Message, *translate.Command) error
}

// verb finds what a name means. Most commands of one session come in runs, so the last one is kept.
func (s *session) verb(name string) *verb {
	v := &s.same
	if v.name != name || v.cmd == nil {
		cmd, known := s.spec(name)
		*v = verb{name: name, cmd: cmd, known: known, layered: s.stack.Layered(name), short: short(cmd), run: sessionCommands[name]}
	}
	return v
}

// dispatch sends a command on its way: to the proxy itself, to a translation, or to the backend.
func (s *session) dispatch(m *wire.Message) error {
	s.idled = false
	s.ledger.count(1)
	v := s.verb(m.Name)
	cmd := v.cmd
	switch {
	case !v.known:
		return s.unknown(m)
	case cmd != other && cmd.States&(translate.Authenticated|translate.Selected) == 0:
		return s.reject(m, bad("", "Already logged in"))
	}
	if cmd.States == translate.Selected && s.memory.Away() {
		return s.reject(m, bad("", "No mailbox is selected"))
	}
	if done, err := s.barred(m, cmd); done || err != nil {
		return err
	}
	if v.layered {
		if t, at, ok := s.stack.Answering(m, &s.memory, translate.Top); ok {
			return s.translate(t, at, m, cmd)
		}
	}
	if v.run != nil {
		return v.run(s, m, cmd)
	}
	if cmd.Translated {
		return s.unknown(m)
	}
	if _, literal := m.Literal(); v.short && !literal && !s.dialect.TakesCommand(&s.memory, m.Name) {
		return s.forwardLines(m, cmd)
	}
	return s.forward(m, cmd)
}

// sessionCommands are the commands that the session itself answers or has to look into.
var sessionCommands map[string]func(*session, *wire.Message, *translate.Command) error

func init() { // the functions refer to the table's users
	sessionCommands = map[string]func(*session, *wire.Message, *translate.Command) error{
		"CAPABILITY":   (*session).capability,
		"ID":           (*session).identify,
		"LOGOUT":       (*session).logout,
		"IDLE":         (*session).idle,
		"ENABLE":       (*session).enable,
		"CANCELUPDATE": (*session).cancelUpdate,
		"COMPRESS":     (*session).compress,
	}
}
