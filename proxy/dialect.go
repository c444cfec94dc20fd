package proxy

import (
	"errors"

	"github.com/imapgate/imapgate/proxy/translate"
	"github.com/imapgate/imapgate/proxy/wire"
)

// newDialect returns what has to be rewritten between sessions with these layers and their backend; nil for
// nothing.
func newDialect(stack *translate.Stack, peers *translate.Peers) *translate.Dialect {
	var rewrites []translate.Rewrite
	for _, t := range stack.Layers() {
		if t.Rewrite != nil {
			rewrites = append(rewrites, *t.Rewrite)
		}
	}
	if names := peers.Policy.Names; names.On() || stack.Has("utf8") {
		rewrites = append(rewrites, translate.Names(names))
	}
	rewrites = append(rewrites, translate.GroupWise(peers.Real)...)
	rewrites = append(rewrites, peers.Quirks.Rewrites...)
	return translate.NewDialect(rewrites...)
}

// hold reads a command's argument literals, up to message data, and returns the command as the backend is
// to have it. It is nil where the command was answered because it cannot pass.
func (s *session) hold(m *wire.Message, cmd *translate.Command) (up *wire.Message, err error) {
	if ok, err := s.holdArguments(m, cmd); !ok {
		return nil, err
	}
	up, err = s.dialect.Up(&s.memory, m)
	if refused, is := errors.AsType[*translate.Refused](err); is {
		return nil, s.reject(m, refused.Status)
	}
	return up, err
}

// holdArguments reads a command's argument literals, up to message data. ok is false where the command was
// answered because they cannot be held.
func (s *session) holdArguments(m *wire.Message, cmd *translate.Command) (ok bool, err error) {
	name := m.Name
	err = s.in.CollectUntil(m, s.opts.Limits.Literal, s.goOn, func(tokens []wire.Token) bool {
		var args argCount
		for i := range tokens[:len(tokens)-1] {
			args.add(&tokens[i])
		}
		return cmd.Data > 0 && args.n >= cmd.Data
	})
	if fault, is := errors.AsType[*wire.Fault](err); is {
		return false, s.reject(&wire.Message{Tag: m.Tag, Name: name}, bad(fault.Code, fault.Text))
	}
	return err == nil, err
}

// dialected lets the dialect change a response before anybody sees it. pass is false where it is gone.
func (s *session) dialected(m *wire.Message) (pass bool, err error) {
	if err := s.holdWhole(m, func(m *wire.Message) bool { return s.dialect.Reads(&s.memory, m) }); err != nil {
		_, odd := errors.AsType[*wire.Fault](err)
		switch {
		case !odd:
			return false, err
		case m.Name == "FETCH" && !s.edited:
			return true, nil
		}
		s.violation("syntax")
		return false, s.b.In.Skip()
	}
	verdict, err := s.dialect.Down(&s.memory, m)
	switch {
	case err != nil:
		return false, err
	case verdict == translate.Drop:
		return false, s.b.In.Skip()
	case verdict == translate.Changed:
		s.edited = true
	}
	return true, nil
}

// holdWhole loads a response with its literals as far as reads says so, unless it is a FETCH, of which
// only the first line is loaded: messages are never held.
func (s *session) holdWhole(m *wire.Message, reads func(*wire.Message) bool) error {
	if s.edited {
		return nil
	}
	if err := s.b.In.Load(m); err != nil {
		return err
	}
	if m.Name == "FETCH" {
		reads = s.shortLiterals()
	}
	if _, literal := m.Literal(); !literal || m.IsStatus() || !reads(m) {
		return nil
	}
	s.edited = true // also where what follows does not parse: a part is gone from the reader
	held, err := s.holdLiterals(m, reads)
	if err != nil {
		return err
	}
	*m = *held
	return nil
}

// shortLiterals says which literals of a FETCH are held: those that may be part of an ENVELOPE, where the
// dialect looks into it, and no more than can be held.
func (s *session) shortLiterals() func(*wire.Message) bool {
	n := 0
	return func(m *wire.Message) bool {
		t, _ := m.Literal()
		n++
		return n <= maxListLiterals && t.Size <= translate.MaxShort && s.dialect.Short()
	}
}

func everyLiteral(*wire.Message) bool { return true }

// load gives a response's tokens, unless they are there already.
func (s *session) load(m *wire.Message) error {
	if s.edited {
		return nil
	}
	return s.b.In.Load(m)
}

// pass moves a response on to the client: as it came, or as it was changed.
func (s *session) pass(m *wire.Message) error {
	switch {
	case !s.edited:
		return s.b.In.Pass()
	case m.IsStatus():
		return s.rewritten(m.Tag, m)
	}
	return s.replaceLine(m)
}
