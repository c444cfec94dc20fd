package translate

import (
	"bytes"
	"strings"

	"github.com/imapgate/imapgate/proxy/wire"
)

// A role is what a token of a FETCH response is in the list of items and their values (RFC 3501 section
// 7.4.2).
type role uint8

const (
	framing   role = iota // the list's own parentheses
	itemName              // the name of an item, or its first part: "BODY[HEADER.FIELDS"
	itemRest              // what belongs to the name: "(TO)" and "]<0>"
	itemValue             // its value, or the first token of it
	valueRest             // what belongs to the value
)

// A fetchWalk tells the tokens of one FETCH response apart, over all of its lines.
type fetchWalk struct {
	depth  int
	naming bool // within the brackets of a name
	value  bool // the next token begins a value
}

func (w *fetchWalk) next(t *wire.Token) role {
	outer := w.depth
	switch t.Kind {
	case wire.Open:
		w.depth++
	case wire.Close:
		w.depth--
	}
	switch {
	case outer == 0 || w.depth == 0:
		return framing
	case w.naming:
		if t.Kind == wire.Atom && bytes.IndexByte(t.Text, ']') >= 0 {
			w.naming, w.value = false, true
		}
		return itemRest
	case outer > 1 || w.depth > 1 && !w.value:
		return valueRest
	case w.value:
		w.value = false
		return itemValue
	}
	w.naming = bytes.IndexByte(t.Text, '[') >= 0 && bytes.IndexByte(t.Text, ']') < 0
	w.value = !w.naming
	return itemName
}

// A section is an item with a part number: BINARY.PEEK[1.2]<0.100>.
type section struct {
	name   string // upper case: "BINARY.PEEK"
	part   string // "1.2"
	offset int64  // -1 without <...>
	length int64
}

// parseSection reads an item whose section is a part number or empty.
func parseSection(text []byte) (s section, ok bool) {
	name, rest, found := strings.Cut(string(text), "[")
	if !found {
		return s, false
	}
	part, partial, found := strings.Cut(rest, "]")
	s = section{name: strings.ToUpper(name), part: part, offset: -1}
	if !found || !isPart(part) {
		return s, false
	}
	if partial == "" {
		return s, true
	}
	inner, opened := strings.CutPrefix(partial, "<")
	inner, closed := strings.CutSuffix(inner, ">")
	from, length, two := strings.Cut(inner, ".")
	offset, ok1 := number64(from)
	s.offset = offset
	s.length, ok = number64(length)
	return s, opened && closed && two && ok && ok1 && s.length > 0
}

// isPart reports whether text is a part number (RFC 3501 section 6.4.5) of at most 20 levels, or empty.
func isPart(text string) bool {
	if text == "" {
		return true
	}
	parts := strings.Split(text, ".")
	for _, p := range parts {
		if n, ok := number64(p); !ok || n == 0 {
			return false
		}
	}
	return len(parts) <= 20
}

// number64 reads a number of RFC 9051: at most 63 bits.
func number64(text string) (int64, bool) {
	n := int64(0)
	for i := range len(text) {
		d := int64(text[i]) - '0'
		if d < 0 || d > 9 || n > (1<<63-1-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	return n, text != ""
}
