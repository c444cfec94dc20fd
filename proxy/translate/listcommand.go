package translate

import (
	"slices"
	"strings"

	"github.com/imapgate/imapgate/proxy/wire"
)

// maxPatterns bounds the patterns of one LIST that are asked for one by one.
const maxPatterns = 20

// A listOption is an option of the extended LIST (RFC 5258 section 6), with its value where it has one.
type listOption struct {
	name  string       // upper case
	value []wire.Token // with the parentheses around it; nil for none
}

// A listCommand is a LIST, or one of its kin with the same arguments.
type listCommand struct {
	selects, returns []listOption
	reference        wire.Token
	patterns         []wire.Token // at least one
	extended         bool         // it has the form of RFC 5258 section 3, whatever is left of its options
}

// parseList reads the arguments of LIST in the basic or in the extended form.
func parseList(m *wire.Message) (*listCommand, error) {
	c, p := new(listCommand), listParser{rest: m.Tokens}
	if p.at(wire.Open) {
		c.extended = true
		c.selects = p.options()
	}
	c.reference = p.name()
	if p.at(wire.Open) {
		c.extended = true
		c.patterns = p.names()
	} else {
		c.patterns = []wire.Token{p.name()}
	}
	if !p.failed && len(p.rest) > 0 {
		c.extended = true
		p.word("RETURN")
		c.returns = p.options()
	}
	if p.failed || len(p.rest) > 0 {
		return nil, bad(m.Name + " takes a reference and a mailbox name with possible wildcards, or the arguments of RFC 5258")
	}
	return c, nil
}

// A listParser takes arguments from the front of rest. Once it has failed, what it returns means nothing.
type listParser struct {
	rest   []wire.Token
	failed bool
}

func (p *listParser) at(k wire.Kind) bool { return len(p.rest) > 0 && p.rest[0].Kind == k }

func (p *listParser) next() wire.Token {
	if len(p.rest) == 0 {
		p.failed = true
		return wire.Token{}
	}
	t := p.rest[0]
	p.rest = p.rest[1:]
	return t
}

// name takes a name or a pattern, which ends where a space or a parenthesis does.
func (p *listParser) name() wire.Token {
	t := p.next()
	if !t.IsString() || t.Kind == wire.Literal && t.Text == nil {
		p.failed = true
	}
	if len(p.rest) > 0 && p.rest[0].Glued && p.rest[0].Kind != wire.Close {
		p.failed = true
	}
	return t
}

func (p *listParser) word(text string) {
	if t := p.next(); !t.Is(text) {
		p.failed = true
	}
}

// names takes a list of one or more names.
func (p *listParser) names() (names []wire.Token) {
	p.next()
	for !p.failed && !p.at(wire.Close) {
		names = append(names, p.name())
	}
	p.next()
	if len(names) == 0 {
		p.failed = true
	}
	return names
}

// options takes a list of options, which may be empty.
func (p *listParser) options() (options []listOption) {
	if t := p.next(); t.Kind != wire.Open {
		p.failed = true
	}
	for !p.failed && !p.at(wire.Close) {
		t := p.next()
		if t.Kind != wire.Atom {
			p.failed = true
		}
		o := listOption{name: strings.ToUpper(string(t.Text))}
		if p.at(wire.Open) {
			o.value = p.group()
		}
		options = append(options, o)
	}
	p.next()
	return options
}

// group takes a list with all that is in it.
func (p *listParser) group() []wire.Token {
	for i, depth := 0, 0; i < len(p.rest); i++ {
		switch p.rest[i].Kind {
		case wire.Open:
			depth++
		case wire.Close:
			depth--
		}
		if depth == 0 {
			group := p.rest[:i+1]
			p.rest = p.rest[i+1:]
			return group
		}
	}
	p.failed = true
	return nil
}

// takeSelect takes a selection option out of the command.
func (c *listCommand) takeSelect(name string) (listOption, bool) { return takeOption(&c.selects, name) }

// takeReturn takes a return option out of the command.
func (c *listCommand) takeReturn(name string) (listOption, bool) { return takeOption(&c.returns, name) }

func takeOption(options *[]listOption, name string) (taken listOption, ok bool) {
	*options = slices.DeleteFunc(*options, func(o listOption) bool {
		if o.name != name {
			return false
		}
		taken, ok = o, true
		return true
	})
	return taken, ok
}

// wantReturn adds a return option, once.
func (c *listCommand) wantReturn(name string) {
	takeOption(&c.returns, name)
	c.returns = append(c.returns, listOption{name: name})
	c.extended = true
}

// root reports a request for the hierarchy delimiter, which only the basic form can make (RFC 9051
// section 6.3.9).
func (c *listCommand) root() bool { return !c.extended && c.patterns[0].Value() == "" }

// message is the command as it stands now. It is in the basic form where that means the same: an empty
// pattern matches nothing in the extended form and is a request for the delimiter in the other.
func (c *listCommand) message() *wire.Message {
	var args []wire.Token
	if len(c.selects) > 0 {
		args = append(args, optionList(c.selects)...)
	}
	args = append(args, mailboxToken(c.reference))
	if len(c.patterns) > 1 || c.extended && c.patterns[0].Value() == "" {
		var patterns []wire.Token
		for _, p := range c.patterns {
			patterns = append(patterns, mailboxToken(p))
		}
		args = append(args, wire.List(patterns...)...)
	} else {
		args = append(args, mailboxToken(c.patterns[0]))
	}
	if len(c.returns) > 0 {
		args = append(append(args, wire.Word("RETURN")), optionList(c.returns)...)
	}
	return wire.Command("LIST", args...)
}

func optionList(options []listOption) []wire.Token {
	var inside []wire.Token
	for _, o := range options {
		inside = append(append(inside, wire.Word(o.name)), o.value...)
	}
	return wire.List(inside...)
}

// basic is a LIST or LSUB in the basic form, for one pattern.
func (c *listCommand) basic(name, pattern string) *wire.Message {
	return wire.Command(name, mailboxToken(c.reference), patternToken(pattern))
}

// patternToken writes a pattern that was made from another one: 8-bit text stays in quotes, as where it
// came from (RFC 6855 section 3).
func patternToken(pattern string) wire.Token {
	t := wire.String(pattern)
	if t.Kind == wire.Literal && len(pattern) < 1000 && !strings.ContainsAny(pattern, "\r\n\x00") {
		return wire.Token{Kind: wire.Quoted, Text: escaped(pattern)}
	}
	return t
}

func escaped(text string) []byte {
	return []byte(strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text))
}

// endsInLiteral reports whether the line that was read does not show all of a command.
func endsInLiteral(m *wire.Message) bool {
	_, more := m.Literal()
	return more
}

// listsMore reports a LIST that is not in the basic form, or of which that is not seen yet.
func listsMore(m *wire.Message, _ *Memory) bool {
	for i := range m.Tokens {
		if m.Tokens[i].Kind == wire.Open {
			return true
		}
	}
	return len(m.Tokens) > 2 || endsInLiteral(m)
}
