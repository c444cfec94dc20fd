package wire

import (
	"bytes"
	"strings"
)

// A Status is a status response (RFC 3501 section 7.1) in its parts: "OK [COPYUID 1 2 3] Done" has
// Type OK, Code COPYUID, Args "1 2 3" and Text "Done".
type Status struct {
	Type string // OK, NO, BAD, BYE, PREAUTH; empty for a continuation request
	Code string // upper case, without brackets; empty where there is none
	Args string // what follows the code within its brackets
	Text string // human-readable
}

// OK reports whether the status says that the command succeeded.
func (s Status) OK() bool { return s.Type == "OK" }

// String returns the status as it stands on the wire, without tag and CRLF.
func (s Status) String() string { return string(s.Append(nil)) }

// Append appends the status as it stands on the wire, without tag and CRLF. CR, LF and NUL become
// spaces, so that no text can become a line of its own; an empty text becomes the type, because RFC
// 3501 demands at least one character.
func (s Status) Append(b []byte) []byte {
	if s.Type != "" {
		b = append(b, s.Type...)
		b = append(b, ' ')
	}
	from := len(b)
	if s.Code != "" {
		b = append(b, '[')
		b = append(b, s.Code...)
		if s.Args != "" {
			b = append(b, ' ')
			b = append(b, s.Args...)
		}
		b = append(b, "] "...)
	}
	if s.Text == "" {
		b = append(b, s.Type...)
	}
	b = append(b, s.Text...)
	for i := from; i < len(b); i++ {
		if b[i] == '\r' || b[i] == '\n' || b[i] == 0 {
			b[i] = ' '
		}
	}
	return b
}

// ParseStatus splits the text of a status response. A code that does not end is text.
func ParseStatus(typ string, text []byte) Status {
	s := Status{Type: typ}
	code, rest := splitCode(text)
	if code != nil {
		name, args, _ := bytes.Cut(code, []byte(" "))
		s.Code, s.Args = strings.ToUpper(string(name)), string(args)
	}
	s.Text = string(rest)
	return s
}

// Code returns the upper-case name of the response code at the start of text without allocating for
// names that are known, and the text behind the code; "" and all of text where there is none.
func Code(text []byte) (name string, args, rest []byte) {
	code, rest := splitCode(text)
	if code == nil {
		return "", nil, rest
	}
	n, args, _ := bytes.Cut(code, []byte(" "))
	return intern(n), args, rest
}

// splitCode returns the inside of "[...]" at the start of text and what follows it. A "]" inside a
// quoted string does not end the code.
func splitCode(text []byte) (code, rest []byte) {
	if len(text) == 0 || text[0] != '[' {
		return nil, text
	}
	quoted := false
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case c == ']' && !quoted:
			return text[1:i], bytes.TrimPrefix(text[i+1:], []byte(" "))
		}
	}
	return nil, text
}

func isStatus(name string) bool {
	switch name {
	case "OK", "NO", "BAD", "BYE", "PREAUTH":
		return true
	}
	return false
}
