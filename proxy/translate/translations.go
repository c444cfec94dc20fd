package translate

import "github.com/imapgate/imapgate/proxy/wire"

// translations is the table of all, from the client's side to the backend's: each may use what those
// below it add.
var translations = []*Translation{
	rev2(),
	rev2Search(),
	rev2Select(),
	readOnlyClose(),
	unselect(),
	xgwExtensions(),
	xgwMove(),
	oldFetch(),
	binary(),
	aolMove(),
	xMove(),
	move(),
	remark(),
	gwMove(),
	moveOrder(),
	find(),
	rlist(),
	xlist(),
	listStatus(),
	rev2Status(),
	specialUse(),
	listExtended(),
	children(),
	namespace(),
	searchRes(),
	esearch(),
	within(),
	id(),
	utf8Accept(),
	enable(),
	inProgress(),
	literalMinus(),
	appendLimit(),
	compress(),
	idle(),
	listNames(),

	// Quirks of the backend, below all that is added to it.
	unseenNoop(),
	uidNext(),
	closed(),
	plainList(),
	readOnlyFetch(),
	chunk(),
}

// All returns every translation, from the client's side to the backend's. It is not to be changed.
func All() []*Translation { return translations }

func bad(text string) error {
	return &Refused{Status: wire.Status{Type: "BAD", Text: text}}
}

func no(code, text string) error {
	return &Refused{Status: wire.Status{Type: "NO", Code: code, Text: text}}
}

func completed(head string) wire.Status {
	return wire.Status{Type: "OK", Text: head + " completed"}
}
