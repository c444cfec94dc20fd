package translate

import (
	"sort"
	"strings"

	"github.com/emersion/go-imap/v2"
)

// A State is a set of the connection states of RFC 3501 section 3.
type State uint8

// The states of a connection. Logout is none: no command is read in it.
const (
	NotAuthenticated State = 1 << iota
	Authenticated
	Selected
)

const (
	loggedIn = Authenticated | Selected
	anyState = NotAuthenticated | loggedIn
)

// A Class says whether a command may be run a second time when its answer was lost.
type Class uint8

// The classes of commands.
const (
	Read            Class = iota + 1 // changes nothing
	IdempotentWrite                  // running it twice is the same as running it once
	Write                            // never repeated
)

// A TagUse says where a command carries or leaves client tags besides its own.
type TagUse uint8

// The uses of tags (RFC 5267 section 4.3).
const (
	NoTags        TagUse = iota
	TagArguments         // each argument is the tag of an earlier command: CANCELUPDATE
	TagRegistered        // with RETURN (UPDATE) its own tag lives on in responses until the mailbox is left
)

// A Command is a row of the command table.
type Command struct {
	Name   string // upper case, UID joined: "UID FETCH"
	Label  string // for metrics: "uid_fetch"
	Index  int    // from 1 to [Rows], so that tables by command need no hash
	States State  // where it is valid
	Class  Class
	// Numbers: it has, or may have, message sequence numbers in its arguments or its responses. UID
	// SEARCH is such a command: its criteria may name messages by number.
	Numbers bool
	// Expunge: EXPUNGE and VANISHED may be sent while it is the command in progress. RFC 9051 section
	// 7.5.1 forbids them during FETCH, STORE and SEARCH, RFC 5256 section 3 during SORT and THREAD;
	// the UID forms of all five permit them.
	Expunge bool
	// Mailbox: it changes which mailbox is selected.
	Mailbox bool
	// Destructive: it can remove messages or a mailbox.
	Destructive bool
	// Cap is the capability that the command belongs to; empty for what every IMAP4rev1 server has. The
	// table in uses.go fills it in.
	Cap imap.Cap
	// Translated: it is known only where a translation takes it, and refused with BAD elsewhere.
	Translated bool
	// Traceless: what it does to the connection, if anything, UNSELECT undoes. After any other command, one
	// that is not in the table included, the connection serves no other session.
	Traceless bool
	// Data is the index, from 0, of the first argument that is message data when it is a literal; so
	// are all literals behind it (MULTIAPPEND, and the list of UTF8 in RFC 6855 section 4). 0: none.
	Data int
	Tags TagUse
}

// Lookup finds a command by its name in upper case. It does not allocate.
func Lookup(name string) (*Command, bool) {
	c, ok := commandsByName[name]
	return c, ok
}

// Rows returns how many rows the command table has.
func Rows() int { return len(commandsByName) }

// OtherLabel is the metric label of commands that are not in the table.
const OtherLabel = "other"

// Label returns the metric label of the command called name: its row's, else [OtherLabel].
func Label(name string) string {
	if c, ok := commandsByName[name]; ok {
		return c.Label
	}
	return OtherLabel
}

// Labels returns every value that [Label] can return, sorted.
func Labels() []string {
	labels := []string{OtherLabel}
	for _, c := range commandsByName {
		labels = append(labels, c.Label)
	}
	sort.Strings(labels)
	return labels
}

var commandsByName = indexCommands(commandTable())

func indexCommands(table []Command) map[string]*Command {
	index := make(map[string]*Command, len(table))
	for i := range table {
		c := &table[i]
		c.Index = i + 1
		c.Label = strings.ReplaceAll(strings.ToLower(c.Name), " ", "_")
		c.Cap = capsByCommand[c.Name]
		index[c.Name] = c
	}
	return index
}

// commandTable lists what may pass. Left out on purpose, with their capabilities: UNAUTHENTICATE (would leave another user's
// session behind), CATENATE and the URLAUTH commands (URLs lead past the proxy), CONVERT, PROXYAUTH, and
// vendors' own commands.
func commandTable() []Command {
	return []Command{
		// RFC 3501 section 6.1, any state
		{Name: "CAPABILITY", States: anyState, Class: Read, Expunge: true, Traceless: true},
		{Name: "NOOP", States: anyState, Class: Read, Expunge: true, Traceless: true},
		{Name: "LOGOUT", States: anyState, Class: Read, Expunge: true},
		{Name: "ID", States: anyState, Class: Read, Expunge: true}, // RFC 2971

		// RFC 3501 section 6.2, before login
		{Name: "STARTTLS", States: NotAuthenticated, Class: Write},
		{Name: "AUTHENTICATE", States: NotAuthenticated, Class: Write},
		{Name: "LOGIN", States: NotAuthenticated, Class: Write},

		// RFC 3501 section 6.3, after login
		{Name: "SELECT", States: loggedIn, Class: IdempotentWrite, Expunge: true, Mailbox: true, Traceless: true},
		{Name: "EXAMINE", States: loggedIn, Class: IdempotentWrite, Expunge: true, Mailbox: true, Traceless: true},
		{Name: "CREATE", States: loggedIn, Class: Write, Expunge: true, Traceless: true},
		{Name: "DELETE", States: loggedIn, Class: Write, Expunge: true, Destructive: true, Traceless: true},
		{Name: "RENAME", States: loggedIn, Class: Write, Expunge: true, Traceless: true},
		{Name: "SUBSCRIBE", States: loggedIn, Class: IdempotentWrite, Expunge: true, Traceless: true},
		{Name: "UNSUBSCRIBE", States: loggedIn, Class: IdempotentWrite, Expunge: true, Traceless: true},
		{Name: "LIST", States: loggedIn, Class: Read, Expunge: true, Traceless: true},
		{Name: "LSUB", States: loggedIn, Class: Read, Expunge: true, Traceless: true},
		{Name: "STATUS", States: loggedIn, Class: Read, Expunge: true, Traceless: true},
		{Name: "APPEND", States: loggedIn, Class: Write, Expunge: true, Data: 1, Traceless: true},

		// RFC 3501 section 6.4, in a mailbox
		{Name: "CHECK", States: Selected, Class: Read, Expunge: true, Traceless: true},
		{Name: "CLOSE", States: Selected, Class: Write, Expunge: true, Mailbox: true, Destructive: true, Traceless: true},
		{Name: "EXPUNGE", States: Selected, Class: Write, Expunge: true, Destructive: true, Traceless: true},
		{Name: "SEARCH", States: Selected, Class: Read, Numbers: true, Tags: TagRegistered, Traceless: true},
		{Name: "UID SEARCH", States: Selected, Class: Read, Numbers: true, Expunge: true, Tags: TagRegistered, Traceless: true},
		{Name: "FETCH", States: Selected, Class: IdempotentWrite, Numbers: true, Traceless: true}, // BODY[] sets \Seen
		{Name: "UID FETCH", States: Selected, Class: IdempotentWrite, Expunge: true, Traceless: true},
		{Name: "STORE", States: Selected, Class: Write, Numbers: true, Traceless: true}, // UNCHANGEDSINCE cannot be repeated
		{Name: "UID STORE", States: Selected, Class: Write, Expunge: true, Traceless: true},
		{Name: "COPY", States: Selected, Class: Write, Numbers: true, Expunge: true, Traceless: true},
		{Name: "UID COPY", States: Selected, Class: Write, Expunge: true, Traceless: true},

		{Name: "NAMESPACE", States: loggedIn, Class: Read, Expunge: true, Traceless: true},                                           // RFC 2342
		{Name: "IDLE", States: loggedIn, Class: Read, Expunge: true, Traceless: true},                                                // RFC 2177
		{Name: "COMPRESS", States: loggedIn, Class: Write, Expunge: true},                                                            // RFC 4978
		{Name: "ENABLE", States: Authenticated, Class: IdempotentWrite, Expunge: true},                                               // RFC 5161 section 3.1
		{Name: "UNSELECT", States: Selected, Class: IdempotentWrite, Expunge: true, Mailbox: true, Traceless: true},                  // RFC 3691
		{Name: "UID EXPUNGE", States: Selected, Class: IdempotentWrite, Expunge: true, Destructive: true, Traceless: true},           // RFC 4315
		{Name: "MOVE", States: Selected, Class: Write, Numbers: true, Expunge: true, Destructive: true, Traceless: true},             // RFC 6851
		{Name: "UID MOVE", States: Selected, Class: Write, Expunge: true, Destructive: true, Traceless: true},                        // RFC 6851
		{Name: "REPLACE", States: Selected, Class: Write, Numbers: true, Expunge: true, Destructive: true, Data: 2, Traceless: true}, // RFC 8508
		{Name: "UID REPLACE", States: Selected, Class: Write, Expunge: true, Destructive: true, Data: 2, Traceless: true},            // RFC 8508

		// RFC 4314
		{Name: "SETACL", States: loggedIn, Class: Write, Expunge: true, Traceless: true},
		{Name: "DELETEACL", States: loggedIn, Class: Write, Expunge: true, Traceless: true},
		{Name: "GETACL", States: loggedIn, Class: Read, Expunge: true, Traceless: true},
		{Name: "LISTRIGHTS", States: loggedIn, Class: Read, Expunge: true, Traceless: true},
		{Name: "MYRIGHTS", States: loggedIn, Class: Read, Expunge: true, Traceless: true},
		// RFC 9208
		{Name: "GETQUOTA", States: loggedIn, Class: Read, Expunge: true, Traceless: true},
		{Name: "GETQUOTAROOT", States: loggedIn, Class: Read, Expunge: true, Traceless: true},
		{Name: "SETQUOTA", States: loggedIn, Class: Write, Expunge: true, Traceless: true},
		// RFC 5464
		{Name: "GETMETADATA", States: loggedIn, Class: Read, Expunge: true, Traceless: true},
		{Name: "SETMETADATA", States: loggedIn, Class: Write, Expunge: true, Traceless: true},
		// RFC 5256
		{Name: "SORT", States: Selected, Class: Read, Numbers: true, Tags: TagRegistered, Traceless: true},
		{Name: "UID SORT", States: Selected, Class: Read, Numbers: true, Expunge: true, Tags: TagRegistered, Traceless: true},
		{Name: "THREAD", States: Selected, Class: Read, Numbers: true, Traceless: true},
		{Name: "UID THREAD", States: Selected, Class: Read, Numbers: true, Expunge: true, Traceless: true},
		// RFC 7377, RFC 5267, RFC 5465
		{Name: "ESEARCH", States: loggedIn, Class: Read, Expunge: true, Traceless: true},
		{Name: "CANCELUPDATE", States: Selected, Class: IdempotentWrite, Expunge: true, Tags: TagArguments},
		{Name: "NOTIFY", States: loggedIn, Class: IdempotentWrite, Expunge: true},
		// RFC 5255
		{Name: "LANGUAGE", States: loggedIn, Class: IdempotentWrite, Expunge: true},
		{Name: "COMPARATOR", States: loggedIn, Class: IdempotentWrite, Expunge: true},

		{Name: "UIDBATCHES", States: Selected, Class: Read, Expunge: true},
		{Name: "XAPPLEPUSHSERVICE", States: loggedIn, Class: IdempotentWrite, Expunge: true},

		// Answered by translations, and unknown where none takes them. RFC 1730 and RFC 2193 had the first
		// ones.
		{Name: "FIND", States: loggedIn, Class: Read, Expunge: true, Translated: true},
		{Name: "RLIST", States: loggedIn, Class: Read, Expunge: true, Translated: true},
		{Name: "RLSUB", States: loggedIn, Class: Read, Expunge: true, Translated: true},
		{Name: "PARTIAL", States: Selected, Class: IdempotentWrite, Numbers: true, Translated: true},
		{Name: "UID PARTIAL", States: Selected, Class: IdempotentWrite, Expunge: true, Translated: true},
		{Name: "XLIST", States: loggedIn, Class: Read, Expunge: true, Translated: true},
		{Name: "XMOVE", States: Selected, Class: Write, Numbers: true, Expunge: true, Destructive: true, Translated: true},
		{Name: "UID XMOVE", States: Selected, Class: Write, Expunge: true, Destructive: true, Translated: true},
		{Name: "UID XAOL-MOVE", States: Selected, Class: Write, Expunge: true, Destructive: true, Translated: true},

		// GroupWise
		{Name: "XGWDISPMODE", States: loggedIn, Class: Read, Expunge: true, Translated: true},
		{Name: "XGWCONF", States: loggedIn, Class: Read, Expunge: true, Translated: true},
		{Name: "XGWTAULIST", States: loggedIn, Class: Read, Expunge: true, Translated: true},
		{Name: "XGWEXTENSIONS", States: loggedIn, Class: Read, Expunge: true, Translated: true},
		{Name: "XGWMOVE", States: Selected, Class: Write, Numbers: true, Expunge: true, Destructive: true, Translated: true},
		{Name: "UID XGWMOVE", States: Selected, Class: Write, Expunge: true, Destructive: true, Translated: true},
	}
}
