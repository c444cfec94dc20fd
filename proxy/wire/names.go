package wire

// maxName bounds a command or response name; the longest that is registered has 16 octets.
const maxName = 32

// intern returns name in upper case, without allocating for the names of the vocabulary.
func intern(name []byte) string {
	switch string(name) { // the names that come in thousands cost no look-up
	case "FETCH":
		return "FETCH"
	case "EXISTS":
		return "EXISTS"
	case "EXPUNGE":
		return "EXPUNGE"
	case "LIST":
		return "LIST"
	case "OK":
		return "OK"
	case "NOOP":
		return "NOOP"
	case "STORE":
		return "STORE"
	case "FLAGS":
		return "FLAGS"
	case "SEARCH":
		return "SEARCH"
	case "STATUS":
		return "STATUS"
	case "SELECT":
		return "SELECT"
	case "IDLE":
		return "IDLE"
	}
	if len(name) > maxName {
		return string(upperAll(make([]byte, 0, len(name)), name))
	}
	var a [maxName]byte
	u := upperAll(a[:0], name)
	if s, ok := vocabulary[string(u)]; ok {
		return s
	}
	return string(u)
}

func upperAll(dst, src []byte) []byte {
	for _, c := range src {
		dst = append(dst, upper(c))
	}
	return dst
}

// joinUID returns "UID " + name, without allocating for the names of the vocabulary.
func joinUID(name []byte) string {
	switch string(name) {
	case "FETCH":
		return "UID FETCH"
	case "STORE":
		return "UID STORE"
	case "SEARCH":
		return "UID SEARCH"
	}
	if len(name) > maxName {
		return "UID " + intern(name)
	}
	var a [maxName + 4]byte
	u := upperAll(append(a[:0], "UID "...), name)
	if s, ok := vocabulary[string(u)]; ok {
		return s
	}
	return string(u)
}

// vocabulary holds the names that occur in ordinary conversations, so that reading a head does not
// allocate. It carries no meaning: a name outside it is read just as well.
var vocabulary = vocabularyOf(
	// status and continuation
	"OK", "NO", "BAD", "BYE", "PREAUTH",
	// responses
	"CAPABILITY", "ENABLED", "LIST", "LSUB", "XLIST", "STATUS", "SEARCH", "SORT", "THREAD", "ESEARCH",
	"FLAGS", "EXISTS", "RECENT", "EXPUNGE", "EXPUNGED", "VANISHED", "FETCH", "UIDFETCH", "NAMESPACE", "ID", "ACL",
	"LISTRIGHTS", "MYRIGHTS", "QUOTA", "QUOTAROOT", "METADATA", "ANNOTATION", "LANGUAGE", "COMPARATOR",
	"CONVERTED", "UIDBATCHES", "GENURLAUTH", "URLFETCH", "XGWEXTENSIONS", "XGWMOVE",
	// commands
	"NOOP", "LOGOUT", "STARTTLS", "AUTHENTICATE", "LOGIN", "SELECT", "EXAMINE", "CREATE", "DELETE",
	"RENAME", "SUBSCRIBE", "UNSUBSCRIBE", "APPEND", "CHECK", "CLOSE", "STORE", "COPY", "MOVE", "UNSELECT",
	"IDLE", "DONE", "ENABLE", "COMPRESS", "SETACL", "DELETEACL", "GETACL", "GETQUOTA", "GETQUOTAROOT",
	"SETQUOTA", "GETMETADATA", "SETMETADATA", "CANCELUPDATE", "NOTIFY", "REPLACE", "UNAUTHENTICATE",
	"UID FETCH", "UID STORE", "UID COPY", "UID MOVE", "UID SEARCH", "UID EXPUNGE", "UID SORT", "UID THREAD",
	"UID REPLACE", "UID XGWMOVE",
	// response codes
	"ALERT", "PARSE", "UIDVALIDITY", "UIDNEXT", "UNSEEN", "PERMANENTFLAGS", "HIGHESTMODSEQ", "NOMODSEQ",
	"READ-ONLY", "READ-WRITE", "CLOSED", "APPENDUID", "COPYUID", "MODIFIED", "TRYCREATE", "INPROGRESS",
	"NOUPDATE", "REFERRAL", "MAILBOXID", "UNAVAILABLE", "NOTIFICATIONOVERFLOW",
)

func vocabularyOf(names ...string) map[string]string {
	v := make(map[string]string, len(names))
	for _, n := range names {
		v[n] = n
	}
	return v
}
