package translate

import (
	"strings"

	"github.com/emersion/go-imap/v2"
)

// The tables of this file say by what a command uses a capability: by its name, or by a word in its
// arguments.

// capCommands are the commands that belong to a capability, also those that the command table does not
// hold: somebody who sends one of them uses what he was not offered.
var capCommands = []struct {
	cap      imap.Cap
	commands string // with commas between them
}{
	{"MOVE", "MOVE,UID MOVE"},
	{"UIDPLUS", "UID EXPUNGE"},
	{"UNSELECT", "UNSELECT"},
	{"IDLE", "IDLE"},
	{"ID", "ID"},
	{"NAMESPACE", "NAMESPACE"},
	{"ENABLE", "ENABLE"},
	{"REPLACE", "REPLACE,UID REPLACE"},
	{"ACL", "SETACL,DELETEACL,GETACL,LISTRIGHTS,MYRIGHTS"},
	{"QUOTA", "GETQUOTA,GETQUOTAROOT"},
	{"QUOTASET", "SETQUOTA"},
	{"METADATA", "GETMETADATA,SETMETADATA"},
	{"SORT", "SORT,UID SORT"},
	{"THREAD=*", "THREAD,UID THREAD"},
	{"MULTISEARCH", "ESEARCH"},
	{"CONTEXT=SEARCH", "CANCELUPDATE"},
	{"NOTIFY", "NOTIFY"},
	{"LANGUAGE", "LANGUAGE"},
	{"I18NLEVEL=*", "COMPARATOR"},
	{"UIDBATCHES", "UIDBATCHES"},
	{"XAPPLEPUSHSERVICE", "XAPPLEPUSHSERVICE"},
	{"MAILBOX-REFERRALS", "RLIST,RLSUB"},
	{"XLIST", "XLIST"},
	{"XMOVE", "XMOVE,UID XMOVE"},
	{"XAOL-OPTION", "UID XAOL-MOVE"},
	{"XGWEXTENSIONS", "XGWEXTENSIONS,XGWMOVE,UID XGWMOVE,XGWDISPMODE,XGWCONF,XGWTAULIST"},

	{"COMPRESS=DEFLATE", "COMPRESS"},
	{"UNAUTHENTICATE", "UNAUTHENTICATE"},
	{"URLAUTH", "GENURLAUTH,RESETKEY,URLFETCH"},
	{"CONVERT", "CONVERT,UID CONVERT,CONVERSIONS"},
	{"ANNOTATEMORE", "GETANNOTATION,SETANNOTATION"},
	{"CLIENTID", "CLIENTID"},
	{"X-NETSCAPE", "NETSCAPE"},
	{"XSERVERINFO", "XSERVERINFO"},
	{"XCONVERSATIONS", "XCONVFETCH,XCONVSORT,XCONVMULTISORT,XCONVUPDATES,XCONVMETA,XSNIPPETS"},
}

var capsByCommand = indexCapCommands()

func indexCapCommands() map[string]imap.Cap {
	index := make(map[string]imap.Cap)
	for _, row := range capCommands {
		for name := range strings.SplitSeq(row.commands, ",") {
			index[name] = row.cap
		}
	}
	return index
}

// A place is where in a command's arguments a word stands.
type place string

const (
	setPlace      place = "set of messages"
	searchKey     place = "search key"                 // RFC 3501 section 6.4.4
	searchReturn  place = "search return option"       // RFC 4731 section 3.1
	sortReturn    place = "sort return option"         // RFC 5267 section 3
	sortKey       place = "sort key"                   // RFC 5256 section 3
	threadBy      place = "thread algorithm"           // RFC 5256 section 3
	fetchItem     place = "fetch item"                 // a section's name without the section
	fetchModifier place = "fetch modifier"             // RFC 4466 section 2.4
	storeItem     place = "store item"                 // without + and -
	storeModifier place = "store modifier"             // RFC 4466 section 2.5
	openParameter place = "select parameter"           // RFC 4466 section 2.1
	newParameter  place = "create parameter"           // RFC 4466 section 2.2
	statusItem    place = "status item"                // RFC 3501 section 6.3.10
	listSelection place = "list selection option"      // RFC 5258 section 3.1
	listPattern   place = "list with several patterns" // RFC 5258 section 3
	listReturn    place = "list return option"         // RFC 5258 section 3.2
	appendWord    place = "append argument"            // RFC 4469 section 3, RFC 6855 section 4
	appendMore    place = "append of more messages"    // RFC 3502
	appendBinary  place = "append of a literal8"       // RFC 3516 section 4.4
)

// anyWord stands for every word of a place that has no row of its own.
const anyWord = "*"

// argumentUses are the words by which arguments use capabilities, any of those that are named.
var argumentUses = []struct {
	place place
	words string
	caps  string
}{
	{setPlace, "$", "SEARCHRES"},
	{searchKey, "$", "SEARCHRES"},
	{searchKey, "OLDER YOUNGER", "WITHIN"},
	{searchKey, "MODSEQ", "CONDSTORE"},
	{searchKey, "EMAILID THREADID", "OBJECTID"},
	{searchKey, "SAVEDBEFORE SAVEDON SAVEDSINCE SAVEDATESUPPORTED", "SAVEDATE"},
	{searchKey, "FUZZY", "SEARCH=FUZZY"},
	{searchKey, "FILTER", "FILTERS"},
	{searchKey, "X-GM-RAW X-GM-MSGID X-GM-THRID X-GM-LABELS", "X-GM-EXT-1"},
	{searchReturn, "SAVE", "SEARCHRES"},
	{searchReturn, "UPDATE", "CONTEXT=SEARCH"},
	{searchReturn, "PARTIAL", "PARTIAL CONTEXT=SEARCH"},
	{searchReturn, "RELEVANCY", "SEARCH=FUZZY"},
	{searchReturn, anyWord, "ESEARCH"},
	{searchKey, "ANNOTATION", "ANNOTATE-EXPERIMENT-1"},
	{sortKey, "DISPLAYFROM DISPLAYTO", "SORT=DISPLAY"},
	{sortKey, "ANNOTATION", "ANNOTATE-EXPERIMENT-1"},
	{sortReturn, "UPDATE", "CONTEXT=SORT"},
	{sortReturn, "PARTIAL", "PARTIAL CONTEXT=SORT"},
	{sortReturn, anyWord, "ESORT"},
	{fetchItem, "MODSEQ", "CONDSTORE"},
	{fetchItem, "BINARY BINARY.PEEK BINARY.SIZE", "BINARY"},
	{fetchItem, "EMAILID THREADID", "OBJECTID"},
	{fetchItem, "SAVEDATE", "SAVEDATE"},
	{fetchItem, "PREVIEW", "PREVIEW"},
	{fetchItem, "X-GM-MSGID X-GM-THRID X-GM-LABELS", "X-GM-EXT-1"},
	{fetchItem, "XSENDER", "XSENDER"},
	{fetchItem, "ANNOTATION", "ANNOTATE-EXPERIMENT-1"},
	{fetchItem, "DIGEST.SHA1", "DIGEST=SHA1"},
	{fetchModifier, "CHANGEDSINCE", "CONDSTORE"},
	{fetchModifier, "VANISHED", "QRESYNC"},
	{fetchModifier, "PARTIAL", "PARTIAL"},
	{storeItem, "X-GM-LABELS X-GM-LABELS.SILENT", "X-GM-EXT-1"},
	{storeItem, "ANNOTATION", "ANNOTATE-EXPERIMENT-1"},
	{storeModifier, "UNCHANGEDSINCE", "CONDSTORE"},
	{openParameter, "CONDSTORE", "CONDSTORE"},
	{openParameter, "QRESYNC", "QRESYNC"},
	{openParameter, "ANNOTATE", "ANNOTATE-EXPERIMENT-1"},
	{newParameter, "USE", "CREATE-SPECIAL-USE"},
	{statusItem, "HIGHESTMODSEQ", "CONDSTORE"},
	{statusItem, "SIZE", "STATUS=SIZE"},
	{statusItem, "MAILBOXID", "OBJECTID"},
	{statusItem, "APPENDLIMIT", "APPENDLIMIT"},
	{statusItem, "DELETED-STORAGE", "QUOTA=RES-STORAGE"},
	{listSelection, "SPECIAL-USE", "SPECIAL-USE"},
	{listSelection, anyWord, "LIST-EXTENDED"},
	{listPattern, anyWord, "LIST-EXTENDED"},
	{listReturn, "SPECIAL-USE", "SPECIAL-USE"},
	{listReturn, "STATUS", "LIST-STATUS"},
	{listReturn, "MYRIGHTS", "LIST-MYRIGHTS"},
	{listReturn, "METADATA", "LIST-METADATA"},
	{listReturn, anyWord, "LIST-EXTENDED"},
	{appendWord, "CATENATE", "CATENATE"},
	{appendWord, "UTF8", "UTF8=ACCEPT"},
	{appendWord, "ANNOTATION", "ANNOTATE-EXPERIMENT-1"},
	{appendMore, anyWord, "MULTIAPPEND"},
	{appendBinary, anyWord, "BINARY"},
}

// placesOf are the places that a command's arguments have.
var placesOf = map[string][]place{
	"SEARCH": {searchKey, searchReturn}, "UID SEARCH": {searchKey, searchReturn},
	"SORT": {searchKey, sortKey, sortReturn}, "UID SORT": {searchKey, sortKey, sortReturn},
	"THREAD": {searchKey, threadBy}, "UID THREAD": {searchKey, threadBy},
	"FETCH": {setPlace, fetchItem, fetchModifier}, "UID FETCH": {setPlace, fetchItem, fetchModifier},
	"STORE": {setPlace, storeItem, storeModifier}, "UID STORE": {setPlace, storeItem, storeModifier},
	"COPY": {setPlace}, "UID COPY": {setPlace}, "MOVE": {setPlace}, "UID MOVE": {setPlace}, "UID EXPUNGE": {setPlace},
	"SELECT": {openParameter}, "EXAMINE": {openParameter}, "CREATE": {newParameter},
	"STATUS": {statusItem}, "LIST": {listSelection, listPattern, listReturn, statusItem},
	"APPEND": {appendWord, appendMore, appendBinary}, "REPLACE": {appendWord, appendBinary}, "UID REPLACE": {appendWord, appendBinary},
}

// searchArguments is how many arguments follow a search key; none for keys that are not named.
var searchArguments = map[string]int{
	"BCC": 1, "BEFORE": 1, "BODY": 1, "CC": 1, "FROM": 1, "HEADER": 2, "KEYWORD": 1, "LARGER": 1, "ON": 1,
	"SENTBEFORE": 1, "SENTON": 1, "SENTSINCE": 1, "SINCE": 1, "SMALLER": 1, "SUBJECT": 1, "TEXT": 1, "TO": 1,
	"UNKEYWORD": 1, "CHARSET": 1, "OLDER": 1, "YOUNGER": 1, "MODSEQ": 1, "EMAILID": 1, "THREADID": 1,
	"SAVEDBEFORE": 1, "SAVEDON": 1, "SAVEDSINCE": 1, "FILTER": 1, "ANNOTATION": 3,
	"X-GM-RAW": 1, "X-GM-MSGID": 1, "X-GM-THRID": 1, "X-GM-LABELS": 1,
}
