package translate

import (
	"strings"

	"github.com/imapgate/imapgate/proxy/wire"
)

// A nameKind says what stands in a place where mailbox names stand.
type nameKind uint8

const (
	aName      nameKind = iota // of one mailbox
	aTree                      // of a mailbox that stands for all below it too
	aSeparator                 // of a hierarchy; NIL for none
	aNamespace                 // what the names of a namespace begin with
)

// A nameSpot is a token that is a mailbox name, or a part of one.
type nameSpot struct {
	at   int
	kind nameKind
}

// A nameFinder finds the names in the arguments of a command or in the data of a response; false where
// they are not as the grammar has them.
type nameFinder func(tokens []wire.Token) ([]nameSpot, bool)

// commandNames says where the commands that pass have mailbox names; those that are not here have none,
// but for LIST, LSUB and XLIST, which have a reference and patterns. Quota roots are not mailbox names
// (RFC 9208 section 3.1.2): they are the backend's own and pass as they are, in both directions.
var commandNames = map[string]nameFinder{
	"SELECT":      inArguments(0),
	"EXAMINE":     inArguments(0),
	"CREATE":      inArguments(0), // parameters such as USE stand behind (RFC 6154)
	"DELETE":      inArguments(0),
	"RENAME":      inArguments(0, 1),
	"SUBSCRIBE":   inArguments(0),
	"UNSUBSCRIBE": inArguments(0),
	"STATUS":      inArguments(0),
	"APPEND":      inArguments(0),
	"COPY":        inArguments(1), "UID COPY": inArguments(1),
	"MOVE": inArguments(1), "UID MOVE": inArguments(1),
	"XMOVE": inArguments(1), "UID XMOVE": inArguments(1), "UID XAOL-MOVE": inArguments(1),
	"XGWMOVE": inArguments(1), "UID XGWMOVE": inArguments(1),
	"REPLACE": inArguments(1), "UID REPLACE": inArguments(1), // RFC 8508
	"SETACL": inArguments(0), "DELETEACL": inArguments(0), "GETACL": inArguments(0),
	"LISTRIGHTS": inArguments(0), "MYRIGHTS": inArguments(0),
	"GETQUOTAROOT": inArguments(0),
	"SETMETADATA":  inArguments(0), "GETMETADATA": firstString, // options before it or behind (RFC 5464)
	"NOTIFY":            inFilters, // RFC 5465 section 5
	"ESEARCH":           inSources, // RFC 7377 section 2.2
	"XAPPLEPUSHSERVICE": inKeyed("mailboxes"),
}

// responseNames says where responses have mailbox names. Human-readable text stays as it is.
var responseNames = map[string]nameFinder{
	"LIST": inEntry, "LSUB": inEntry, "XLIST": inEntry,
	"STATUS": inArguments(0),
	"ACL":    inArguments(0), "LISTRIGHTS": inArguments(0), "MYRIGHTS": inArguments(0),
	"QUOTAROOT":         inArguments(0),
	"METADATA":          inArguments(0),
	"ANNOTATION":        inArguments(0),
	"ESEARCH":           inCorrelator, // RFC 7377 section 2.1
	"NAMESPACE":         inNamespaces, // RFC 2342 section 5
	"XAPPLEPUSHSERVICE": inKeyed("mailbox"),
}

// namedFirst reports whether a response's name is the first thing in it, so that nothing behind it needs
// to be held.
func namedFirst(response string) bool {
	switch response {
	case "STATUS", "ACL", "LISTRIGHTS", "MYRIGHTS", "QUOTAROOT", "METADATA", "ANNOTATION":
		return true
	}
	return false
}

// unmappedWords are the items of FETCH, SEARCH and STORE that speak of mailboxes by name: Dovecot's and
// Gmail's. They are refused while names are mapped.
var unmappedWords = []string{"X-MAILBOX", "X-GM-LABELS"}

// An argument is the tokens [from, to) of a list with all in it, or of other tokens that are glued together.
type argument struct{ from, to int }

// arguments splits tokens at the spaces outside lists, and at lists that are glued to others, so that no
// name hides behind a space that is missing. A list that does not end is none.
func arguments(tokens []wire.Token) (args []argument) {
	depth := 0
	for i, t := range tokens {
		if depth == 0 && (i == 0 || !t.Glued || t.Kind == wire.Open || tokens[i-1].Kind == wire.Close) {
			args = append(args, argument{from: i})
		}
		switch t.Kind {
		case wire.Open:
			depth++
		case wire.Close:
			depth--
		}
		args[len(args)-1].to = i + 1
	}
	return args
}

// name reports whether the argument is a string alone.
func (a argument) name(tokens []wire.Token) bool {
	return a.to == a.from+1 && tokens[a.from].IsString()
}

func (a argument) list(tokens []wire.Token) bool {
	return a.to > a.from+1 && tokens[a.from].Kind == wire.Open && tokens[a.to-1].Kind == wire.Close
}

// inside returns the arguments in a list.
func (a argument) inside(tokens []wire.Token) []argument {
	args := arguments(tokens[a.from+1 : a.to-1])
	for i := range args {
		args[i].from += a.from + 1
		args[i].to += a.from + 1
	}
	return args
}

// names adds the spot of a name, or of each in a list.
func (a argument) names(tokens []wire.Token, kind nameKind, spots []nameSpot) ([]nameSpot, bool) {
	if a.name(tokens) {
		return append(spots, nameSpot{a.from, kind}), true
	}
	if !a.list(tokens) {
		return spots, false
	}
	for _, inner := range a.inside(tokens) {
		if !inner.name(tokens) {
			return spots, false
		}
		spots = append(spots, nameSpot{inner.from, kind})
	}
	return spots, true
}

func inArguments(places ...int) nameFinder {
	return func(tokens []wire.Token) (spots []nameSpot, ok bool) {
		args := arguments(tokens)
		for _, place := range places {
			if place >= len(args) || !args[place].name(tokens) {
				return nil, false
			}
			spots = append(spots, nameSpot{args[place].from, aName})
		}
		return spots, true
	}
}

func firstString(tokens []wire.Token) ([]nameSpot, bool) {
	for _, a := range arguments(tokens) {
		if !a.list(tokens) {
			return a.names(tokens, aName, nil)
		}
	}
	return nil, false
}

// inKeyed finds the names behind a word among pairs of words and values.
func inKeyed(key string) nameFinder {
	return func(tokens []wire.Token) (spots []nameSpot, ok bool) {
		args := arguments(tokens)
		for i := 0; i+1 < len(args); i += 2 {
			if !says(tokens[args[i].from], key) {
				continue
			}
			if spots, ok = args[i+1].names(tokens, aName, spots); !ok {
				return nil, false
			}
		}
		return spots, true
	}
}

// says reports whether t is a word, however it is written: some servers take it in quotes too.
func says(t wire.Token, word string) bool { return t.IsString() && strings.EqualFold(t.Value(), word) }

// treeKind says what names stand behind a word that chooses mailboxes (RFC 5465 section 6, RFC 7377
// section 2.2); false where none do.
func treeKind(t wire.Token) (kind nameKind, ok bool) {
	switch {
	case says(t, "mailboxes"):
		return aName, true
	case says(t, "subtree"), says(t, "subtree-one"):
		return aTree, true
	}
	return aName, false
}

// inFilters finds names in the groups of NOTIFY SET: (mailboxes (a b) (MessageNew)).
func inFilters(tokens []wire.Token) (spots []nameSpot, ok bool) {
	for _, group := range arguments(tokens) {
		if !group.list(tokens) {
			continue
		}
		args := group.inside(tokens)
		if len(args) < 2 {
			continue
		}
		if kind, names := treeKind(tokens[args[0].from]); names {
			if spots, ok = args[1].names(tokens, kind, spots); !ok {
				return nil, false
			}
		}
	}
	return spots, true
}

// inSources finds names behind IN: (mailboxes "a" subtree ("b" "c") personal).
func inSources(tokens []wire.Token) (spots []nameSpot, ok bool) {
	args := arguments(tokens)
	if len(args) < 2 || !says(tokens[args[0].from], "IN") {
		return nil, true
	}
	if !args[1].list(tokens) {
		return nil, false
	}
	sources := args[1].inside(tokens)
	for i := 0; i < len(sources); i++ {
		kind, names := treeKind(tokens[sources[i].from])
		if !names {
			continue
		}
		if i++; i == len(sources) {
			return nil, false
		}
		if spots, ok = sources[i].names(tokens, kind, spots); !ok {
			return nil, false
		}
	}
	return spots, true
}

// inCorrelator finds the name behind MAILBOX in the list that ESEARCH begins with.
func inCorrelator(tokens []wire.Token) ([]nameSpot, bool) {
	args := arguments(tokens)
	if len(args) == 0 || !args[0].list(tokens) {
		return nil, true
	}
	inner := args[0].inside(tokens)
	for i := 0; i+1 < len(inner); i += 2 {
		if says(tokens[inner[i].from], "MAILBOX") {
			return inner[i+1].names(tokens, aName, nil)
		}
	}
	return nil, true
}

// inEntry finds the separator, the name and the old name in a response of LIST (RFC 5258 section 6).
func inEntry(tokens []wire.Token) (spots []nameSpot, ok bool) {
	args := arguments(tokens)
	if len(args) < 3 || !args[0].list(tokens) || !args[1].name(tokens) || !args[2].name(tokens) {
		return nil, false
	}
	spots = append(spots, nameSpot{args[1].from, aSeparator}, nameSpot{args[2].from, aName})
	if len(args) < 4 || !args[3].list(tokens) {
		return spots, true
	}
	items := args[3].inside(tokens)
	for i := 0; i+1 < len(items); i += 2 {
		if says(tokens[items[i].from], "OLDNAME") {
			if spots, ok = items[i+1].names(tokens, aName, spots); !ok {
				return nil, false
			}
		}
	}
	return spots, true
}

// inNamespaces finds prefixes and separators: (("INBOX." ".")) NIL (("shared." ".")).
func inNamespaces(tokens []wire.Token) (spots []nameSpot, ok bool) {
	for _, class := range arguments(tokens) {
		if !class.list(tokens) {
			continue // NIL
		}
		for _, one := range class.inside(tokens) {
			if !one.list(tokens) {
				return nil, false
			}
			parts := one.inside(tokens)
			if len(parts) < 2 || !parts[0].name(tokens) || !parts[1].name(tokens) {
				return nil, false
			}
			spots = append(spots, nameSpot{parts[0].from, aNamespace}, nameSpot{parts[1].from, aSeparator})
		}
	}
	return spots, true
}

// A listArgs is the arguments of LIST, LSUB or XLIST: [selection] reference patterns [RETURN (...)].
type listArgs struct {
	reference int // index of the token
	patterns  []int
	from, to  int  // the tokens of the argument that is the patterns
	selects   bool // it has a list of selection options (RFC 5258 section 3.1)
	extended  bool // it has that, several patterns or RETURN
}

func parseListArgs(tokens []wire.Token) (l listArgs, ok bool) {
	args := arguments(tokens)
	if len(args) > 0 && args[0].list(tokens) {
		l.selects, l.extended = len(args[0].inside(tokens)) > 0, true
		args = args[1:]
	}
	if len(args) < 2 || !args[0].name(tokens) {
		return l, false
	}
	l.reference, l.from, l.to = args[0].from, args[1].from, args[1].to
	l.extended = l.extended || len(args) > 2 || args[1].list(tokens)
	spots, ok := args[1].names(tokens, aName, nil)
	for _, s := range spots {
		l.patterns = append(l.patterns, s.at)
	}
	return l, ok && len(l.patterns) > 0
}
