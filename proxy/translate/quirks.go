package translate

import "github.com/emersion/go-imap/v2"

// A Server is what a backend says of itself.
type Server struct {
	Greeting string
	Caps     imap.CapSet // after login
}

// Quirks are the work-arounds that apply to one session. The zero value is none.
type Quirks struct {
	Names []string // of the quirks that apply, for texts
	Line  int      // octets of a command line that the backend takes; 0 for what every server takes
}

// FindQuirks returns the work-arounds for a server under a policy.
func FindQuirks(_ Choice, _ Server) Quirks { return Quirks{} }
