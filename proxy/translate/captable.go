package translate

import "github.com/emersion/go-imap/v2"

// A Fate is what becomes of a capability.
type Fate string

// The fates of a capability.
const (
	Ours        Fate = "ours"         // always offered: the proxy keeps the promise itself
	BeforeLogin Fate = "before login" // offered by the proxy itself before login, never after
	Passed      Fate = "passed"       // offered after login when this session's backend has it
	Translated  Fate = "translated"   // offered where a translation keeps the promise; the backend's own never passes
	Removed     Fate = "removed"      // never offered
)

// A Capability is a row of the capability table.
type Capability struct {
	Name   string // as it is written to clients; a family of names ends in "*": "THREAD=*"
	Fate   Fate
	Reason string
	Enable bool // ENABLE takes it as an argument (RFC 5161)
	// Of is a capability without which this one means nothing: who removes that removes this as well.
	Of imap.Cap
	// Barred says of a removed one that the policy cannot add it: the proxy could not keep the promise.
	Barred bool
	// Unmapped: mailbox names stand in it where they cannot be written anew, so it is removed while a
	// [NameMap] is in force.
	Unmapped bool
}

// Table returns the capability table: first what the proxy keeps itself, then what passes, then what
// is removed. A name that is in no row is removed too.
func Table() []Capability {
	return append(append(ownCaps(), passedCaps()...), removedCaps()...)
}

func ownCaps() []Capability {
	return []Capability{
		{Name: "IMAP4rev1", Fate: Ours, Reason: "the protocol that the proxy speaks on both sides"},
		{Name: "LITERAL+", Fate: Ours, Reason: "the proxy waits for the backend's + where the backend lacks it"},
		{Name: "LITERAL-", Fate: Translated, Reason: "LITERAL+ stands for it, unless the policy removes that and adds this; both together are forbidden (RFC 7888)"},
		{Name: "ID", Fate: Ours, Reason: "answered by the proxy, which has to name itself (RFC 2971 section 5)"},
		{Name: "SASL-IR", Fate: BeforeLogin, Reason: "the proxy ends SASL itself"},
		{Name: "STARTTLS", Fate: BeforeLogin, Reason: "the proxy ends TLS itself; only where the connection is not secure yet"},
		{Name: "LOGINDISABLED", Fate: BeforeLogin, Reason: "only where the connection is not secure and the listener wants it to be"},
		{Name: "AUTH=*", Fate: BeforeLogin, Reason: "the proxy's own mechanisms"},
		{Name: "COMPRESS=DEFLATE", Fate: Translated, Reason: "ended at the proxy, which has to read the conversation; limits.compressed"},
		{Name: "XGWEXTENSIONS", Fate: Translated, Reason: "XGWEXTENSIONS and XGWMOVE are answered by the proxy on any backend; policy xgwmove"},
		{Name: "XLIST", Fate: Translated, Reason: "answered by LIST with the attributes of SPECIAL-USE"},
		{Name: "XAOL-OPTION", Fate: Translated, Reason: "UID XAOL-MOVE is answered by the proxy; offered where the backend has it, because it promises more"},
	}
}

func passedCaps() []Capability {
	return []Capability{
		{Name: "MOVE", Fate: Passed, Reason: "also offered by translation: policies move and move_without_uidplus"},
		{Name: "UIDPLUS", Fate: Passed, Reason: "no tags, no state"},
		{Name: "IDLE", Fate: Passed, Reason: "a state of the relay, which asks a backend without it by NOOP; policy idle_poll"},
		{Name: "NAMESPACE", Fate: Passed, Reason: "also offered by translation: what LIST shows"},
		{Name: "CHILDREN", Fate: Passed, Reason: "also offered by translation: a second LIST finds the children"},
		{Name: "UNSELECT", Fate: Passed, Reason: "the selected mailbox is followed; a polyfill lets the backend keep it until another is selected"},
		{Name: "ENABLE", Fate: Passed, Reason: "arguments and answer are filtered by this table; also answered by translation where the backend lacks it"},
		{Name: "CONDSTORE", Fate: Passed, Enable: true, Reason: "enabling it is recorded, also by implication (RFC 7162 section 3.1)"},
		{Name: "QRESYNC", Fate: Passed, Enable: true, Reason: "VANISHED counts like EXPUNGE", Of: "CONDSTORE"},
		{Name: "ESEARCH", Fate: Passed, Reason: "tags in ESEARCH responses are rewritten; elsewhere the proxy counts what SEARCH finds"},
		{Name: "SEARCHRES", Fate: Passed, Reason: "$ is the backend's, and translations ask for its members; elsewhere the proxy keeps it as UIDs", Of: "ESEARCH"},
		{Name: "SORT", Fate: Passed, Reason: "as SEARCH"},
		{Name: "SORT=*", Fate: Passed, Reason: "sort keys that only the backend needs to know, such as DISPLAY", Of: "SORT"},
		{Name: "THREAD=*", Fate: Passed, Reason: "algorithms that only the backend needs to know"},
		{Name: "ESORT", Fate: Passed, Reason: "tags in ESEARCH responses are rewritten", Of: "SORT"},
		{Name: "CONTEXT=SEARCH", Fate: Passed, Reason: "tags of running searches live as long as the selected mailbox", Of: "ESEARCH"},
		{Name: "CONTEXT=SORT", Fate: Passed, Reason: "tags of running searches live as long as the selected mailbox", Of: "SORT"},
		{Name: "PARTIAL", Fate: Passed, Reason: "tags in ESEARCH responses are rewritten", Of: "ESEARCH"},
		{Name: "WITHIN", Fate: Passed, Reason: "search keys; elsewhere the proxy looks at the dates of messages near the moment"},
		{Name: "SEARCH=FUZZY", Fate: Passed, Reason: "search keys"},
		{Name: "FILTERS", Fate: Passed, Reason: "search keys"},
		{Name: "MULTISEARCH", Fate: Passed, Reason: "tags in ESEARCH responses are rewritten", Of: "ESEARCH"},
		{Name: "UIDBATCHES", Fate: Passed, Reason: "tags in UIDBATCHES responses are rewritten"},
		{Name: "INPROGRESS", Fate: Passed, Reason: "the tag in its code is rewritten"},
		{Name: "NOTIFY", Fate: Passed, Reason: "its responses are ordinary ones"},
		{Name: "LIST-EXTENDED", Fate: Passed, Reason: "also offered by translation: LIST and LSUB are merged"},
		{Name: "LIST-STATUS", Fate: Passed, Reason: "also offered by translation: STATUS for each mailbox"},
		{Name: "LIST-MYRIGHTS", Fate: Passed, Reason: "no tags, no state", Of: "ACL"},
		{Name: "LIST-METADATA", Fate: Passed, Reason: "no tags, no state", Of: "METADATA"},
		{Name: "SPECIAL-USE", Fate: Passed, Reason: "also offered by translation: from the backend's XLIST, or policy special_use"},
		{Name: "CREATE-SPECIAL-USE", Fate: Passed, Reason: "no tags, no state"},
		{Name: "STATUS=SIZE", Fate: Passed, Reason: "no tags, no state"},
		{Name: "METADATA", Fate: Passed, Enable: true, Reason: "no tags, no state"},
		{Name: "METADATA-SERVER", Fate: Passed, Enable: true, Reason: "no tags, no state"},
		{Name: "ACL", Fate: Passed, Reason: "no tags, no state"},
		{Name: "RIGHTS=*", Fate: Passed, Reason: "belongs to ACL", Of: "ACL"},
		{Name: "ACL2=UNION", Fate: Passed, Reason: "Courier's, belongs to ACL", Of: "ACL"},
		{Name: "QUOTA", Fate: Passed, Reason: "no tags, no state"},
		{Name: "QUOTASET", Fate: Passed, Reason: "no tags, no state", Of: "QUOTA"},
		{Name: "QUOTA=RES-*", Fate: Passed, Reason: "belongs to QUOTA", Of: "QUOTA"},
		{Name: "BINARY", Fate: Passed, Reason: "literal8 streams like a literal; in front of a backend without it, BINARY items of FETCH become BODY items that are decoded on their way, and a literal8 of APPEND is refused"},
		{Name: "MULTIAPPEND", Fate: Passed, Reason: "every literal of APPEND streams"},
		{Name: "REPLACE", Fate: Passed, Reason: "every literal of REPLACE streams"},
		{Name: "APPENDLIMIT", Fate: Passed, Reason: "a true statement about the backend"},
		{Name: "APPENDLIMIT=*", Fate: Translated, Reason: "the smaller of the backend's limit and limits.append; a larger message is refused before it is sent", Of: "APPENDLIMIT"},
		{Name: "MESSAGELIMIT=*", Fate: Passed, Reason: "a true statement about the backend; translations stop at its code"},
		{Name: "SAVELIMIT=*", Fate: Passed, Reason: "a true statement about the backend"},
		{Name: "UTF8=ACCEPT", Fate: Passed, Enable: true, Of: "ENABLE", Reason: "strings move as octets in both directions, and the literal of UTF8 (~{n}) streams as message data; also offered by translation, which writes names in modified UTF-7, where the backend lacks it"},
		{Name: "UTF8=ONLY", Fate: Passed, Reason: "a true statement about the backend; enabled under the name UTF8=ACCEPT (RFC 6855 section 6)"},
		{Name: "OBJECTID", Fate: Passed, Reason: "response data"},
		{Name: "SAVEDATE", Fate: Passed, Reason: "response data"},
		{Name: "PREVIEW", Fate: Passed, Reason: "response data"},
		{Name: "LANGUAGE", Fate: Passed, Reason: "texts of the proxy itself stay English"},
		{Name: "I18NLEVEL=*", Fate: Passed, Reason: "comparators are the backend's"},
		{Name: "X-GM-EXT-1", Fate: Passed, Unmapped: true, Reason: "Gmail's items of FETCH, SEARCH and STORE; its labels are mailbox names, so not with mailbox_map"},
		{Name: "XYMHIGHESTMODSEQ", Fate: Passed, Reason: "Yahoo's response data"},
		{Name: "XSENDER", Fate: Passed, Reason: "Sun's item of FETCH"},
		{Name: "XAPPLEPUSHSERVICE", Fate: Passed, Reason: "its command and response pass whole"},
		{Name: "XDELTAPUSH", Fate: Passed, Reason: "works by METADATA"},
		{Name: "DIGEST=SHA1", Fate: Passed, Reason: "Cyrus' item of FETCH"},
		{Name: "KEYWORDS", Fate: Passed, Reason: "Courier's statement about flags"},
		{Name: "XMAGICTRASH", Fate: Passed, Reason: "Courier's statement about its Trash"},
		{Name: "XCOURIEROUTBOX=*", Fate: Passed, Unmapped: true, Reason: "Courier's: COPY or MOVE into that mailbox sends mail; it holds the backend's name of it, so not with mailbox_map"},
		{Name: "NO_ATOMIC_RENAME", Fate: Passed, Reason: "a true statement about the backend"},
		{Name: "X-NO-ATOMIC-RENAME", Fate: Passed, Reason: "a true statement about the backend"},
		{Name: "X-NON-HIERARCHICAL-RENAME", Fate: Passed, Reason: "a true statement about the backend"},
	}
}

func removedCaps() []Capability {
	return []Capability{
		{Name: "IMAP4rev2", Fate: Removed, Enable: true, Reason: "offered on demand, by capabilities: {add: [IMAP4rev2]}: the backend's own, or by translation where the backend has UIDPLUS"},
		{Name: "IMAP4", Fate: Removed, Barred: true, Reason: "commands of RFC 1730 that IMAP4rev1 has dropped"},
		{Name: "COMPRESS=*", Fate: Removed, Barred: true, Reason: "would hide the conversation from the proxy"},
		{Name: "UIDONLY", Fate: Removed, Barred: true, Reason: "its UIDFETCH responses and forbidden numbers are not carried yet"},
		{Name: "UNAUTHENTICATE", Fate: Removed, Barred: true, Reason: "would leave the backend connection to another user"},
		{Name: "X-UNAUTHENTICATE", Fate: Removed, Barred: true, Reason: "would leave the backend connection to another user"},
		{Name: "URLAUTH", Fate: Removed, Reason: "URLs name the backend"},
		{Name: "URLAUTH=*", Fate: Removed, Reason: "URLs name the backend"},
		{Name: "URL-PARTIAL", Fate: Removed, Reason: "URLs name the backend"},
		{Name: "URLFETCH=*", Fate: Removed, Reason: "URLs name the backend"},
		{Name: "CATENATE", Fate: Removed, Reason: "URLs name the backend"},
		{Name: "LOGIN-REFERRALS", Fate: Removed, Barred: true, Reason: "referrals lead past the proxy"},
		{Name: "MAILBOX-REFERRALS", Fate: Removed, Barred: true, Reason: "referrals lead past the proxy"},
		{Name: "JMAPACCESS", Fate: Removed, Reason: "its URL leads past the proxy"},
		{Name: "IMAPSIEVE=*", Fate: Removed, Reason: "its URL leads past the proxy"},
		{Name: "CONVERT", Fate: Removed, Reason: "its command is not carried"},
		{Name: "ANNOTATE-EXPERIMENT-1", Fate: Removed, Reason: "annotations cannot follow a user to another backend"},
		{Name: "ANNOTATEMORE", Fate: Removed, Reason: "METADATA replaced it"},
		{Name: "XGWMOVE", Fate: Removed, Barred: true, Reason: "XGWEXTENSIONS stands for it"},
		{Name: "SMAP1", Fate: Removed, Barred: true, Reason: "leads to another protocol than IMAP"},
		{Name: "MULTIPLEX", Fate: Removed, Barred: true, Reason: "leads to another protocol than IMAP"},
		{Name: "XMOVE", Fate: Removed, Reason: "MOVE replaced it; the command is understood"},
		{Name: "XPROXYREUSE", Fate: Removed, Reason: "speaks of another proxy behind this one"},
		{Name: "XIMAPPROXY", Fate: Removed, Reason: "speaks of another proxy behind this one"},
		{Name: "CLIENTID", Fate: Removed, Barred: true, Reason: "a command before login that the proxy does not carry"},
		{Name: "X-NETSCAPE", Fate: Removed, Reason: "its commands carry URLs past the proxy"},
		{Name: "XSERVERINFO", Fate: Removed, Reason: "its commands carry URLs past the proxy"},
		{Name: "XAPPLELITERAL", Fate: Removed, Reason: "undocumented; LITERAL+ stands in the list"},
		{Name: "X-APPLE-REMOTE-LINKS", Fate: Removed, Reason: "undocumented"},
		{Name: "X-MSG-EXT", Fate: Removed, Reason: "undocumented"},
		{Name: "XSTOP", Fate: Removed, Reason: "undocumented"},
		{Name: "XDOVECOT", Fate: Removed, Reason: "for servers among themselves"},
		{Name: "XCONVERSATIONS", Fate: Removed, Reason: "its commands are not carried"},
	}
}
