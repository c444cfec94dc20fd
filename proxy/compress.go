package proxy

import (
	"errors"
	"slices"

	"github.com/imapgate/imapgate/proxy/translate"
	"github.com/imapgate/imapgate/proxy/wire"
)

// errEarly says that a client sent more behind COMPRESS before it was answered. That is not compressed,
// though the client, or whoever sent it, may want it to be taken for what is: nothing of it is executed.
var errEarly = errors.New("the client sent data behind COMPRESS before its answer")

// compress begins compression towards the client (RFC 4978). Its answer is the last that is not compressed,
// so all before it are answered first, and nobody writes between it and the compression.
func (s *session) compress(m *wire.Message, cmd *translate.Command) error {
	if !slices.Contains(s.stack.Caps(), translate.CapCompress) {
		return s.unknown(m)
	}
	if ok, err := s.collect(m); !ok {
		return err
	}
	if refusal, ok := s.mayCompress(m); !ok {
		s.srv.metrics.translated("compress", refusal.Type)
		return s.reject(m, refusal)
	}
	e, err := s.push(translated, m.Tag, cmd)
	if err == nil {
		err = s.before(e)
	}
	if err == nil && (s.in.Buffered() > 0 || s.conn.Ahead()) {
		s.pending.instead(e, bad("", "The answer to COMPRESS has to be waited for"))
		err = errEarly
	}
	if err != nil {
		s.srv.metrics.translated("compress", "failed")
		return err
	}
	return s.deflate(e)
}

// mayCompress takes the session a place among those that compress. ok is false where the command is refused.
func (s *session) mayCompress(m *wire.Message) (refusal wire.Status, ok bool) {
	switch {
	case len(m.Tokens) != 1 || !m.Tokens[0].Is("DEFLATE"):
		return bad("", "COMPRESS takes DEFLATE"), false
	case s.packed:
		return bad("", "Compression is active already"), false
	}
	most := int64(s.opts.Limits.Compressed)
	if n := s.srv.packed.Add(1); most > 0 && n > most {
		s.srv.packed.Add(-1)
		return no("LIMIT", "Too many connections are compressed"), false
	}
	s.packed = true
	return wire.Status{}, true
}

// unpacked gives the session's place back.
func (s *session) unpacked() {
	if s.packed {
		s.srv.packed.Add(-1)
	}
}

func (s *session) deflate(e *entry) error {
	s.out.Begin()
	s.out.Status(e.tag, ok("Compression begins"))
	err := s.out.Push()
	s.conn.Deflate()
	s.out.End()
	if err != nil {
		return err
	}
	s.srv.metrics.translated("compress", "ok")
	s.metrics.answered(e, "OK", s.pending.clock.reading())
	s.pending.mu.Lock()
	defer s.pending.mu.Unlock()
	s.pending.answered(e, s.writeHeld)
	return nil
}
