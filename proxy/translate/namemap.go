package translate

import (
	"errors"
	"strings"
)

// A NameMap says how mailbox names of the backend begin and are parted, and how clients see them: a
// pure change of prefix and separator. The zero value changes nothing.
//
// Each name of the backend has exactly one that clients see, and each name that is taken from a client
// is the one of exactly one mailbox:
//
//   - The two separators change places wherever they stand. With "." at the backend and "/" towards
//     clients, INBOX.a.b is a/b, and INBOX.v1/2, where "/" is an ordinary character, is v1.2.
//   - INBOX, in any case, is INBOX on both sides and never gets the prefix.
//   - A name that begins with the prefix is seen without it.
//   - What is left is seen under [Outside], whole: shared.box as #outside/shared/box. That is another
//     namespace's; the prefix itself; INBOX.INBOX and INBOX.#outside, which without the prefix would be
//     other names.
//
// Without a prefix only the first two hold.
type NameMap struct {
	Prefix          string // what names but INBOX begin with at the backend, its separator included: "INBOX."
	Separator       string // one octet, at the backend: "."
	ClientSeparator string // one octet, towards clients; "/" where it is empty
}

// Outside is the top of what clients see of mailboxes that do not begin with a map's prefix. RFC 3501
// section 5.1.2 keeps names with "#" for namespaces.
const Outside = "#outside"

const (
	maxMailboxName = 4096 // octets of a name that is mapped, as long as Dovecot's may be
	maxPattern     = 1024 // octets of a pattern of LIST that is compared here
	maxPrefix      = 255
)

// On reports whether the map changes anything.
func (n NameMap) On() bool { return n.Prefix != "" || n.Separator != "" && n.Separator != n.client() }

func (n NameMap) client() string {
	if n.ClientSeparator == "" {
		return "/"
	}
	return n.ClientSeparator
}

// Check says what is wrong with the map; nil for the zero value.
func (n NameMap) Check() error {
	switch {
	case n == NameMap{}:
		return nil
	case !IsSeparator(n.Separator):
		return errors.New("separator must be one of the characters that part mailbox names, as . or /")
	case !IsSeparator(n.client()):
		return errors.New("client_separator must be one of the characters that part mailbox names, as . or /")
	case len(n.Prefix) > maxPrefix:
		return errors.New("prefix is too long")
	case n.Prefix != "" && !strings.HasSuffix(n.Prefix, n.Separator):
		return errors.New("prefix must end in the separator")
	case n.Prefix == n.Separator || strings.Contains(n.Prefix, n.Separator+n.Separator) || strings.HasPrefix(n.Prefix, n.Separator):
		return errors.New("prefix must not have empty levels")
	}
	for i := range len(n.Prefix) {
		if c := n.Prefix[i]; c <= ' ' || c > '~' || c == '%' || c == '*' {
			return errors.New("prefix must be ASCII without spaces, % and *")
		}
	}
	return nil
}

// IsSeparator reports whether text can part mailbox names: it must neither be a wildcard nor stand inside
// modified UTF-7 (RFC 3501 section 5.1.3).
func IsSeparator(text string) bool {
	return len(text) == 1 && strings.Contains(`./\^|~:;!$_`, text)
}

// swap lets the two separators change places.
func (n NameMap) swap(name string) string {
	from, to := n.Separator, n.client()
	if from == "" || from == to || !strings.Contains(name, from) && !strings.Contains(name, to) {
		return name
	}
	b := []byte(name)
	for i, c := range b {
		switch c {
		case from[0]:
			b[i] = to[0]
		case to[0]:
			b[i] = from[0]
		}
	}
	return string(b)
}

// outside is what names begin with that do not have the prefix.
func (n NameMap) outside() string { return Outside + n.client() }

// down returns the client's name of a backend's.
func (n NameMap) down(name string) string {
	switch {
	case isInbox(name):
		return "INBOX"
	case n.Prefix == "" || name == "":
		return n.swap(name)
	}
	if rest, has := strings.CutPrefix(name, n.Prefix); has && rest != "" {
		seen := n.swap(rest)
		inbox := isInbox(strings.TrimSuffix(seen, n.client())) // with a separator behind it CREATE means the same
		if !inbox && seen != Outside && !strings.HasPrefix(seen, n.outside()) {
			return seen
		}
	}
	return n.outside() + n.swap(name)
}

// up returns the backend's name of a client's; false where no mailbox has that one.
func (n NameMap) up(name string) (string, bool) {
	switch {
	case isInbox(name):
		return "INBOX", true
	case n.Prefix == "" || name == "":
		return n.swap(name), true
	case name == Outside:
		return "", false
	}
	if rest, is := strings.CutPrefix(name, n.outside()); is {
		theirs := n.swap(rest)
		return theirs, n.down(theirs) == name
	}
	theirs := n.Prefix + n.swap(name)
	return theirs, n.down(theirs) == name
}

// upPattern returns the backend's pattern for a client's, which ends with the names that have the
// prefix, unless it begins like one that has not.
func (n NameMap) upPattern(pattern string) string {
	switch {
	case isInbox(pattern):
		return "INBOX"
	case n.Prefix == "" || pattern == "":
		return n.swap(pattern)
	}
	if rest, is := strings.CutPrefix(pattern, n.outside()); is {
		return n.swap(rest)
	}
	return n.Prefix + n.swap(pattern)
}

// namespace returns what clients see of the prefix of a namespace of the backend (RFC 2342). All that
// lies above the map's prefix is the client's root.
func (n NameMap) namespace(prefix string) string {
	if n.Prefix == "" {
		return n.swap(prefix)
	}
	if strings.HasPrefix(n.Prefix, prefix) {
		return ""
	}
	return n.down(prefix)
}

// above reports whether the map's prefix lies below a mailbox of the backend, so that what is said of all
// below that one would speak of what clients see elsewhere.
func (n NameMap) above(name string) bool {
	return n.Prefix != "" && strings.HasPrefix(n.Prefix, name+n.Separator)
}

func isInbox(name string) bool { return len(name) == 5 && strings.EqualFold(name, "INBOX") }
