package proxy

import (
	"bytes"
	"errors"
	"slices"

	"github.com/imapgate/imapgate/proxy/translate"
	"github.com/imapgate/imapgate/proxy/wire"
)

// collect holds all arguments of a command that the proxy has to understand whole. ok is false where the
// command was answered because it cannot be.
func (s *session) collect(m *wire.Message) (ok bool, err error) {
	tag := slices.Clone(m.Tag)
	name := m.Name
	err = s.in.Collect(m, s.opts.Limits.Literal, s.goOn)
	var fault *wire.Fault
	if errors.As(err, &fault) {
		return false, s.reject(&wire.Message{Tag: tag, Name: name}, bad(fault.Code, fault.Text))
	}
	return err == nil, err
}

// capability answers CAPABILITY from the session's own list, which never changes (RFC 5161 section 3).
func (s *session) capability(m *wire.Message, cmd *translate.Command) error {
	if ok, err := s.bare(m); !ok {
		return err
	}
	return s.say(m.Tag, cmd, "* CAPABILITY "+s.stack.CapText())
}

// identify answers ID; what the client says of itself goes into the log.
func (s *session) identify(m *wire.Message, cmd *translate.Command) error {
	if ok, err := s.collect(m); !ok {
		return err
	}
	id, valid := translate.ParseID(m.Tokens)
	if !valid {
		return s.reject(m, bad("", translate.IDUsage))
	}
	s.noteClient(clientName(id))
	var lines bytes.Buffer
	w := wire.NewWriter(&lines)
	w.Begin()
	writeID(w, string(m.Tag), s.opts.Version)
	w.EndFlush()
	return s.answer(m.Tag, cmd, "OK", bytes.TrimSuffix(lines.Bytes(), []byte("\r\n")))
}

// logout answers LOGOUT when everything before it is answered (RFC 3501 section 6.1.3); the backend's
// connection is closed afterwards.
func (s *session) logout(m *wire.Message, cmd *translate.Command) error {
	if ok, err := s.bare(m); !ok {
		return err
	}
	if err := s.say(m.Tag, cmd, "* BYE Logging out"); err != nil {
		return err
	}
	if err := s.allAnswered(); err != nil {
		return err
	}
	return errLogout
}

// bare refuses arguments. ok is false where the command was answered.
func (s *session) bare(m *wire.Message) (ok bool, err error) {
	if len(m.Tokens) > 0 || !s.in.Complete() {
		return false, s.reject(m, bad("", m.Name+" takes no arguments"))
	}
	return true, nil
}

// say answers OK behind one untagged line.
func (s *session) say(tag []byte, cmd *translate.Command, line string) error {
	b := append([]byte(line), "\r\n"...)
	b = append(append(b, tag...), ' ')
	return s.answer(tag, cmd, "OK", ok(cmd.Name+" completed").Append(b))
}

// enable lets through what this session offers (RFC 5161). What is left out is simply not enabled.
func (s *session) enable(m *wire.Message, cmd *translate.Command) error {
	if ok, err := s.collect(m); !ok {
		return err
	}
	if len(m.Tokens) == 0 {
		return s.reject(m, bad("", "ENABLE takes at least one capability"))
	}
	m.Tokens = translate.EnableFilter(m.Tokens, s.stack.Caps())
	if len(m.Tokens) == 0 {
		return s.say(m.Tag, cmd, "* ENABLED")
	}
	return s.forward(m, cmd)
}

// cancelUpdate ends searches that go on (RFC 5267 section 4.3.5). The backend knows them by our tags.
func (s *session) cancelUpdate(m *wire.Message, cmd *translate.Command) error {
	if ok, err := s.collect(m); !ok {
		return err
	}
	for i, t := range m.Tokens {
		own, known := s.updates.own(t.Value())
		if !known {
			return s.reject(m, bad("", "CANCELUPDATE of a tag that no search was given"))
		}
		m.Tokens[i] = wire.String(string(ownTag(nil, own)))
		m.Tokens[i].Glued = t.Glued
	}
	return s.forward(m, cmd)
}
