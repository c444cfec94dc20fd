package wire

import "bytes"

// PassFetches passes the FETCH responses behind the one that was passed last, as far as they are buffered
// whole and hold no literal and nothing to repair, as Next and Pass would do one by one. A list of flags is
// hundreds of thousands of them.
func (r *Responses) PassFetches() {
	for !r.inside {
		n := plainFetch(r.b[r.r:r.w])
		if n == 0 {
			return
		}
		r.r += n
	}
}

// plainFetch is how many octets the FETCH response has that b begins with; 0 where it is anything else, or
// where a closer look is needed.
func plainFetch(b []byte) int {
	const name, maxDigits = " FETCH (", 9
	if len(b) < len("* 1 FETCH (") || b[0] != '*' || b[1] != ' ' || b[2] < '1' || b[2] > '9' {
		return 0
	}
	at := 3
	for at < 2+maxDigits && '0' <= b[at] && b[at] <= '9' {
		at++
	}
	if len(b) < at+len(name) || string(b[at:at+len(name)]) != name {
		return 0
	}
	at += len(name)
	lf := bytes.IndexByte(b[at:], '\n') // first, so that no more than this line is ever searched for CR
	if lf < 1 || b[at+lf-2] == '}' || bytes.IndexByte(b[at:at+lf], '\r') != lf-1 {
		return 0
	}
	return at + lf + 1
}
