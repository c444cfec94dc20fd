package translate

// Policy is the part of the configuration's policy block that decides what is understood, offered and
// passed. The zero value is not usable: see [DefaultPolicy].
type Policy struct {
	XGWMove      XGWMove  // xgwmove: off | accept | announce
	Move         Move     // move: auto | off
	PassCommands []string // commands outside the command table that pass as they are; upper case
}

// XGWMove says what becomes of GroupWise's XGWEXTENSIONS and XGWMOVE.
type XGWMove string

// The values of the policy xgwmove.
const (
	XGWMoveOff      XGWMove = "off"      // the commands are unknown
	XGWMoveAccept   XGWMove = "accept"   // understood, but not announced
	XGWMoveAnnounce XGWMove = "announce" // understood, and XGWEXTENSIONS stands in the capability list
)

// Move says what becomes of MOVE in front of a backend without it.
type Move string

// The values of the policy move.
const (
	MoveAuto Move = "auto" // emulated where the backend has UIDPLUS
	MoveOff  Move = "off"  // never emulated: a backend without it answers BAD
)

// DefaultPolicy returns the policy of an empty configuration.
func DefaultPolicy() Policy {
	return Policy{XGWMove: XGWMoveAnnounce, Move: MoveAuto}
}
