package translate

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/wire"
)

// oldFetch answers what clients of IMAP2bis and of RFC 1730 ask for and RFC 3501 has dropped: the items
// RFC822.PEEK, RFC822.TEXT.PEEK, RFC822.HEADER.LINES and RFC822.HEADER.LINES.NOT, and the command PARTIAL
// (RFC 1730 section 6.4.5). Each becomes a BODY item, and is answered under the name that was asked for.
func oldFetch() *Translation {
	return &Translation{
		Name:     "old-fetch",
		Commands: []string{"FETCH", "UID FETCH", "PARTIAL", "UID PARTIAL"},
		Polyfill: true,
		Offers:   func(Peers) []imap.Cap { return nil },
		Takes:    func(Peers) bool { return true },
		Wants:    wantsOldFetch,
		Run:      runOldFetch,
	}
}

// wantsOldFetch looks for an item that is none any more. What stands behind a literal is not looked at:
// these items have none in front.
func wantsOldFetch(m *wire.Message, _ *Memory) bool {
	if strings.HasSuffix(m.Name, "PARTIAL") {
		return true
	}
	for i := range m.Tokens {
		if t := &m.Tokens[i]; t.Kind == wire.Atom && len(t.Text) > 7 && isOldItem(t) {
			return true
		}
	}
	return false
}

func isOldItem(t *wire.Token) bool {
	return t.Is("RFC822.PEEK") || t.Is("RFC822.TEXT.PEEK") || t.Is("RFC822.HEADER.LINES") || t.Is("RFC822.HEADER.LINES.NOT")
}

// oldItems gives the BODY item of an item without list: what is asked for, as it is answered, and under
// which name the client knows it.
var oldItems = map[string]struct{ ask, answer, name string }{
	"RFC822":           {"BODY[]", "BODY[]", "RFC822"},
	"RFC822.PEEK":      {"BODY.PEEK[]", "BODY[]", "RFC822"},
	"RFC822.TEXT":      {"BODY[TEXT]", "BODY[TEXT]", "RFC822.TEXT"},
	"RFC822.TEXT.PEEK": {"BODY.PEEK[TEXT]", "BODY[TEXT]", "RFC822.TEXT"},
	"RFC822.HEADER":    {"BODY.PEEK[HEADER]", "BODY[HEADER]", "RFC822.HEADER"},
}

func runOldFetch(m *wire.Message, x Exchange) error {
	o := &oldNames{x: x, names: make(map[string]string)}
	cmd, err := o.fetch(m)
	if strings.HasSuffix(m.Name, "PARTIAL") {
		cmd, err = o.partial(m)
	}
	if err != nil {
		return err
	}
	if wantsBinary(cmd, nil) && !lists(x.Peers().Real, imap.CapBinary) { // whose answers are written below, past o.sink
		return no("CANNOT", "Ask for BINARY and for items of older protocols in two commands")
	}
	s, err := x.Do(cmd, o.sink)
	if err != nil {
		return err
	}
	return x.Reply(s)
}

// An oldNames gives the items of FETCH responses the names under which the client knows them.
type oldNames struct {
	x     Exchange
	names map[string]string // by the name that the backend answers, up to "(" where it has a list
}

// fetch replaces the old items of a FETCH.
func (o *oldNames) fetch(m *wire.Message) (*wire.Message, error) {
	cmd := wire.Command(m.Name)
	for i := 0; i < len(m.Tokens); i++ {
		t := m.Tokens[i]
		switch {
		case t.Kind != wire.Atom || !isOldItem(&t):
			cmd.Tokens = append(cmd.Tokens, t)
		case t.Is("RFC822.HEADER.LINES"), t.Is("RFC822.HEADER.LINES.NOT"):
			end := closing(m.Tokens, i+1)
			if i+1 == len(m.Tokens) || m.Tokens[i+1].Kind != wire.Open || end < 0 {
				return nil, bad(m.Name + ": " + string(t.Text) + " takes a list of header fields")
			}
			section := strings.Replace(strings.ToUpper(string(t.Text)), "RFC822.HEADER.LINES", "HEADER.FIELDS", 1)
			ask := wire.Word("BODY.PEEK[" + section)
			ask.Glued = t.Glued
			cmd.Tokens = append(append(append(cmd.Tokens, ask), m.Tokens[i+1:end+1]...), glued("]"))
			o.names["BODY["+section] = "RFC822.HEADER"
			i = end
		default:
			old := oldItems[strings.ToUpper(string(t.Text))]
			ask := wire.Word(old.ask)
			ask.Glued = t.Glued
			cmd.Tokens = append(cmd.Tokens, ask)
			o.names[old.answer] = old.name
		}
	}
	return cmd, nil
}

// partial makes a FETCH of PARTIAL: a message, an item, the first octet from 1, and how many.
func (o *oldNames) partial(m *wire.Message) (*wire.Message, error) {
	if len(m.Tokens) != 4 || m.Tokens[0].Kind != wire.Atom || m.Tokens[1].Kind != wire.Atom {
		return nil, bad(m.Name + " takes a message, an item, an octet and a number of octets")
	}
	first, ok1 := number64(m.Tokens[2].Value())
	count, ok2 := number64(m.Tokens[3].Value())
	if !ok1 || !ok2 || first == 0 || count == 0 {
		return nil, bad(m.Name + ": the first octet is 1, and at least one is fetched")
	}
	item := strings.ToUpper(string(m.Tokens[1].Text))
	old, known := oldItems[item]
	if !known {
		if !strings.HasPrefix(item, "BODY[") && !strings.HasPrefix(item, "BODY.PEEK[") || !strings.HasSuffix(item, "]") {
			return nil, bad(m.Name + ": " + clip(item) + " cannot be fetched in part")
		}
		old.ask, old.answer = item, strings.Replace(item, ".PEEK", "", 1)
		old.name = old.answer
	}
	offset := strconv.FormatInt(first-1, 10)
	o.names[old.answer+"<"+offset+">"] = old.name
	ask := wire.Word(old.ask + "<" + offset + "." + strconv.FormatInt(count, 10) + ">")
	return wire.Command(strings.Replace(m.Name, "PARTIAL", "FETCH", 1), m.Tokens[0], ask), nil
}

func (o *oldNames) sink(m *wire.Message) (Verdict, error) {
	if m.Name != "FETCH" || !isAnswer(m) {
		return Pass, nil
	}
	body := o.x.Body()
	r := &renaming{names: o.names, out: body.Writer()}
	r.out.Numbered(m.Num, "FETCH")
	for r.line(m) {
		if err := body.Copy(r.out); err != nil {
			return Drop, err
		}
		if err := body.Next(m); err != nil {
			return Drop, err
		}
	}
	r.out.CRLF()
	return Drop, body.End()
}

// A renaming is one response that is written under other names.
type renaming struct {
	names map[string]string
	out   *wire.Writer
	walk  fetchWalk
	drop  bool // the rest of a name that is replaced
}

// line writes one line, and reports whether a literal follows it.
func (r *renaming) line(m *wire.Message) bool {
	for i := range m.Tokens {
		t := m.Tokens[i]
		role := r.walk.next(&t)
		if t.Kind == wire.Literal && t.Text == nil {
			r.out.LiteralHead(t)
			return true
		}
		if role == itemName {
			name, renamed := r.names[string(bytes.ToUpper(t.Text))]
			if r.drop = renamed; renamed {
				t = wire.Word(name)
				t.Glued = m.Tokens[i].Glued
			}
		} else if role == itemRest && r.drop {
			continue
		}
		r.out.Token(&t)
	}
	return false
}
