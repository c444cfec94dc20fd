package translate

import (
	"strings"

	"github.com/imapgate/imapgate/proxy/wire"
)

// nameArgs are the places of mailbox names in commands, from 0: those that a quirk of a server is about.
var nameArgs = map[string][]int{
	"SELECT": {0}, "EXAMINE": {0}, "CREATE": {0}, "DELETE": {0}, "RENAME": {0, 1}, "SUBSCRIBE": {0},
	"UNSUBSCRIBE": {0}, "LIST": {0, 1}, "LSUB": {0, 1}, "STATUS": {0}, "APPEND": {0},
	"COPY": {1}, "UID COPY": {1}, "MOVE": {1}, "UID MOVE": {1},
	"GETQUOTAROOT": {0}, "SETACL": {0}, "DELETEACL": {0}, "GETACL": {0}, "LISTRIGHTS": {0}, "MYRIGHTS": {0},
}

func hasName(_ *Memory, head string) bool {
	_, ok := nameArgs[head]
	return ok
}

// eachName calls f for each mailbox name in a command's simple form.
func eachName(m *wire.Message, f func(t *wire.Token) error) error {
	for _, i := range nameArgs[m.Name] {
		if i >= len(m.Tokens) || !m.Tokens[i].IsString() {
			return nil // a list of selection options comes first, or what the backend may refuse
		}
		if m.Tokens[i].Kind == wire.Literal && m.Tokens[i].Text == nil {
			continue
		}
		if err := f(&m.Tokens[i]); err != nil {
			return err
		}
	}
	return nil
}

// quoteNames writes mailbox names in the form that a server understands.
func quoteNames(quirk string, form func(t wire.Token) wire.Token) Rewrite {
	return Rewrite{
		Name:     quirk,
		Commands: hasName,
		Up: func(_ *Memory, m *wire.Message) error {
			return eachName(m, func(t *wire.Token) error {
				glued := t.Glued
				*t = form(*t)
				t.Glued = glued
				return nil
			})
		},
	}
}

// quoted writes an atom in quotes.
func quoted(t wire.Token) wire.Token {
	if t.Kind != wire.Atom {
		return t
	}
	return wire.String(t.Value())
}

// literalBackslash writes a name with a backslash as a literal, in which nothing has to be escaped.
func literalBackslash(t wire.Token) wire.Token {
	name := t.Value()
	if t.Kind == wire.Literal || !strings.ContainsRune(name, '\\') {
		return quoted(t)
	}
	return wire.Token{Kind: wire.Literal, Size: int64(len(name)), Text: []byte(name)}
}

// noTrailingSpace refuses names that end in a space.
func noTrailingSpace() Rewrite {
	return Rewrite{
		Name:     "exchange2007",
		Commands: hasName,
		Up: func(_ *Memory, m *wire.Message) error {
			return eachName(m, func(t *wire.Token) error {
				if strings.HasSuffix(t.Value(), " ") && !openNowhere(m, t, "") {
					return no("CANNOT", "The mail server takes no mailbox name that ends in a space")
				}
				return nil
			})
		},
	}
}

// noNamespace refuses NAMESPACE, on which the connection would end.
func noNamespace() Rewrite {
	return Rewrite{
		Name:     "exchange2003",
		Commands: only("NAMESPACE"),
		Up:       func(*Memory, *wire.Message) error { return bad("The mail server does not know NAMESPACE") },
	}
}

// noCharset takes CHARSET out of a search that is all ASCII, and refuses others (RFC 3501 section 6.4.4).
func noCharset() Rewrite {
	return Rewrite{
		Name:     "exchange2003",
		Commands: only("SEARCH", "UID SEARCH"),
		Up: func(_ *Memory, m *wire.Message) error {
			at := charsetPlace(m.Tokens)
			for _, t := range m.Tokens {
				if !isASCII(t.Text) {
					return &Refused{Status: wire.Status{Type: "NO", Code: "BADCHARSET", Args: "(US-ASCII)", Text: "The mail server searches for ASCII text only"}}
				}
			}
			if at+1 < len(m.Tokens) && m.Tokens[at].Is("CHARSET") {
				m.Tokens = append(m.Tokens[:at], m.Tokens[at+2:]...)
			}
			return nil
		},
	}
}

// charsetPlace is where the arguments of SEARCH may say CHARSET: first, or behind RETURN (RFC 4466 section
// 2.6.1). Anywhere else it is a text to look for.
func charsetPlace(tokens []wire.Token) int {
	if args := arguments(tokens); len(args) > 1 && says(tokens[args[0].from], "RETURN") {
		return args[1].to
	}
	return 0
}

func isASCII(text []byte) bool {
	for _, c := range text {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

// fewLiterals writes literals in quotes where they can be, and refuses what is still more than a server
// takes. Message data is none of its business.
func fewLiterals(octets int64, count int) Rewrite {
	return Rewrite{
		Name:     "uw",
		Commands: always,
		Up: func(_ *Memory, m *wire.Message) error {
			n := 0
			for i := range m.Tokens {
				t := &m.Tokens[i]
				if t.Kind != wire.Literal || t.Text == nil {
					continue
				}
				if s := wire.String(string(t.Text)); s.Kind == wire.Quoted && !t.Binary && m.Name != "APPEND" {
					s.Glued = t.Glued
					*t = s
					continue
				}
				if n++; t.Size > octets || n > count {
					return bad("The mail server does not take so long or so many literals")
				}
			}
			return nil
		},
	}
}
