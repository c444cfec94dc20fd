package wire

import (
	"bytes"
	"math"
)

// maxDepth bounds the nesting of parentheses (RFC 9051 sets none; ENVELOPE and BODYSTRUCTURE of real
// mail stay far below).
const maxDepth = 64

// class says what an octet may be outside quoted strings.
type class uint8

const (
	classAtom class = iota
	classSpace
	classOpen
	classClose
	classQuote
	classBrace
	classCtl
	classHigh
)

var classes = func() (t [256]class) {
	for c := range t {
		switch {
		case c == ' ':
			t[c] = classSpace
		case c == '(':
			t[c] = classOpen
		case c == ')':
			t[c] = classClose
		case c == '"':
			t[c] = classQuote
		case c == '{':
			t[c] = classBrace
		case c < ' ' || c == 0x7f:
			t[c] = classCtl
		case c >= 0x80:
			t[c] = classHigh
		}
	}
	return t
}()

// A lexer splits one line, without its line end, into tokens. depth carries the open parentheses over
// from one line of a message to the next.
type lexer struct {
	line    []byte
	at      int
	depth   int
	lenient bool // a backend's line: any escape in a quoted string, 8-bit and odd characters in atoms
}

// tokens appends the line's tokens to dst.
func (x *lexer) tokens(dst []Token) ([]Token, *Fault) { return x.some(dst, math.MaxInt) }

// maxWithin is how many tokens within one list some gives beyond what it was asked for.
const maxWithin = 1 << 12

// some appends tokens to dst until there are max of them, and then up to the next space outside lists.
func (x *lexer) some(dst []Token, max int) ([]Token, *Fault) {
	glued := true
	for x.at < len(x.line) {
		if x.line[x.at] == ' ' {
			glued = false
			x.at++
			continue
		}
		if len(dst) >= max && (x.depth == 0 && !glued || len(dst)-maxWithin > max) {
			if x.depth > 0 || glued {
				return dst, faultLength
			}
			x.at-- // the space is the next part's
			break
		}
		t, fault := x.token()
		if fault != nil {
			return dst, fault
		}
		t.Glued = glued
		dst = append(dst, t)
		glued = true
	}
	return dst, nil
}

func (x *lexer) token() (Token, *Fault) {
	switch classes[x.line[x.at]] {
	case classOpen:
		x.at++
		if x.depth++; x.depth > maxDepth {
			return Token{}, faultNesting
		}
		return Token{Kind: Open}, nil
	case classClose:
		x.at++
		if x.depth--; x.depth < 0 {
			return Token{}, faultParen
		}
		return Token{Kind: Close}, nil
	case classQuote:
		return x.quoted()
	case classBrace:
		return x.literal()
	}
	if x.line[x.at] == '~' && x.at+1 < len(x.line) && x.line[x.at+1] == '{' {
		return x.literal()
	}
	return x.atom()
}

func (x *lexer) atom() (Token, *Fault) {
	from := x.at
loop:
	for ; x.at < len(x.line); x.at++ {
		switch classes[x.line[x.at]] {
		case classAtom:
		case classCtl, classHigh, classBrace:
			if !x.lenient {
				return Token{}, faultChar
			}
			if x.at > from && x.announces() {
				break loop
			}
		default:
			break loop
		}
	}
	return Token{Kind: Atom, Text: x.line[from:x.at]}, nil
}

// quoted reads a quoted string. 8-bit text is let through: what a client means by it is the backend's
// to judge (RFC 6855), and it cannot end the string.
func (x *lexer) quoted() (Token, *Fault) {
	from := x.at + 1
	for i := from; i < len(x.line); i++ {
		switch x.line[i] {
		case '"':
			x.at = i + 1
			return Token{Kind: Quoted, Text: x.line[from:i]}, nil
		case '\\':
			if i++; i == len(x.line) || !x.lenient && x.line[i] != '"' && x.line[i] != '\\' {
				return Token{}, faultQuote
			}
		}
	}
	return Token{}, faultQuote
}

// announces reports whether a backend's line ends here in a literal's announcement, glued to an atom
// though it is: to take mail for responses would be worse than to take a response for mail.
func (x *lexer) announces() bool {
	if x.line[x.at] != '{' || x.line[len(x.line)-1] != '}' {
		return false
	}
	t, ok := parseLiteral(x.line[x.at:])
	return ok && !t.NonSync
}

// literal reads {n}, {n+}, ~{n} or ~{n+}, which must be the line's end. A server never sends {n+} (RFC
// 9051 section 4.3), so there it is text.
func (x *lexer) literal() (Token, *Fault) {
	t, ok := parseLiteral(x.line[x.at:])
	if !ok || x.lenient && t.NonSync {
		if x.lenient {
			return x.atom()
		}
		return Token{}, faultLiteral
	}
	x.at = len(x.line)
	return t, nil
}

// parseLiteral reads b, all of it, as a literal's announcement.
func parseLiteral(b []byte) (Token, bool) {
	t := Token{Kind: Literal}
	b, t.Binary = bytes.CutPrefix(b, []byte("~"))
	b, open := bytes.CutPrefix(b, []byte("{"))
	b, closed := bytes.CutSuffix(b, []byte("}"))
	b, t.NonSync = bytes.CutSuffix(b, []byte("+"))
	n, ok := parseNumber(b, 1<<63-1)
	t.Size = int64(n)
	return t, open && closed && ok
}

// trailingLiteral finds a literal's announcement at the end of a line that may be faulty elsewhere:
// RFC 7888 section 3 demands that the end of every line is looked at. q is the state at the line's
// beginning.
func trailingLiteral(line []byte, q quotes) (Token, bool) {
	if len(line) < 3 || line[len(line)-1] != '}' {
		return Token{}, false
	}
	from := bytes.LastIndexByte(line, '{')
	if from < 0 || q.after(line[:from]) != outside {
		return Token{}, false
	}
	if from > 0 && line[from-1] == '~' {
		from--
	}
	return parseLiteral(line[from:])
}

// quotes is where a scan stands with regard to quoted strings, so that a line can be scanned in pieces.
type quotes uint8

const (
	outside quotes = iota
	within
	escaped // within a quoted string, behind a backslash that escapes the next octet
)

// after returns the state behind b.
func (q quotes) after(b []byte) quotes {
	if q == escaped && len(b) > 0 {
		q, b = within, b[1:]
	}
	for len(b) > 0 {
		i := bytes.IndexByte(b, '"')
		switch {
		case i < 0 && q == outside:
			return outside
		case i < 0 && endsInEscape(b):
			return escaped
		case i < 0:
			return within
		case q == outside:
			q = within
		case !endsInEscape(b[:i]):
			q = outside
		}
		b = b[i+1:]
	}
	return q
}

// endsInEscape reports whether the octet behind b is escaped; b begins inside a quoted string and holds
// no quote that ends it.
func endsInEscape(b []byte) bool {
	n := len(b)
	for n > 0 && b[n-1] == '\\' {
		n--
	}
	return (len(b)-n)%2 == 1
}
