package proxy

import (
	"errors"
	"fmt"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/translate"
	"github.com/imapgate/imapgate/proxy/wire"
)

// forward sends a command to the backend under a tag of ours: written anew from its tokens, its literals
// streamed. Every line is checked whole before its first byte goes up.
func (s *session) forward(m *wire.Message, cmd *translate.Command) error {
	s.wrapped = wrapped{} // of a message that was refused; it must not get into this command
	up := m
	if _, literal := m.Literal(); s.dialect.TakesCommand(&s.memory, m.Name) || literal && cmd.Mailbox {
		var err error
		if up, err = s.hold(m, cmd); up == nil || err != nil {
			return err
		}
	}
	var args argCount
	if refusal, ok := s.admit(up, cmd, &args); !ok {
		return s.reject(m, refusal)
	}
	if refusal, ok, err := s.unwrap(up, cmd); err != nil {
		return err
	} else if !ok {
		return s.reject(m, refusal)
	}
	updating := cmd.Tags == translate.TagRegistered && asksUpdates(m.Tokens)
	if updating && !s.updates.free(string(m.Tag)) {
		return s.reject(m, bad("", "Tag reuse, or too many searches with updates"))
	}
	e, err := s.push(passed, m.Tag, cmd)
	if err != nil {
		return err
	}
	if updating {
		s.updates.add(e.own, string(m.Tag))
		e.live = true
	}
	if cmd.Tags == translate.TagArguments {
		e.gets().ends = ownTags(m.Tokens)
	}
	if cmd.Mailbox {
		s.opening(e, m)
	}
	s.noteModSeq(cmd, m.Tokens)
	s.head(e, up.Name)
	args.news = s.wantsNews(m, cmd)
	return s.rest(e, up, &args)
}

// short reports whether nothing has to be known of a command to pass it, where it is one line: it has no data,
// concerns no tags, and opens or closes no mailbox.
func short(cmd *translate.Command) bool {
	return cmd.Data == 0 && cmd.Tags == translate.NoTags && !cmd.Mailbox
}

// forwardLines is forward for a command that is short, and one line, and for those that came with it and are the same:
// what was found out about the first holds for them. Nothing is waited for between them.
func (s *session) forwardLines(m *wire.Message, cmd *translate.Command) error {
	e, err := s.push(passed, m.Tag, cmd)
	if err != nil {
		return err
	}
	s.noteModSeq(cmd, m.Tokens)
	err = s.forwardLine(e, m)
	more := int64(0)
	for err == nil && s.pending.staging.room > 0 && !s.heeded() && s.in.Again(m) {
		e := s.pending.stage(m.Tag, cmd)
		if s.b.Out.Again(s.sent.render(e.own)) {
			s.pending.sentNow(e)
		} else {
			err = s.forwardLine(e, m)
		}
		more++
	}
	if more > 0 {
		s.ledger.count(more)
	}
	return err
}

func (s *session) forwardLine(e *entry, m *wire.Message) error {
	s.head(e, m.Name)
	if granted, err := s.tokens(e, m.Tokens); !granted || err != nil {
		return err
	}
	s.b.Out.CRLF()
	s.pending.sentNow(e)
	return s.b.Out.Err()
}

// noteModSeq notes that a command enables CONDSTORE without saying ENABLE (RFC 7162 section 3.1): from
// then on the backend tells mod-sequences unasked.
func (s *session) noteModSeq(cmd *translate.Command, args []wire.Token) {
	if !s.modSeqs || !enablesModSeq[cmd.Name] {
		return
	}
	for _, t := range args {
		if t.Kind == wire.Atom && modSeqWord(t) {
			s.ledger.enable([]imap.Cap{imap.CapCondStore})
			s.modSeqs = false
			return
		}
	}
}

var enablesModSeq = map[string]bool{
	"SELECT": true, "EXAMINE": true, "STATUS": true, "FETCH": true, "UID FETCH": true,
	"STORE": true, "UID STORE": true, "SEARCH": true, "UID SEARCH": true,
}

func modSeqWord(t wire.Token) bool {
	switch len(t.Text) {
	case len("MODSEQ"):
		return t.Is("MODSEQ")
	case len("CONDSTORE"):
		return t.Is("CONDSTORE")
	case len("CHANGEDSINCE"):
		return t.Is("CHANGEDSINCE")
	case len("HIGHESTMODSEQ"):
		return t.Is("HIGHESTMODSEQ")
	case len("UNCHANGEDSINCE"):
		return t.Is("UNCHANGEDSINCE")
	}
	return false
}

// opening notes that another mailbox is going to be selected, or none.
func (s *session) opening(e *entry, m *wire.Message) {
	s.memory.Left()
	if e.cmd.Name == "SELECT" || e.cmd.Name == "EXAMINE" {
		name := "(unknown)" // where the command has none
		if len(m.Tokens) > 0 {
			name = m.Tokens[0].Value()
		}
		e.gets().mailbox = name
		s.ledger.opening()
	}
}

func (s *session) head(e *entry, name string) {
	if s.reuse != nil {
		s.reuse.sends(name)
	}
	s.b.Out.Head(s.sent.render(e.own), name)
}

// rest sends a command's arguments, line by line, as they come from the client.
func (s *session) rest(e *entry, m *wire.Message, args *argCount) error {
	for {
		if granted, err := s.tokens(e, m.Tokens); !granted || err != nil {
			return err
		}
		t, more := m.Literal()
		if !more {
			s.partial = nil
			return s.whole(e, args)
		}
		s.partial = e
		if granted, err := s.literal(e, t); !granted || err != nil {
			return err
		}
		if err := s.in.Continue(m); err != nil {
			return s.cut(e, err)
		}
		if refusal, ok := s.admit(m, e.cmd, args); !ok {
			s.pending.instead(e, refusal)
			return errCut
		}
		if err := s.barredMore(e, m); err != nil {
			return err
		}
		if refusal, ok, err := s.unwrap(m, e.cmd); err != nil {
			return err
		} else if !ok {
			s.pending.instead(e, refusal)
			return errCut
		}
	}
}

// whole ends a command's last line.
func (s *session) whole(e *entry, args *argCount) error {
	var news *entry
	if args.news {
		var err error
		if news, err = s.newsBehind(e); err != nil {
			return err
		}
	}
	s.b.Out.CRLF()
	s.pending.sentNow(e)
	if news != nil {
		s.askNews(news)
	}
	return s.b.Out.Err()
}

// cut ends a command of which a part is up already.
func (s *session) cut(e *entry, err error) error {
	var fault *wire.Fault
	if !errors.As(err, &fault) {
		return err
	}
	s.pending.instead(e, bad(fault.Code, fault.Text))
	return errCut
}

// tokens sends the arguments of one line, with the literals among them that are held.
func (s *session) tokens(e *entry, tokens []wire.Token) (granted bool, err error) {
	if s.reuse != nil {
		s.reuse.tells(e.cmd, tokens)
	}
	for i := range tokens {
		t := &tokens[i]
		if t.Kind != wire.Literal {
			s.b.Out.Token(t)
			continue
		}
		if t.Text == nil {
			break
		}
		if granted, err := s.announce(e, *t, swallowGrant); !granted || err != nil {
			return granted, err
		}
		s.b.Out.Write(t.Text)
	}
	return true, s.b.Out.Err()
}

// literal streams one literal from the client to the backend. The client's {n} goes up as {n}, and the
// backend's "+" comes back before the client sends its octets, so that a refusal comes before the
// upload. {n+} goes up as {n+} where the backend takes it; otherwise the proxy waits in the client's
// place. It is false where the backend refused: the command is answered then.
func (s *session) literal(e *entry, t wire.Token) (granted bool, err error) {
	if !t.NonSync && s.b.Config.EagerLiterals {
		if err := s.goOn(); err != nil {
			return false, err
		}
		s.in.Grant()
		t.NonSync = true
	}
	g := forwardGrant
	if t.NonSync {
		g = swallowGrant
	}
	if granted, err = s.announce(e, t, g); err != nil {
		return false, err
	}
	if !granted {
		s.partial = nil // the backend is ready for another command
		return false, s.in.Discard()
	}
	s.in.Grant()
	if head := s.wrapped.head; head != nil {
		s.b.Out.Write(head)
		s.wrapped.head = nil
	}
	return true, s.in.CopyLiteral(s.b.Out)
}

// announce sends a literal's head and waits for the backend's "+" where it has to come.
func (s *session) announce(e *entry, t wire.Token, g grant) (granted bool, err error) {
	if g == swallowGrant && s.b.NonSync(t.Size) {
		t.NonSync = true
		s.b.Out.LiteralHead(t)
		return true, s.b.Out.Err()
	}
	t.NonSync = false
	s.pending.expect(g) // before the last octet, with which the buffer may be full and leave
	s.b.Out.LiteralHead(t)
	if err := s.b.Out.Push(); err != nil {
		return false, err
	}
	return s.pending.granted(e)
}

// An argCount counts a command's arguments over its lines, to tell message data from other literals.
type argCount struct {
	n     int // arguments that are complete
	depth int
	news  bool // a NOOP is to follow
}

func (a *argCount) add(t *wire.Token) {
	switch {
	case t.Kind == wire.Open:
		a.depth++
		return
	case t.Kind == wire.Close:
		a.depth--
	}
	if a.depth == 0 && !t.Glued {
		a.n++
	}
}

// admit checks the literal at the end of a line before anything of the line goes up. ok is false where
// the command is refused.
func (s *session) admit(m *wire.Message, cmd *translate.Command, args *argCount) (refusal wire.Status, ok bool) {
	t, literal := m.Literal()
	n := len(m.Tokens)
	if literal {
		n--
	}
	for i := range n {
		args.add(&m.Tokens[i])
	}
	if !literal {
		return wire.Status{}, true
	}
	data := cmd.Data > 0 && args.n >= cmd.Data
	if args.depth == 0 {
		args.n++
	}
	limits := &s.opts.Limits
	switch {
	case data && s.largest >= 0 && t.Size > s.largest:
		return no("TOOBIG", fmt.Sprintf("Message is larger than the limit of %d octets", s.largest)), false
	case data && t.Binary && args.depth == 0 && !s.peers.Real.Has(imap.CapBinary):
		return no("UNKNOWN-CTE", "The mail server cannot store binary content"), false
	case !data && t.Size > limits.Literal:
		return bad("TOOBIG", fmt.Sprintf("Literal is larger than the limit of %d octets", limits.Literal)), false
	}
	return wire.Status{}, true
}
