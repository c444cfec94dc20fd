package translate

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/emersion/go-imap/v2"
)

// appendLimit announces how large a message may be (RFC 7889 section 2), where anybody has a limit for all
// mailboxes: the smaller one of the backend's and the proxy's. The session keeps both: a larger message is
// refused before it is sent. A backend whose limits differ by mailbox tells them by STATUS, and that passes.
func appendLimit() *Translation {
	return &Translation{
		Name: "append-limit",
		Offers: func(p Peers) []imap.Cap {
			return []imap.Cap{imap.Cap(fmt.Sprintf("APPENDLIMIT=%d", p.AppendLimit()))}
		},
		Takes: func(p Peers) bool { return p.AppendLimit() >= 0 && !lists(p.Real, imap.CapAppendLimit) },
	}
}

// AppendLimit is how many octets a message may have that a client stores: what the backend announces for all
// mailboxes, or the proxy's own limit; -1 for no limit.
func (p Peers) AppendLimit() int64 {
	limit := int64(-1)
	if p.Append > 0 {
		limit = p.Append
	}
	for c := range p.Real {
		value, ok := strings.CutPrefix(string(c), "APPENDLIMIT=")
		if !ok {
			continue
		}
		if n, err := strconv.ParseUint(value, 10, 63); err == nil && (limit < 0 || int64(n) < limit) {
			limit = int64(n)
		}
	}
	return limit
}
