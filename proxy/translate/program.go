package translate

import (
	"strings"

	"github.com/imapgate/imapgate/proxy/wire"
)

// searching are the commands that have a search program (RFC 3501 section 6.4.4, RFC 5256).
var searching = []string{"SEARCH", "UID SEARCH", "SORT", "UID SORT", "THREAD", "UID THREAD"}

// searches reports whether a command is one of them.
func searches(head string) bool {
	switch unUID(head) {
	case "SEARCH", "SORT", "THREAD":
		return true
	}
	return false
}

// A program is a command with a search program, in its parts.
type program struct {
	head string       // "UID SORT"
	ret  []wire.Token // RETURN and its list (RFC 4466 section 2.6.1); empty for none
	args []wire.Token // what stands before the keys: CHARSET and its value; sort order and charset
	keys []wire.Token // search keys
}

var errProgram = bad("The search program does not follow the grammar")

// readProgram takes a command apart.
func readProgram(m *wire.Message) (p program, err error) {
	p.head, p.keys = m.Name, m.Tokens
	if begins(p.keys, "RETURN") {
		end := listEnd(p.keys, 1)
		if end < 0 {
			return p, bad("RETURN takes a list of result options")
		}
		p.ret, p.keys = p.keys[:end], p.keys[end:]
	}
	n := 0
	switch base := strings.TrimPrefix(m.Name, "UID "); {
	case base == "SORT":
		if n = listEnd(p.keys, 0); n < 0 {
			return p, errProgram
		}
		n++
	case base == "THREAD":
		n = 2
	case begins(p.keys, "CHARSET"):
		n = 2
	}
	if len(p.keys) <= n {
		return p, errProgram
	}
	p.args, p.keys = p.keys[:n], p.keys[n:]
	return p, nil
}

func begins(tokens []wire.Token, word string) bool { return len(tokens) > 0 && tokens[0].Is(word) }

// listEnd returns what is behind the list that begins at tokens[at]; -1 for none.
func listEnd(tokens []wire.Token, at int) int {
	depth := 0
	for i := at; i < len(tokens); i++ {
		switch tokens[i].Kind {
		case wire.Open:
			depth++
		case wire.Close:
			depth--
		}
		if depth == 0 {
			if i == at {
				return -1
			}
			return i + 1
		}
	}
	return -1
}

// command returns the command under the same name without its result options.
func (p program) command() *wire.Message {
	return &wire.Message{Name: p.head, Tokens: joined(p.args, p.keys)}
}

// message returns the command with all its parts.
func (p program) message() *wire.Message {
	return &wire.Message{Name: p.head, Tokens: joined(p.ret, p.args, p.keys)}
}

func joined(parts ...[]wire.Token) []wire.Token {
	var all []wire.Token
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// replace gives f each search key with its arguments, and puts what it returns in its place; nil leaves
// the key as it is. Operators and parentheses stay. It is one pass without recursion, however deep the
// program is: the notation has its operators in front, so that every token is a key's first or belongs to
// the key before it.
func (p program) replace(f func(key []wire.Token) ([]wire.Token, error)) (program, error) {
	var keys []wire.Token
	for rest := p.keys; len(rest) > 0; {
		n, err := keyLength(rest)
		if err != nil {
			return p, err
		}
		key := rest[:n]
		rest = rest[n:]
		with, err := f(key)
		if err != nil {
			return p, err
		}
		if with == nil {
			with = key
		}
		keys = append(keys, with...)
	}
	p.keys = keys
	return p, nil
}

// noMessage is a search key that nothing matches. Courier takes no NOT behind NOT, so it has parentheses.
func noMessage() []wire.Token { return wire.List(wire.Word("NOT"), wire.Word("ALL")) }

// has reports whether f is true of any token that could be a search key.
func (p program) has(f func(wire.Token) bool) bool {
	for _, t := range p.keys {
		if f(t) {
			return true
		}
	}
	return false
}

// keyLength returns how many tokens the search key that tokens begin with has.
func keyLength(tokens []wire.Token) (int, error) {
	t := tokens[0]
	if t.Kind == wire.Open || t.Kind == wire.Close {
		return 1, nil
	}
	if t.Kind != wire.Atom || len(t.Text) == 0 {
		return 0, errProgram
	}
	if isNumbers(t) || isSaved(t) {
		return 1, nil
	}
	n, known := searchKeys[strings.ToUpper(string(t.Text))]
	switch {
	case !known:
		return 0, bad("A search key is unknown")
	case t.Is("MODSEQ") && len(tokens) > 1 && tokens[1].Kind == wire.Quoted:
		n = 3 // with entry name and type (RFC 7162 section 3.1.5)
	}
	if len(tokens) <= n {
		return 0, errProgram
	}
	for _, arg := range tokens[1 : n+1] {
		if !arg.IsString() {
			return 0, errProgram
		}
	}
	return n + 1, nil
}

// isNumbers reports whether t is a set of message numbers, if it stands in the place of a key.
func isNumbers(t wire.Token) bool {
	return t.Kind == wire.Atom && len(t.Text) > 0 && ('0' <= t.Text[0] && t.Text[0] <= '9' || t.Text[0] == '*')
}

// searchKeys are all search keys with the number of their arguments. NOT, OR and FUZZY have none here,
// because keys follow them.
var searchKeys = map[string]int{
	// RFC 3501 section 6.4.4
	"ALL": 0, "ANSWERED": 0, "DELETED": 0, "DRAFT": 0, "FLAGGED": 0, "NEW": 0, "OLD": 0, "RECENT": 0, "SEEN": 0,
	"UNANSWERED": 0, "UNDELETED": 0, "UNDRAFT": 0, "UNFLAGGED": 0, "UNSEEN": 0,
	"BCC": 1, "BEFORE": 1, "BODY": 1, "CC": 1, "FROM": 1, "KEYWORD": 1, "LARGER": 1, "ON": 1, "SENTBEFORE": 1,
	"SENTON": 1, "SENTSINCE": 1, "SINCE": 1, "SMALLER": 1, "SUBJECT": 1, "TEXT": 1, "TO": 1, "UID": 1, "UNKEYWORD": 1,
	"HEADER": 2,
	"NOT":    0, "OR": 0,
	"OLDER": 1, "YOUNGER": 1, // RFC 5032
	"MODSEQ":  1,                // RFC 7162
	"FUZZY":   0,                // RFC 6203
	"FILTER":  1,                // RFC 5466
	"EMAILID": 1, "THREADID": 1, // RFC 8474
	"SAVEDATESUPPORTED": 0, "SAVEDBEFORE": 1, "SAVEDON": 1, "SAVEDSINCE": 1, // RFC 8514
	"X-GM-RAW": 1, "X-GM-MSGID": 1, "X-GM-THRID": 1, "X-GM-LABELS": 1,
}

// wantsKeys says of a command with a search program whether it has to be looked into: is is true of an atom
// in it, or it goes on behind a literal.
func wantsKeys(m *wire.Message, is func(wire.Token) bool) bool {
	for _, t := range m.Tokens {
		if is(t) {
			return true
		}
	}
	_, more := m.Literal()
	return more
}
