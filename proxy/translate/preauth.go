package translate

import (
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"
)

// PreauthOptions is what a connection can do before login.
type PreauthOptions struct {
	StartTLS      bool     // STARTTLS would be taken
	LoginDisabled bool     // passwords would be refused
	Mechanisms    []string // SASL mechanisms in the order in which they are offered: "PLAIN"
	Policy        Policy   // what counts before login
	// Sessions is what is offered in every session that can follow; nil while that is not known.
	Sessions []imap.Cap
	// Withheld is what some session that can follow is not offered although it stands in every other one: it
	// is taken before login, but clients that remember this list are not told of it.
	Withheld []imap.Cap
}

// Preauth returns what is offered before login: what the proxy keeps itself, and behind it what every
// session that can follow has too, because there are clients that look nowhere else. IMAP4rev1 and
// LOGINDISABLED cannot be removed: without them the list would not be true.
func Preauth(o PreauthOptions) []imap.Cap {
	list := []imap.Cap{imap.CapIMAP4rev1}
	add := func(c imap.Cap) {
		if !o.Policy.Removes(c) && !slices.Contains(o.Withheld, c) && !slices.Contains(list, c) {
			list = append(list, c)
		}
	}
	add(imap.CapLiteralPlus)
	if o.Policy.literalMinus() {
		add(imap.CapLiteralMinus)
	}
	add(imap.CapID)
	add(imap.CapSASLIR)
	if o.StartTLS {
		add(imap.CapStartTLS)
	}
	if o.LoginDisabled {
		list = append(list, imap.CapLoginDisabled)
	}
	for _, m := range o.Mechanisms {
		add(imap.AuthCap(m))
	}
	for _, c := range o.Sessions {
		if c == imap.CapLiteralMinus && slices.Contains(list, imap.CapLiteralPlus) {
			continue // RFC 7888 section 5 forbids both together
		}
		if !onlyInSessions(c) {
			add(c)
		}
	}
	return list
}

// sessionOnly are capabilities that are not announced before login though every session may have them,
// because clients act on them at once. Names that end in "=" are families.
var sessionOnly = [...]string{
	"COMPRESS=",     // compression that begins before the password tells its length (RFC 4978 section 4)
	"XGWEXTENSIONS", // its clients send the command of that name as soon as they see it
}

func onlyInSessions(c imap.Cap) bool {
	return slices.ContainsFunc(sessionOnly[:], func(name string) bool {
		return strings.EqualFold(string(c), name) || strings.HasSuffix(name, "=") && strings.HasPrefix(strings.ToUpper(string(c)), name)
	})
}

// Common returns those of a that stand in b too, in the order of a.
func Common(a, b []imap.Cap) []imap.Cap {
	common := []imap.Cap{}
	for _, c := range a {
		if slices.Contains(b, c) {
			common = append(common, c)
		}
	}
	return common
}
