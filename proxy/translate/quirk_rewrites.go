package translate

import (
	"bytes"

	"github.com/imapgate/imapgate/proxy/wire"
)

// always is for rewrites that look at every command.
func always(*Memory, string) bool { return true }

func only(names ...string) func(*Memory, string) bool {
	if len(names) == 1 {
		one := names[0]
		return func(_ *Memory, name string) bool { return name == one }
	}
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[name] = true
	}
	return func(_ *Memory, name string) bool { return set[name] }
}

// validCopyUID leaves a COPYUID out that says nothing: Exchange sends one with empty sets when there was
// nothing to copy.
func validCopyUID() Rewrite {
	return Rewrite{
		Name:      "exchange",
		Responses: only("OK"),
		Down: func(_ *Memory, m *wire.Message) (Verdict, error) {
			code, args, text := wire.Code(m.Text)
			if code != "COPYUID" {
				return Pass, nil
			}
			if _, err := ParseCopyUID(string(args)); err == nil {
				return Pass, nil
			}
			m.Text = text
			return Changed, nil
		},
	}
}

// expunged gives EXPUNGE its name.
func expunged() Rewrite {
	return Rewrite{
		Name:      "mailutils",
		Responses: only("EXPUNGED"),
		Down: func(_ *Memory, m *wire.Message) (Verdict, error) {
			m.Name = "EXPUNGE"
			return Changed, nil
		},
	}
}

// codeInFront moves a response code to where it has to stand: "NO APPEND [TRYCREATE] failed".
func codeInFront() Rewrite {
	return Rewrite{
		Name:      "mailutils",
		Responses: only("OK", "NO"),
		Down: func(_ *Memory, m *wire.Message) (Verdict, error) {
			word, rest, found := bytes.Cut(m.Text, []byte(" ["))
			if !found || bytes.IndexByte(word, ' ') >= 0 || len(word) == 0 || word[0] == '[' {
				return Pass, nil
			}
			code, text, found := bytes.Cut(rest, []byte("]"))
			if !found || !bytes.Equal(code, []byte("TRYCREATE")) {
				return Pass, nil
			}
			m.Text = bytes.Join([][]byte{[]byte("[TRYCREATE]"), word, bytes.TrimSpace(text)}, []byte(" "))
			return Changed, nil
		},
	}
}

// validEscapes writes strings anew in which something else than a quote or a backslash is escaped (RFC
// 3501 section 9, quoted-specials).
func validEscapes() Rewrite {
	return Rewrite{
		Name:      "groupwise",
		Responses: only("FETCH", "LIST", "LSUB", "STATUS"),
		Short:     true,
		Down: func(_ *Memory, m *wire.Message) (Verdict, error) {
			v := Pass
			for i, t := range m.Tokens {
				if t.Kind == wire.Quoted && oddEscape(t.Text) {
					m.Tokens[i] = wire.String(t.Value())
					m.Tokens[i].Glued = t.Glued
					v = Changed
				}
			}
			return v, nil
		},
	}
}

func oddEscape(text []byte) bool {
	for i := 0; i+1 < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		if i++; text[i] != '"' && text[i] != '\\' {
			return true
		}
	}
	return false
}

// bareEnvelope takes the parentheses away that Domino puts around "ENVELOPE (...)".
func bareEnvelope() Rewrite {
	return Rewrite{
		Name:      "domino",
		Responses: only("FETCH"),
		Short:     true,
		Down: func(_ *Memory, m *wire.Message) (Verdict, error) {
			from := wrapped(m.Tokens)
			if from < 0 {
				return Pass, nil
			}
			end := closing(m.Tokens, from)
			if end < 0 {
				return Pass, nil
			}
			glued := m.Tokens[from].Glued
			m.Tokens = append(m.Tokens[:end], m.Tokens[end+1:]...)
			m.Tokens = append(m.Tokens[:from], m.Tokens[from+1:]...)
			m.Tokens[from].Glued = glued
			return Changed, nil
		},
	}
}

// wrapped finds a list at the top level of a FETCH response that stands where an item's name should and
// begins with ENVELOPE; -1 where there is none.
func wrapped(tokens []wire.Token) int {
	depth := 0
	for i, t := range tokens {
		switch {
		case t.Kind == wire.Close:
			depth--
		case t.Kind != wire.Open:
		case depth == 1 && i+2 < len(tokens) && tokens[i+1].Is("ENVELOPE") && tokens[i+2].Kind == wire.Open:
			return i
		default:
			depth++
		}
	}
	return -1
}
