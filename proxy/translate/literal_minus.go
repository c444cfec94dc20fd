package translate

import (
	"slices"

	"github.com/emersion/go-imap/v2"
)

// literalMinus promises LITERAL- (RFC 7888 section 5) in place of LITERAL+, where the policy wants it so.
// The reader of commands keeps the promise.
func literalMinus() *Translation {
	return &Translation{
		Name:   "literal-minus",
		Offers: func(Peers) []imap.Cap { return []imap.Cap{imap.CapLiteralMinus} },
		Takes:  func(p Peers) bool { return p.Policy.literalMinus() },
	}
}

// literalMinus reports whether LITERAL- stands in place of LITERAL+. Never do both: LITERAL+ wins.
func (p Policy) literalMinus() bool {
	return slices.Contains(p.Add, imap.CapLiteralMinus) && p.Removes(imap.CapLiteralPlus)
}
