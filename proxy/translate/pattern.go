package translate

import "strings"

// maxMatchSteps bounds the work of one command on matching names with patterns. Names that are left after
// it match nothing.
const maxMatchSteps = 20_000_000

// A matcher matches mailbox names with patterns (RFC 3501 section 6.3.8), for names that no backend can
// be asked about because they do not exist.
type matcher struct {
	delim string
	steps int // done so far
}

// match reports whether name matches: "*" stands for anything, "%" for anything without the delimiter.
//
// On a mismatch the last "%" takes one octet more, or else the last "*" does. No earlier one has to be
// tried: what a later one could take instead is the same, or longer.
func (w *matcher) match(pattern, name string) bool {
	p, n := 0, 0
	star, starred := -1, 0   // place of the last "*", and where in name its share ends
	percent, shared := -1, 0 // the same of the last "%" behind it
	for n < len(name) {
		if w.steps++; w.steps > maxMatchSteps {
			return false
		}
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, starred, percent = p, n, -1
			p++
		case p < len(pattern) && pattern[p] == '%':
			percent, shared = p, n
			p++
		case p < len(pattern) && pattern[p] == name[n]:
			p, n = p+1, n+1
		case percent >= 0 && (w.delim == "" || !strings.HasPrefix(name[shared:], w.delim)):
			shared++
			p, n = percent+1, shared
		case star >= 0:
			starred++
			p, n, percent = star+1, starred, -1
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*%") == ""
}
