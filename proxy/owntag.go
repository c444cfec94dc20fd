package proxy

import "strconv"

// ownTag renders an entry's tag as the backend sees it: short, and never what a client would use by
// chance in free text.
func ownTag(dst []byte, own uint64) []byte {
	return strconv.AppendUint(append(dst, 'p'), own, 36)
}

// parseOwn is the inverse of ownTag.
func parseOwn(tag []byte) (uint64, bool) {
	if len(tag) < 2 || len(tag) > 14 || tag[0] != 'p' {
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

// A tagCounter renders tags one after the other. Most are the successor of the one before, of which but the last
// digit differs.
type tagCounter struct {
	own  uint64
	text []byte
}

// render returns the tag of an own number. It is valid until the next call.
func (t *tagCounter) render(own uint64) []byte {
	if own != t.own+1 || !t.count() {
		t.text = ownTag(t.text[:0], own)
	}
	t.own = own
	return t.text
}

// count makes the tag its successor, where only its last digit changes.
func (t *tagCounter) count() bool {
	if len(t.text) < 2 {
		return false
	}
	switch last := &t.text[len(t.text)-1]; *last {
	case 'z':
		return false
	case '9':
		*last = 'a'
	default:
		*last++
	}
	return true
}
