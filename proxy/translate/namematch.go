package translate

import "strings"

// matches reports whether a name matches a pattern of LIST (RFC 3501 section 6.3.8): "*" stands for any
// characters, "%" for any but the separator, of which there may be none: separator is empty then. Its
// time is at most the product of both lengths; all that is compared is bounded.
func matches(pattern, name, separator string) bool {
	states := startStates(pattern)
	for i := range len(name) {
		if !states.step(pattern, name[i], separator) {
			return false
		}
	}
	return states[len(pattern)]
}

// matchesInbox is matches for INBOX, whose case means nothing.
func matchesInbox(pattern string) bool {
	upper := strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' {
			r -= 'a' - 'A'
		}
		return r
	}, pattern)
	return matches(upper, "INBOX", "")
}

// mayBegin reports whether something matches a pattern that begins with beginning.
func mayBegin(pattern, beginning, separator string) bool {
	states := startStates(pattern)
	for i := range len(beginning) {
		if !states.step(pattern, beginning[i], separator) {
			return false
		}
	}
	return true
}

// matchStates says for each place in a pattern whether what was read so far can lead there.
type matchStates []bool

func startStates(pattern string) matchStates {
	s := make(matchStates, len(pattern)+1)
	s[0] = true
	s.skipWildcards(pattern)
	return s
}

// skipWildcards lets wildcards stand for nothing.
func (s matchStates) skipWildcards(pattern string) {
	for i := range len(pattern) {
		if s[i] && (pattern[i] == '*' || pattern[i] == '%') {
			s[i+1] = true
		}
	}
}

// step reads one octet; false where nothing can match any more.
func (s matchStates) step(pattern string, c byte, separator string) bool {
	some := false
	before := false // of the place i-1, as it was
	for i := range s {
		here := s[i]
		s[i] = before && pattern[i-1] == c && c != '*' && c != '%' ||
			here && i < len(pattern) && (pattern[i] == '*' || pattern[i] == '%' && (separator == "" || c != separator[0]))
		before = here
		some = some || s[i]
	}
	s.skipWildcards(pattern)
	return some
}
