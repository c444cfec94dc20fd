package proxy

import "strconv"

// ownTag renders an entry's tag as the backend sees it: short, and never what a client would use by
// chance in free text.
func ownTag(dst []byte, own uint64) []byte {
	return strconv.AppendUint(append(dst, 'p'), own, 36)
}

// parseOwn is the inverse of ownTag: what else would read as the same number is nobody's tag. Numbers begin with 1.
func parseOwn(tag []byte) (uint64, bool) {
	if len(tag) < 2 || len(tag) > maxOwnTag || tag[0] != 'p' || tag[1] == '0' {
		return 0, false
	}
	if len(tag) == maxOwnTag && string(tag) > lastOwnTag {
		return 0, false
	}
	var n uint64
	for _, c := range tag[1:] {
		switch {
		case '0' <= c && c <= '9':
			n = n*36 + uint64(c-'0')
		case 'a' <= c && c <= 'z':
			n = n*36 + uint64(c-'a') + 10
		default:
			return 0, false
		}
	}
	return n, true
}

const (
	lastOwnTag = "p3w5e11264sgsf" // of the largest uint64
	maxOwnTag  = len(lastOwnTag)
)

// A tagCounter renders tags one after the other. Most are the successor of the one before, of which few digits
// differ.
type tagCounter struct {
	own  uint64
	n    int8
	text [maxOwnTag]byte // the first n octets
}

// render returns the tag of an own number. It is valid until the next call.
func (t *tagCounter) render(own uint64) []byte {
	if own != t.own+1 || !t.count() {
		t.n = int8(len(ownTag(t.text[:0], own)))
	}
	t.own = own
	return t.text[:t.n]
}

// count makes the tag its successor; false where that is longer.
func (t *tagCounter) count() bool {
	for i := t.n - 1; i > 0; i-- {
		switch digit := &t.text[i]; *digit {
		case 'z':
			*digit = '0'
			continue
		case '9':
			*digit = 'a'
		default:
			*digit++
		}
		return true
	}
	return false
}
