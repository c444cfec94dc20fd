package routing

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxGlob bounds a pattern, in octets. No user name that a client may send is longer.
const maxGlob = 1024

// A Glob is a normalised pattern: "*" is any run of characters, also an empty one, "?" is one
// character (or one octet that is not UTF-8), anything else is itself. There is no escape.
type Glob string

// ParseGlob returns the glob of a pattern, or an error that says what is wrong with it: it is longer
// than 1024 octets, is not UTF-8 or has a control character in it. Case does not matter; see Normalise.
func ParseGlob(pattern string) (Glob, error) {
	switch {
	case len(pattern) > maxGlob:
		return "", errors.New("the pattern is longer than 1024 octets")
	case !utf8.ValidString(pattern):
		return "", errors.New("the pattern is not UTF-8")
	}
	for _, r := range pattern {
		if unicode.IsControl(r) {
			return "", errors.New("the pattern has a control character in it")
		}
	}
	return Glob(Normalise(pattern)), nil
}

// IsName reports whether the glob is a plain name: it has neither "*" nor "?" in it.
func (g Glob) IsName() bool { return !strings.ContainsAny(string(g), "*?") }

// Match reports whether a normalised name is matched whole. It goes back only to the last "*", so it
// takes at most len(g) * len(name) steps.
func (g Glob) Match(name string) bool {
	at, after, retry := 0, -1, 0 // after: behind the last "*"; retry: where in name its run ends
	for i := 0; i < len(name); {
		_, n := utf8.DecodeRuneInString(name[i:])
		switch {
		case at < len(g) && g[at] == '*':
			at++
			after, retry = at, i
		case at < len(g) && g[at] == '?':
			at++
			i += n
		case g.literal(at, name[i:i+n]):
			at += n
			i += n
		case after >= 0:
			_, n := utf8.DecodeRuneInString(name[retry:])
			retry += n
			at, i = after, retry
		default:
			return false
		}
	}
	for at < len(g) && g[at] == '*' {
		at++
	}
	return at == len(g)
}

// literal reports whether the character c of a name stands in the pattern. An octet that is not UTF-8
// cannot: without looking at what is around it, it might be taken for a part of one.
func (g Glob) literal(at int, c string) bool {
	return at+len(c) <= len(g) && string(g[at:at+len(c)]) == c && (len(c) > 1 || c[0] < utf8.RuneSelf)
}
