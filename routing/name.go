package routing

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Normalise returns the form of a user name in which names are compared: each character in lower
// case by Unicode's simple mapping, which never depends on its neighbours. Nothing is trimmed, and
// octets that are not UTF-8 stay as they are, so that two such names never become one.
func Normalise(user string) string {
	if !changes(user) {
		return user
	}
	var b strings.Builder
	b.Grow(len(user))
	for i := 0; i < len(user); {
		r, n := utf8.DecodeRuneInString(user[i:])
		if r == utf8.RuneError && n == 1 {
			b.WriteByte(user[i])
		} else {
			b.WriteRune(unicode.ToLower(r))
		}
		i += n
	}
	return b.String()
}

func changes(user string) bool {
	for _, r := range user {
		if unicode.ToLower(r) != r {
			return true
		}
	}
	return false
}

// WithDomain normalises a user name and, where it has no "@" and is not empty, appends "@" and the
// domain. An empty domain is not appended. The domain is normalised too.
func WithDomain(user, domain string) string {
	user = Normalise(user)
	if domain == "" || user == "" || strings.Contains(user, "@") {
		return user
	}
	return user + "@" + Normalise(domain)
}
