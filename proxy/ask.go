package proxy

import (
	"errors"

	"github.com/imapgate/imapgate/proxy/translate"
	"github.com/imapgate/imapgate/proxy/wire"
)

// ask lets a translation decide. A line that does not parse inside is none that it asked for.
func (s *session) ask(sink translate.Sink, m *wire.Message) (pass bool, err error) {
	if m.Name == "SEARCH" && !s.edited {
		if err := s.askParts(sink, m); err != nil {
			return false, err
		}
	}
	if err := s.holdWhole(m, everyLiteral); err != nil {
		_, odd := errors.AsType[*wire.Fault](err)
		switch {
		case !odd:
			return false, err
		case s.edited: // a part of it is read already
			s.violation("syntax")
			return false, s.b.In.Skip()
		}
	}
	switch verdict, err := sink(m); {
	case err != nil:
		return false, err
	case verdict == translate.Drop:
		s.note(m)
		return false, s.b.In.Skip()
	case verdict == translate.Changed:
		s.edited = true
	}
	return true, nil
}

// partTokens is how many numbers of a SEARCH response a translation sees at once.
const partTokens = 1 << 10

// askParts shows a SEARCH response to a translation as several, because its line may have as many numbers
// as the mailbox has messages. The last of them is left in m, to be asked as any other response.
func (s *session) askParts(sink translate.Sink, m *wire.Message) error {
	for parts := 0; ; parts++ {
		more, err := s.b.In.LoadPart(m, partTokens)
		if fault, odd := errors.AsType[*wire.Fault](err); odd && parts > 0 {
			return &wire.Desync{Text: "SEARCH response: " + fault.Text}
		} else if odd {
			return nil
		}
		if err != nil {
			return err
		}
		s.edited = parts > 0
		if !more {
			return nil
		}
		switch verdict, err := sink(m); {
		case err != nil:
			return err
		case verdict == translate.Drop:
			continue
		}
		if err := s.b.In.Settle(); err != nil {
			return err
		}
		s.out.Begin()
		s.out.Message(m)
		if err := s.out.End(); err != nil {
			return err
		}
	}
}

// note keeps the ledger right for what the client does not see.
func (s *session) note(m *wire.Message) {
	switch m.Name {
	case "EXISTS":
		s.ledger.exists(m.Num)
	case "EXPUNGE":
		s.ledger.expunged(1)
	case "VANISHED":
		if n, ok := translate.Vanished(m); ok {
			s.ledger.expunged(n)
		}
	}
}
