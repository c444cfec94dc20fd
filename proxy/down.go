package proxy

import (
	"bytes"
	"errors"
	"time"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/translate"
	"github.com/imapgate/imapgate/proxy/wire"
)

// byeTime is how long a backend is still read after its BYE: some never close, and some say it for ever.
const byeTime = 2 * time.Second

// relayDown reads the backend's responses and passes them on.
func (s *session) relayDown() error {
	s.workDown()
	defer s.noteGiven()
	for {
		if s.upEnded.Load() {
			return errSignal
		}
		if err := s.b.In.Next(&s.said); err != nil {
			return err
		}
		if err := s.response(&s.said); err != nil {
			return err
		}
		s.noteOdd()
	}
}

// noteOdd counts what had to be repaired.
func (s *session) noteOdd() {
	if s.b.In.Odd != s.odd {
		s.odd = s.b.In.Odd
		s.violation("line_end")
	}
}

func (s *session) violation(kind string) {
	s.reuse.spoil()
	s.srv.metrics.violations.WithLabelValues(s.b.Config.Name, kind).Inc()
}

// response moves one message. Nobody asks for most of them: those pass by lines.
func (s *session) response(m *wire.Message) error {
	if m.Untagged() || m.Continuation() {
		s.noteGiven()
	}
	if s.edited = m.Odd; m.Odd {
		s.violation("head")
	}
	switch {
	case m.Continuation():
		return s.continuation(m)
	case nonsense(m):
		s.violation("number")
		return s.b.In.Skip()
	}
	if s.dialect.TakesResponse(&s.memory, m.Name) {
		s.noteGiven()
		if pass, err := s.dialected(m); !pass || err != nil {
			return err
		}
	}
	if !m.Untagged() {
		return s.tagged(m)
	}
	if m.Name == "BAD" { // of a line that the backend did not understand (RFC 3501 section 7.1.3)
		s.reuse.spoil()
	}
	if s.memory.Watched(m.Name) {
		if err := s.watched(m); err != nil {
			return err
		}
	}
	if sink := s.pending.sink.Load(); sink != nil {
		if pass, err := s.ask(*sink, m); !pass || err != nil {
			return err
		}
	}
	if s.peers.Quirks.DelayNewMail {
		if pass, err := s.delayed(m); !pass || err != nil {
			return err
		}
	}
	if look := looks(m.Name); look != nil {
		return look(s, m)
	}
	if s.unknownData(m.Name) {
		return s.b.In.Skip()
	}
	err := s.pass(m)
	if err == nil && m.Name == "FETCH" && s.passesFetches() {
		s.b.In.PassFetches()
	}
	return err
}

// passesFetches says whether nobody asks for any FETCH response that has come so far. One that speaks of a message
// whose EXISTS is kept back has to let that out before.
func (s *session) passesFetches() bool {
	return s.pending.sink.Load() == nil && !s.peers.Quirks.DelayNewMail &&
		!s.memory.Watched("FETCH") && !s.dialect.TakesResponse(&s.memory, "FETCH")
}

// watched shows a response to those who follow the mailbox.
func (s *session) watched(m *wire.Message) error {
	if err := s.load(m); err != nil {
		if _, odd := errors.AsType[*wire.Fault](err); odd {
			return nil
		}
		return err
	}
	return s.memory.Watch(m)
}

// looks gives what is done with an untagged response by its name; nil passes it as it is.
func looks(name string) func(*session, *wire.Message) error {
	switch name {
	case "FETCH", "LIST", "SEARCH", "STATUS", "FLAGS", "RECENT":
		return nil
	case "EXISTS":
		return (*session).existsData
	case "EXPUNGE":
		return (*session).expungeData
	case "VANISHED":
		return (*session).vanishedData
	case "OK", "NO", "BAD":
		return (*session).statusData
	case "BYE":
		return (*session).byeData
	case "ENABLED":
		return (*session).enabledData
	case "ESEARCH", "CONVERTED", "UIDBATCHES":
		return (*session).correlated
	case "CAPABILITY", "XGWEXTENSIONS", "PREAUTH":
		return (*session).dropped
	}
	return nil
}

// dropped keeps a response from the client: a backend's own capability list above all, in whose place
// the client has the session's (which does not change, RFC 5161 section 3.1).
func (s *session) dropped(*wire.Message) error { return s.b.In.Skip() }

func (s *session) existsData(m *wire.Message) error {
	if s.ledger.exists(m.Num) {
		s.violation("exists_shrank")
	}
	return s.pass(m)
}

func (s *session) expungeData(m *wire.Message) error {
	s.ledger.expunged(1)
	s.checkExpunge()
	return s.pass(m)
}

// checkExpunge counts a removal that the client could not expect (RFC 9051 section 7.5.1).
func (s *session) checkExpunge() {
	s.pending.mu.Lock()
	e := s.pending.oldest()
	s.pending.mu.Unlock()
	if e == nil || e.cmd != other && !e.cmd.Expunge {
		s.violation("expunge")
	}
}

// vanishedData is EXPUNGE by UIDs (RFC 7162 section 3.2.10); with EARLIER nothing is renumbered.
func (s *session) vanishedData(m *wire.Message) error {
	var fault *wire.Fault
	if err := s.load(m); err != nil && !errors.As(err, &fault) {
		return err
	}
	if n, ok := translate.Vanished(m); ok {
		s.ledger.expunged(n)
		s.checkExpunge()
	}
	return s.pass(m)
}

// statusData is an untagged OK, NO or BAD. Most pass; the codes that tell of the mailbox are noted, and
// those that name capabilities or tags are written anew.
func (s *session) statusData(m *wire.Message) error {
	code, args, _ := wire.Code(m.Text)
	switch code {
	case "UIDVALIDITY", "UIDNEXT", "HIGHESTMODSEQ", "READ-ONLY", "READ-WRITE":
		s.ledger.code(code, string(args))
	case "CAPABILITY", "NOUPDATE", "INPROGRESS", "REFERRAL":
		return s.rewritten(m.Tag, m)
	}
	if bytes.IndexByte(m.Text, 'p') >= 0 || listsCapabilities(m.Text) {
		return s.rewritten(m.Tag, m)
	}
	return s.pass(m)
}

func (s *session) byeData(m *wire.Message) error {
	if s.byed == "" {
		s.byed = "BYE " + clean(string(m.Text))
		s.down.limit(byeTime)
	}
	return s.b.In.Skip()
}

// enabled notes what the client has enabled.
func (s *session) enabled(names []imap.Cap) {
	s.ledger.enable(names)
	s.memory.Enabled(names)
}

// enabledData filters "* ENABLED" (RFC 5161 section 3.2) and notes what is enabled.
func (s *session) enabledData(m *wire.Message) error {
	s.reuse.spoil()
	var fault *wire.Fault
	err := s.load(m)
	_, literal := m.Literal()
	if literal || errors.As(err, &fault) {
		s.violation("enabled")
		return s.b.In.Skip()
	}
	if err != nil {
		return err
	}
	names := translate.EnableFilter(m.Tokens, s.stack.Caps())
	s.enabled(capsOf(names))
	line := wire.Data("ENABLED", names...)
	if err := s.b.In.DropLine(); err != nil {
		return err
	}
	s.out.Begin()
	s.out.Message(line)
	return s.out.End()
}

// continuation is the backend's "+": for a literal or IDLE that waits for it. Any other means that the
// two sides do not talk of the same thing.
func (s *session) continuation(m *wire.Message) error {
	p := &s.pending
	if m.For != nil && !s.granting(m.For) {
		return &wire.Desync{Text: "continuation request with an unknown tag"}
	}
	p.mu.Lock()
	g := p.grant
	p.mu.Unlock()
	switch g {
	case forwardGrant:
		if err := s.rewritten(m.Tag, m); err != nil {
			return err
		}
		if err := s.duly(); err != nil {
			return err
		}
	case swallowGrant:
		if err := s.b.In.Skip(); err != nil {
			return err
		}
	default:
		return &wire.Desync{Text: "continuation request that nothing asked for"}
	}
	p.mu.Lock()
	p.grant = granted
	s.pace = pace(len(p.queue) > 0 && p.queue[len(p.queue)-1].idle)
	p.recount(p.clock.now())
	p.changed()
	p.mu.Unlock()
	return nil
}

// tagged is the answer to a command.
func (s *session) tagged(m *wire.Message) error {
	s.pace = talks
	own, mine := parseOwn(m.Tag)
	if mine {
		if done, err := s.swift(own, m); done || err != nil {
			return err
		}
	}
	s.noteGiven()
	s.pending.mu.Lock()
	e := s.pending.find(own)
	var override wire.Status
	waits := false
	if e != nil {
		override, waits = e.has().override, e.waits
	}
	s.pending.mu.Unlock()
	if !mine || e == nil {
		if m.Name == "BAD" && string(m.Tag) == "DONE" {
			return s.b.In.Skip() // its IDLE had ended by itself when our DONE came
		}
		return &wire.Desync{Text: "answer with an unknown tag"} // which could be a line of mail
	}
	if m.Name == "BYE" || m.Name == "PREAUTH" {
		return &wire.Desync{Text: "tagged " + m.Name}
	}
	if err := s.duly(); err != nil {
		return err
	}
	switch {
	case e.kind == ours:
		return s.oursAnswered(e, m)
	case waits:
		return s.answeredLater(e, m)
	}
	typ := m.Name
	s.concluded(e, m)
	if override.Type != "" {
		typ = override.Type
		if err := s.b.In.DropLine(); err != nil {
			return err
		}
		s.out.Begin()
		s.out.Status(e.tag, override)
		s.out.End()
	} else if err := s.rewritten(e.tag, m); err != nil {
		return err
	}
	s.metrics.answered(e, typ, s.pending.clock.reading())
	s.pending.mu.Lock()
	defer s.pending.mu.Unlock()
	s.pending.answered(e, s.writeHeld)
	return nil
}

func (s *session) oursAnswered(e *entry, m *wire.Message) error {
	status := m.Status()
	status.Args, status.Text = string(s.plain([]byte(status.Args))), string(s.plain([]byte(status.Text)))
	if err := s.b.In.DropLine(); err != nil {
		return err
	}
	s.concluded(e, m)
	s.pending.mu.Lock()
	defer s.pending.mu.Unlock()
	if !s.pending.others(e) {
		s.pending.sink.Store(nil)
	}
	e.gets().status = status
	if b := e.has().behind; b != nil && b.has().later != nil { // else it did not wait in the end, and may be another command's
		b.special.reply = b.special.later
	}
	s.pending.answered(e, s.writeHeld)
	return nil
}

// concluded notes what an answer means for the session's state.
func (s *session) concluded(e *entry, m *wire.Message) {
	mailbox := e.has().mailbox
	if s.reuse != nil {
		s.reuse.answered(e.cmd, mailbox != "", m.Name)
	}
	if e.live && m.Name != "OK" {
		s.updates.remove(e.own)
	}
	if m.Name == "OK" {
		for _, own := range e.has().ends {
			s.updates.remove(own)
		}
	}
	if e.cmd == other || !e.cmd.Mailbox && mailbox == "" {
		return
	}
	code, _, _ := wire.Code(m.Text)
	switch {
	case mailbox != "" && m.Name == "OK":
		s.updates.clear(e.own)
		mode := readWrite
		if code == "READ-ONLY" || e.cmd.Name == "EXAMINE" {
			mode = readOnly
		}
		s.ledger.opened(mailbox, mode)
	case mailbox != "":
		s.updates.clear(e.own)
		s.ledger.notOpened(m.Name)
	case m.Name == "OK": // CLOSE, UNSELECT
		s.updates.clear(e.own)
		s.ledger.closed()
	}
}
