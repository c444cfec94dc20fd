package translate

import "github.com/emersion/go-imap/v2"

// CapCompress is offered where the session takes COMPRESS.
const CapCompress imap.Cap = "COMPRESS=DEFLATE"

// compress promises COMPRESS DEFLATE (RFC 4978) on any backend. The session keeps the promise: it ends the
// compression itself, because it reads the conversation, and the backend's side is not compressed.
func compress() *Translation {
	return &Translation{
		Name:     "compress",
		Polyfill: true,
		Offers:   func(Peers) []imap.Cap { return []imap.Cap{CapCompress} },
		Takes:    func(Peers) bool { return true },
	}
}
