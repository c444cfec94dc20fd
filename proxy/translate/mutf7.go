package translate

import (
	"encoding/base64"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// What stands for the parts of a backend's name that are not modified UTF-7 (RFC 3501 section 5.1.3).
// Shown as they are they could not be told from other mailboxes: &xx from &-xx, which is shown so.
const (
	oddAmpersand = '\uFFFD' // for "&" that begins nothing; what follows it stays as it is
	oddOctet     = '\uF700' // plus an octet of 0x80 and more
)

var utf7Encoding = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,").WithPadding(base64.NoPadding)

// fromUTF7 returns a name in UTF-8. Every sequence of octets has its own, and toUTF7 gives it back.
func fromUTF7(name string) string {
	if sameInUTF7(name) {
		return name
	}
	var b strings.Builder
	shifted := false // the character before came from a shift: another must not follow it
	for i := 0; i < len(name); {
		c := name[i]
		if c != '&' {
			if c < utf8.RuneSelf {
				b.WriteByte(c)
			} else {
				b.WriteRune(oddOctet + rune(c))
			}
			shifted = false
			i++
			continue
		}
		text, n := shift(name[i:])
		switch {
		case n == 2:
			b.WriteByte('&')
			shifted = false
		case n > 0 && !shifted:
			b.WriteString(text)
			shifted = true
		default:
			b.WriteRune(oddAmpersand)
			shifted, n = false, 1
		}
		i += n
	}
	return b.String()
}

// shift decodes the shift at the beginning of s, and returns its length; 0 where it is none in the one
// form that a text has.
func shift(s string) (text string, n int) {
	end := 1
	for end < len(s) && inBase64(s[end]) {
		end++
	}
	switch {
	case end == len(s) || s[end] != '-':
		return "", 0
	case end == 1:
		return "&", 2
	}
	octets, err := utf7Encoding.DecodeString(s[1:end])
	if err != nil || len(octets)%2 != 0 {
		return "", 0
	}
	units := make([]uint16, len(octets)/2)
	for i := range units {
		units[i] = uint16(octets[2*i])<<8 | uint16(octets[2*i+1])
	}
	runes := utf16.Decode(units)
	for _, r := range runes {
		if !shiftable(r) { // also for half a surrogate pair, which decodes as U+FFFD
			return "", 0
		}
	}
	text = string(runes)
	if string(appendShift(nil, text)) != s[:end+1] {
		return "", 0
	}
	return text, end + 1
}

// toUTF7 is the inverse of fromUTF7; false where no name has this text.
func toUTF7(text string) (string, bool) {
	if sameInUTF7(text) {
		return text, true
	}
	if !utf8.ValidString(text) {
		return "", false
	}
	name := encodeUTF7(text)
	return name, fromUTF7(name) == text
}

func encodeUTF7(text string) string {
	var b []byte
	from := -1 // where a run of characters begins that have to be shifted
	for i, r := range text {
		if shiftable(r) {
			if from < 0 {
				from = i
			}
			continue
		}
		if from >= 0 {
			b, from = appendShift(b, text[from:i]), -1
		}
		switch {
		case r == '&':
			b = append(b, "&-"...)
		case r == oddAmpersand:
			b = append(b, '&')
		case r >= utf8.RuneSelf:
			b = append(b, byte(r-oddOctet))
		default:
			b = append(b, byte(r))
		}
	}
	if from >= 0 {
		b = appendShift(b, text[from:])
	}
	return string(b)
}

func appendShift(b []byte, text string) []byte {
	units := utf16.Encode([]rune(text))
	octets := make([]byte, 0, 2*len(units))
	for _, u := range units {
		octets = append(octets, byte(u>>8), byte(u))
	}
	b = utf7Encoding.AppendEncode(append(b, '&'), octets)
	return append(b, '-')
}

// shiftable reports whether a character of UTF-8 stands in a shift.
func shiftable(r rune) bool {
	return r >= utf8.RuneSelf && r != oddAmpersand && (r < oddOctet+utf8.RuneSelf || r > oddOctet+0xff)
}

// inShift reports whether c may stand in a shift, its ends included.
func inShift(c byte) bool { return c == '&' || c == '-' || inBase64(c) }

func inBase64(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '+' || c == ','
}

// sameInUTF7 reports whether text is the same in both encodings.
func sameInUTF7(text string) bool {
	for i := range len(text) {
		if text[i] == '&' || text[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// patternToUTF7 returns a pattern that every name matches whose text matches this one, and whether no
// other name does. A wildcard may stand for a part of a shift, so what would share one with it is left to the
// wildcard.
func patternToUTF7(text string) (pattern string, exact bool) {
	exact = utf8.ValidString(text)
	runes := []rune(strings.ToValidUTF8(text, string(oddAmpersand)))
	wild := func(i int) bool { return i >= 0 && i < len(runes) && (runes[i] == '%' || runes[i] == '*') }
	var b strings.Builder
	seen := false // a wildcard stands before
	for i := 0; i < len(runes); {
		end := i
		for end < len(runes) && shiftable(runes[end]) {
			end++
		}
		switch {
		case end == i:
			end = i + 1
			if wild(i) {
				seen = true
				b.WriteRune(runes[i])
				break
			}
			if runes[i] >= utf8.RuneSelf || seen && inShift(byte(runes[i])) {
				exact = false
			}
			b.WriteString(encodeUTF7(string(runes[i])))
		case wild(i-1) || wild(end):
			exact = false // the wildcard stands for all of the run too
		default:
			exact = exact && !seen
			b.WriteString(encodeUTF7(string(runes[i:end])))
		}
		i = end
	}
	return b.String(), exact
}
