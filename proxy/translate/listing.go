package translate

import (
	"iter"
	"slices"
	"strings"

	"github.com/imapgate/imapgate/proxy/wire"
)

// Bounds of a listing that is held because it has to be looked at whole.
const (
	maxListed       = 20_000  // names
	maxListedOctets = 8 << 20 // of all of it, with listedOverhead for each name
	listedOverhead  = 160
	maxLevels       = 100 // of a name, from its end, that are looked at
	// maxName bounds what is remembered of a single name outside a listing.
	maxName = 8 << 10
)

// octets is the length of tokens.
func octets(tokens []wire.Token) (n int) {
	for _, t := range tokens {
		n += len(t.Text)
	}
	return n
}

// A listLine is a LIST response, or one of its kin, in its parts. They point into the response.
type listLine struct {
	attrs    []wire.Token // atoms
	delim    wire.Token   // a quoted string, or NIL
	name     wire.Token
	extended []wire.Token // RFC 5258 section 6, mbox-list-extended; with its parentheses
}

// readListLine reads a response by its grammar; what is not a mailbox name is not ok.
func readListLine(m *wire.Message) (l listLine, ok bool) {
	end := slices.IndexFunc(m.Tokens, func(t wire.Token) bool { return t.Kind == wire.Close })
	if end < 1 || m.Tokens[0].Kind != wire.Open || len(m.Tokens) < end+3 || m.Num != 0 {
		return l, false
	}
	l = listLine{attrs: m.Tokens[1:end], delim: m.Tokens[end+1], name: m.Tokens[end+2], extended: m.Tokens[end+3:]}
	l.delim.Glued, l.name.Glued = false, false
	for _, t := range l.attrs {
		if t.Kind != wire.Atom {
			return l, false
		}
	}
	named := l.name.IsString() && (l.name.Kind != wire.Literal || l.name.Text != nil)
	return l, named && (l.delim.Kind == wire.Quoted || l.delim.Is("NIL"))
}

func (l *listLine) has(attr string) bool {
	for _, t := range l.attrs {
		if t.Is(attr) {
			return true
		}
	}
	return false
}

// selectable reports a mailbox that can be opened, as far as the line says.
func (l *listLine) selectable() bool { return !l.has(`\Noselect`) && !l.has(`\NonExistent`) }

// delimiter is the hierarchy delimiter; empty for NIL.
func (l *listLine) delimiter() string {
	if l.delim.Kind != wire.Quoted {
		return ""
	}
	return l.delim.Value()
}

// put writes the parts into the response again.
func (l *listLine) put(m *wire.Message) {
	tokens := append(wire.List(l.attrs...), l.delim, l.name)
	m.Tokens = append(tokens, l.extended...)
}

// A listed is a mailbox name of a listing that is held.
type listed struct {
	attrs    string // with spaces between them
	delim    string // empty for NIL
	name     string
	literal  bool // the name came as a literal
	extended []wire.Token
}

// each gives the attributes, which are atoms: whatever else a server writes into them, no spaces.
func (l *listed) each(yield func(string) bool) {
	if l.attrs == "" {
		return
	}
	strings.SplitSeq(l.attrs, " ")(yield)
}

func (l *listed) has(attr string) bool {
	for a := range l.each {
		if strings.EqualFold(a, attr) {
			return true
		}
	}
	return false
}

func (l *listed) add(attr string) {
	switch {
	case l.has(attr):
	case l.attrs == "":
		l.attrs = attr
	default:
		l.attrs += " " + attr
	}
}

func (l *listed) key() string { return listKey(l.name, l.delim) }

// message is the response for a held name.
func (l *listed) message() *wire.Message {
	var attrs []wire.Token
	for a := range l.each {
		attrs = append(attrs, wire.Word(a))
	}
	line := listLine{attrs: attrs, delim: wire.Word("NIL"), name: l.token(), extended: l.extended}
	if l.delim != "" {
		line.delim = wire.Token{Kind: wire.Quoted, Text: escaped(l.delim)}
	}
	m := wire.Data("LIST")
	line.put(m)
	return m
}

// token is the name, in the form in which it came: 8-bit text means one thing in quotes and another in a
// literal (RFC 6855 section 3).
func (l *listed) token() wire.Token {
	if l.literal {
		return wire.Token{Kind: wire.Literal, Size: int64(len(l.name)), Text: []byte(l.name)}
	}
	return patternToken(l.name)
}

// ancestors are the names above a name, the nearest first, up to maxLevels.
func (l *listed) ancestors(yield func(string) bool) { ancestors(l.name, l.delim)(yield) }

func ancestors(name, delim string) iter.Seq[string] {
	return func(yield func(string) bool) {
		if delim == "" {
			return
		}
		name = strings.TrimSuffix(name, delim)
		for range maxLevels {
			i := strings.LastIndex(name, delim)
			if i < 0 || !yield(name[:i]) {
				return
			}
			name = name[:i]
		}
	}
}

// A listing is mailbox names that are held, in the order in which they came, each once.
type listing struct {
	names   []listed
	places  map[string]int // by listKey
	attrs   map[string]string
	octets  int
	tooMany bool // a name was left out because of the bounds
}

// listKey is what makes two names the same: INBOX has no case (RFC 3501 section 5.1), and some servers
// write names that only hold others with the delimiter behind them.
func listKey(name, delim string) string {
	if strings.EqualFold(name, "INBOX") {
		return "INBOX"
	}
	if delim != "" && len(name) > len(delim) {
		name = strings.TrimSuffix(name, delim)
	}
	return name
}

// add holds a name; false where the bounds do not allow it, for good.
func (l *listing) add(line *listLine) bool {
	name, delim := line.name.Value(), line.delimiter()
	if _, twice := l.places[listKey(name, delim)]; twice || l.tooMany {
		return !l.tooMany
	}
	attrs, known := l.joined(line.attrs)
	size := len(name) + listedOverhead
	if !known {
		size += len(attrs)
	}
	for _, t := range line.extended {
		size += len(t.Text) + listedOverhead
	}
	if len(l.names) == maxListed || l.octets+size > maxListedOctets {
		l.tooMany = true
		return false
	}
	if l.places == nil {
		l.places, l.attrs = make(map[string]int), make(map[string]string)
	}
	n := listed{attrs: attrs, delim: delim, name: name, literal: line.name.Kind == wire.Literal}
	for _, t := range line.extended {
		n.extended = append(n.extended, t.Clone())
	}
	l.octets += size
	l.attrs[attrs] = attrs
	l.places[n.key()] = len(l.names)
	l.names = append(l.names, n)
	return true
}

// joined renders attributes with spaces between them; known says that the listing holds such a text, of
// which there are few.
func (l *listing) joined(attrs []wire.Token) (text string, known bool) {
	var room [128]byte
	b := room[:0]
	for i, t := range attrs {
		if i > 0 {
			b = append(b, ' ')
		}
		b = append(b, t.Text...)
	}
	if text, known = l.attrs[string(b)]; known {
		return text, true
	}
	return string(b), false
}

// find returns a held name; nil for none.
func (l *listing) find(key string) *listed {
	if i, ok := l.places[key]; ok {
		return &l.names[i]
	}
	return nil
}

func (l *listing) has(key string) bool { return l.find(key) != nil }

// hold is the sink that takes the responses called name into l. Those that are no mailbox names are
// dropped: they cannot be told apart from what others may not see.
func (l *listing) hold(name string) Sink {
	return func(m *wire.Message) (Verdict, error) {
		if m.Name != name {
			return Pass, nil
		}
		if line, ok := readListLine(m); ok {
			l.add(&line)
		}
		return Drop, nil
	}
}

// holdSome is hold for a listing that may go on to the client unchanged: what is no mailbox name passes,
// and so does what is beyond the bounds.
func (l *listing) holdSome() Sink {
	return func(m *wire.Message) (Verdict, error) {
		if m.Name != "LIST" {
			return Pass, nil
		}
		if line, ok := readListLine(m); ok && l.add(&line) {
			return Drop, nil
		}
		return Pass, nil
	}
}

// tell writes all held names to the client.
func (l *listing) tell(x Exchange) error {
	for i := range l.names {
		if err := x.Untagged(l.names[i].message()); err != nil {
			return err
		}
	}
	return nil
}

// fill runs one LIST or LSUB and holds what it lists.
func (l *listing) fill(x Exchange, cmd *wire.Message) error {
	s, err := x.Do(cmd, l.hold(cmd.Name))
	switch {
	case err != nil:
		return err
	case !s.OK():
		return &Refused{Status: s}
	case l.tooMany:
		return no("LIMIT", "Too many mailboxes for this form of LIST")
	}
	return nil
}
