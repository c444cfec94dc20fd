package wire

import "bytes"

// A Message is one command or one response. A reader fills it with the head and the tokens of one
// line; literals that the line announces follow it. Its slices point into the reader's buffer and
// are valid until the reader's next call.
type Message struct {
	// Tag is a command's or a tagged response's tag, "*" for untagged responses, "+" for
	// continuation requests. Commands of our own have none: the session gives them one.
	Tag []byte
	// Name is the command or response name in upper case. UID is joined with what follows it
	// ("UID FETCH"); a status response's name is its type ("OK").
	Name string
	// Num is the number in front of a name, as in "* 12 EXISTS"; 0 where there is none.
	Num uint32
	// Tokens are the arguments on the line that was read last; for a message that was built or
	// collected, all of them.
	Tokens []Token
	// Text is what follows the name of a status response or a continuation request.
	Text []byte
	// For is the tag that stands before a continuation request, where it should not; nil without one.
	For []byte
	// Odd says that a status response or a continuation request has not the head that it should have, so
	// that it must not pass as it is.
	Odd bool
}

// Command returns a command of our own, without a tag.
func Command(name string, args ...Token) *Message {
	return &Message{Name: name, Tokens: args}
}

// Data returns an untagged response "* name args". See [Numbered] for "* 3 EXPUNGE".
func Data(name string, args ...Token) *Message {
	return &Message{Tag: []byte("*"), Name: name, Tokens: args}
}

// Numbered returns an untagged response "* num name args".
func Numbered(num uint32, name string, args ...Token) *Message {
	return &Message{Tag: []byte("*"), Name: name, Num: num, Tokens: args}
}

// untagged is the tag of untagged responses. It is never written to.
var untagged = []byte("*")

// Untagged reports whether m is an untagged response.
func (m *Message) Untagged() bool { return len(m.Tag) == 1 && m.Tag[0] == '*' }

// Continuation reports whether m is a continuation request.
func (m *Message) Continuation() bool { return len(m.Tag) == 1 && m.Tag[0] == '+' }

// IsStatus reports whether the message's Name is OK, NO, BAD, BYE or PREAUTH without a number in
// front, so that Text holds free text (RFC 3501 section 7.1).
func (m *Message) IsStatus() bool { return m.Num == 0 && isStatus(m.Name) }

// Status returns a status response or a continuation request in its parts.
func (m *Message) Status() Status { return ParseStatus(m.Name, m.Text) }

// Literal returns the literal that the line read last announces at its end.
func (m *Message) Literal() (Token, bool) {
	if n := len(m.Tokens); n > 0 && m.Tokens[n-1].Kind == Literal && m.Tokens[n-1].Text == nil {
		return m.Tokens[n-1], true
	}
	return Token{}, false
}

// Clone returns a copy of m that outlives the reader's next call.
func (m *Message) Clone() *Message {
	c := &Message{Tag: bytes.Clone(m.Tag), Name: m.Name, Num: m.Num, Text: bytes.Clone(m.Text), For: bytes.Clone(m.For), Odd: m.Odd}
	c.Tokens = make([]Token, len(m.Tokens))
	for i, t := range m.Tokens {
		c.Tokens[i] = t.Clone()
	}
	return c
}

func (m *Message) reset() {
	if cap(m.Tokens) > 256 {
		m.Tokens = nil // one long line must not cost the session its memory for ever
	}
	m.Tag, m.Name, m.Num, m.Text, m.Tokens = nil, "", 0, nil, m.Tokens[:0]
	m.For, m.Odd = nil, false
}
