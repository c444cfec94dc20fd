package proxy

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/imapgate/imapgate/proxy/translate"
	"github.com/imapgate/imapgate/proxy/wire"
)

// maxHeader is how much of a message's header is held to see whether it is ASCII.
const maxHeader = 64 << 10

// A wrapped is the message data of UTF8 (~{n}) (RFC 6855 section 4) that becomes a plain literal, because
// the backend does not know the other.
type wrapped struct {
	open bool   // the literal was taken out of its list, of which the end is still to come
	head []byte // what was read of the literal already
}

// unwrap makes UTF8 (~{n}) at the end of a command's line {n} where the proxy keeps UTF8=ACCEPT, if the
// message's header is ASCII: without UTF8 the backend could not know what anything else there means. The
// client is asked for the header first, so that nothing of a refused message goes up. ok is false with a
// refusal.
func (s *session) unwrap(m *wire.Message, cmd *translate.Command) (refusal wire.Status, ok bool, err error) {
	if cmd.Data == 0 || !s.memory.UTF8() {
		return wire.Status{}, true, nil
	}
	if s.wrapped.open && len(m.Tokens) > 0 && m.Tokens[0].Kind == wire.Close {
		m.Tokens = m.Tokens[1:]
	}
	s.wrapped = wrapped{}
	n := len(m.Tokens)
	t, literal := m.Literal()
	if !literal || n < 3 || m.Tokens[n-2].Kind != wire.Open || !m.Tokens[n-3].Is("UTF8") {
		return wire.Status{}, true, nil
	}
	if !t.NonSync {
		if err := s.goOn(); err != nil {
			return wire.Status{}, false, err
		}
		s.in.Grant()
	}
	t.NonSync, t.Binary, t.Glued = true, false, false
	*m = *m.Clone() // reading on moves what its tokens point to
	m.Tokens = append(m.Tokens[:n-3], t)
	if s.wrapped.head, err = s.in.LiteralHead(maxHeader); err != nil {
		return wire.Status{}, false, err
	}
	s.wrapped.open = true
	header, whole := cutHeader(s.wrapped.head)
	switch {
	case !isASCII(header):
		return no("CANNOT", "The message's header is not ASCII, and the mail server takes no other"), false, nil
	case !whole && int64(len(header)) < t.Size:
		return no("TOOBIG", fmt.Sprintf("The message's header is longer than %d octets", maxHeader)), false, nil
	}
	return wire.Status{}, true, nil
}

// cutHeader returns what stands before the first empty line; whole is false where there is none.
func cutHeader(text []byte) (header []byte, whole bool) {
	for at := 0; at < len(text); {
		end := bytes.IndexByte(text[at:], '\n')
		if end < 0 {
			break
		}
		if end == 0 || end == 1 && text[at] == '\r' {
			return text[:at], true
		}
		at += end + 1
	}
	return text, false
}

func isASCII(text []byte) bool {
	return !slices.ContainsFunc(text, func(c byte) bool { return c == 0 || c >= 0x80 })
}
