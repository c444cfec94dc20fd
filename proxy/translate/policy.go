package translate

import (
	"slices"
	"time"

	"github.com/emersion/go-imap/v2"
)

// Policy is the part of the configuration's policy block that decides what is understood, offered and
// passed. The zero value is not usable: see [DefaultPolicy]. It is never changed once it is in use.
type Policy struct {
	XGWMove            XGWMove            // xgwmove: off | accept | announce
	Move               Move               // move: auto | off
	MoveWithoutUIDPlus MoveWithoutUIDPlus // move_without_uidplus: off | dance | expunge-if-alone
	PassCommands       []string           // commands outside the command table that pass as they are; upper case

	// Polyfills are the translations that may add to what the backend can do, by [Translation.Name].
	// polyfills: auto | off | [names]
	Polyfills Choice
	// Remove and Add are capabilities that clients are not told of whoever has them, and capabilities that
	// are offered only on demand. capabilities: {remove: [...], add: [...]}
	Remove, Add []imap.Cap
	// Quirks are the misbehaviours of servers and clients that are worked around, by [Quirk] name; Auto
	// finds them by what the backend says of itself. quirks: auto | off | [names]
	Quirks Choice
	// ID says who answers the command ID after login. id: local | merge
	ID IDMode
	// IdlePoll is how often a backend without IDLE is asked for news while a client idles. idle_poll: 60s
	IdlePoll time.Duration
	// SpecialUse names the mailboxes of special use where the backend does not: attribute, as \Sent, to
	// name as clients see it. special_use: {sent: "Sent Items"}
	SpecialUse map[imap.MailboxAttr]string
	// Names maps the backend's mailbox names to others. mailbox_map: {prefix: "INBOX.", separator: "."}
	Names NameMap
}

// A Choice is auto, off, or a list of names.
type Choice struct {
	Auto  bool
	Names []string
}

// Has reports whether name is chosen; with Auto all are.
func (c Choice) Has(name string) bool { return c.Auto || slices.Contains(c.Names, name) }

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
	MoveAuto Move = "auto" // emulated where it is safe
	MoveOff  Move = "off"  // never emulated
)

// MoveWithoutUIDPlus says how MOVE is emulated in front of a backend that cannot expunge by UID.
type MoveWithoutUIDPlus string

// The values of the policy move_without_uidplus.
const (
	MoveNever   MoveWithoutUIDPlus = "off"              // it is not
	MoveDance   MoveWithoutUIDPlus = "dance"            // others' marks are taken away for the EXPUNGE and set again
	MoveIfAlone MoveWithoutUIDPlus = "expunge-if-alone" // only while nothing else is marked, else NO
)

// IDMode says who answers ID after login.
type IDMode string

// The values of the policy id.
const (
	IDLocal IDMode = "local" // the proxy, in its own name
	IDMerge IDMode = "merge" // the backend, and the proxy adds its own
)

// DefaultPolicy returns the policy of an empty configuration.
func DefaultPolicy() Policy {
	return Policy{
		XGWMove:            XGWMoveAnnounce,
		Move:               MoveAuto,
		MoveWithoutUIDPlus: MoveNever,
		Polyfills:          Choice{Auto: true},
		Quirks:             Choice{Auto: true},
		ID:                 IDLocal,
		IdlePoll:           time.Minute,
	}
}
