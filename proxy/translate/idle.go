package translate

import "github.com/emersion/go-imap/v2"

// idle promises IDLE (RFC 2177) where the backend has none. The session keeps the promise: it asks the
// backend for news by NOOP, see [Policy.IdlePoll].
func idle() *Translation {
	return &Translation{
		Name:     "idle",
		Polyfill: true,
		Offers:   func(Peers) []imap.Cap { return []imap.Cap{imap.CapIdle} },
		Takes:    func(p Peers) bool { return p.Lacks(imap.CapIdle) },
	}
}
