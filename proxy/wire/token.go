package wire

import (
	"bytes"
	"strings"
)

// A Kind says what a Token is.
type Kind uint8

// The kinds of token in a command's arguments or a response's data.
const (
	Atom    Kind = iota + 1 // characters that stand without quotes: an atom, number, set, flag or section
	Quoted                  // a quoted string; Text is what stands between the quotes, escapes in place
	Literal                 // {n}, {n+} or ~{n}; Text is its content where somebody holds it, else nil
	Open                    // (
	Close                   // )
)

// A Token is one element of a message. Text points into a reader's buffer and is valid until the
// reader's next call, unless the token was made by a constructor of this package or came from
// [Commands.Collect].
type Token struct {
	Kind    Kind
	Glued   bool  // no space stands before it, as before the last part of BODY[HEADER.FIELDS (TO)]<0.9>
	NonSync bool  // a literal's {n+} (RFC 7888)
	Binary  bool  // a literal's ~{n} (RFC 3516)
	Size    int64 // a literal's length in octets
	Text    []byte
}

// Word returns an Atom token. text must consist of characters that may stand in an atom, a set, a
// flag or a section; the Writer refuses anything else.
func Word(text string) Token { return Token{Kind: Atom, Text: []byte(text)} }

// String returns text as a quoted string where the grammar allows one (7-bit, no CR, LF or NUL, at
// most 1000 octets), else as a literal.
func String(text string) Token {
	if !quotable(text) {
		return Token{Kind: Literal, Size: int64(len(text)), Text: []byte(text)}
	}
	return Token{Kind: Quoted, Text: appendEscaped(nil, text)}
}

// UTF8String is String for a client that takes UTF-8 in quoted strings (RFC 6855 section 3). text is valid
// UTF-8.
func UTF8String(text string) Token {
	if len(text) > maxQuoted || strings.ContainsAny(text, "\r\n\x00") {
		return Token{Kind: Literal, Size: int64(len(text)), Text: []byte(text)}
	}
	return Token{Kind: Quoted, Text: appendEscaped(nil, text)}
}

// List returns tokens with parentheses around them.
func List(tokens ...Token) []Token {
	list := make([]Token, 0, len(tokens)+2)
	list = append(list, Token{Kind: Open})
	list = append(list, tokens...)
	return append(list, Token{Kind: Close})
}

// Is reports whether t is the atom word, in any case.
func (t Token) Is(word string) bool {
	return t.Kind == Atom && len(t.Text) == len(word) && equalFold(t.Text, word)
}

// IsString reports whether t can be an astring (RFC 3501 section 9): atom, quoted string or literal.
func (t Token) IsString() bool { return t.Kind == Atom || t.Kind == Quoted || t.Kind == Literal }

// Value returns what t stands for: an atom itself, a quoted string without its escapes, the content
// of a literal that is held.
func (t Token) Value() string {
	if t.Kind != Quoted || bytes.IndexByte(t.Text, '\\') < 0 {
		return string(t.Text)
	}
	var b strings.Builder
	for i := 0; i < len(t.Text); i++ {
		if t.Text[i] == '\\' && i+1 < len(t.Text) {
			i++
		}
		b.WriteByte(t.Text[i])
	}
	return b.String()
}

// Number returns t as a number of at most 32 bits (RFC 3501 section 9, number).
func (t Token) Number() (uint32, bool) {
	if t.Kind != Atom {
		return 0, false
	}
	n, ok := parseNumber(t.Text, 1<<32-1)
	return uint32(n), ok
}

// Clone returns t with its own copy of Text.
func (t Token) Clone() Token {
	t.Text = bytes.Clone(t.Text)
	return t
}

const maxQuoted = 1000

func quotable(s string) bool {
	if len(s) > maxQuoted {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

func appendEscaped(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if s[i] == '"' || s[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return b
}

// parseNumber reads decimal digits without overflow; leading zeros are allowed, as servers send them.
func parseNumber(b []byte, max uint64) (uint64, bool) {
	if len(b) == 0 || len(b) > 20 {
		return 0, false
	}
	var n uint64
	for _, c := range b {
		if c < '0' || c > '9' || n > (max-uint64(c-'0'))/10 {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return n, true
}

// equalFold compares ASCII text of equal length; word is in upper or lower case.
func equalFold(b []byte, word string) bool {
	for i := range b {
		if upper(b[i]) != upper(word[i]) {
			return false
		}
	}
	return true
}

func upper(c byte) byte {
	if 'a' <= c && c <= 'z' {
		return c - 'a' + 'A'
	}
	return c
}
