package translate

import "github.com/emersion/go-imap/v2"

const capInProgress imap.Cap = "INPROGRESS"

// inProgress promises that a client hears of every long command that is answered by commands of our own
// (RFC 9585). The session keeps the promise: see [Exchange.Progress].
func inProgress() *Translation {
	return &Translation{
		Name:     "inprogress",
		Polyfill: true,
		Offers:   func(Peers) []imap.Cap { return []imap.Cap{capInProgress} },
		Takes:    func(p Peers) bool { return p.Lacks(capInProgress) },
	}
}
