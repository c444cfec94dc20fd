package imaptest

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// A command is a client's command, literals and all.
type command struct {
	tag  string
	name string // upper case, UID joined with what follows
	uid  bool
	args []arg
	text string // behind the tag, as it came
}

// An arg is an atom, a string, or a list in parentheses.
type arg struct {
	text   string
	quoted bool // a quoted string or a literal
	list   []arg
	isList bool
}

func (c *command) shown() string {
	if c.name == "LOGIN" || c.name == "AUTHENTICATE" {
		return c.name
	}
	return c.text
}

// str returns argument i as a string, "" where there is none.
func (c *command) str(i int) string {
	if i >= len(c.args) {
		return ""
	}
	return c.args[i].text
}

// readCommand reads a line with its literals. A line that is not a command gives one without a name.
func (s *session) readCommand() (*command, error) {
	var whole strings.Builder
	for {
		line, err := s.in.ReadString('\n')
		if err != nil {
			return nil, err
		}
		line = strings.TrimRight(line, "\r\n")
		whole.WriteString(line)
		n, sync, ok := literalAt(line)
		if !ok {
			return parseCommand(whole.String()), nil
		}
		if sync {
			if _, err := io.WriteString(s.conn, "+ go on\r\n"); err != nil {
				return nil, err
			}
		}
		data := make([]byte, n)
		if _, err := io.ReadFull(s.in, data); err != nil {
			return nil, err
		}
		whole.WriteString("\r\n" + string(data))
	}
}

const maxLiteral = 64 << 20

// literalAt parses the {n} or {n+} at the end of a line.
func literalAt(line string) (n int, sync, ok bool) {
	open := strings.LastIndexByte(line, '{')
	if open < 0 || !strings.HasSuffix(line, "}") {
		return 0, false, false
	}
	digits, nonSync := strings.CutSuffix(line[open+1:len(line)-1], "+")
	n, err := strconv.Atoi(digits)
	return n, !nonSync, err == nil && n >= 0 && n <= maxLiteral
}

func parseCommand(text string) *command {
	c := &command{}
	c.tag, c.text, _ = strings.Cut(text, " ")
	p := &argParser{rest: c.text}
	args, err := p.list()
	if err != nil || len(args) == 0 {
		return c
	}
	c.name, c.args = strings.ToUpper(args[0].text), args[1:]
	if c.name == "UID" && len(c.args) > 0 {
		c.uid, c.name, c.args = true, "UID "+strings.ToUpper(c.args[0].text), c.args[1:]
	}
	return c
}

type argParser struct{ rest string }

var errSyntax = errors.New("syntax")

// list parses up to the closing parenthesis, or the end.
func (p *argParser) list() ([]arg, error) {
	var out []arg
	for {
		p.rest = strings.TrimLeft(p.rest, " ")
		if p.rest == "" || p.rest[0] == ')' {
			return out, nil
		}
		a, err := p.arg()
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
}

func (p *argParser) arg() (arg, error) {
	switch p.rest[0] {
	case '(':
		p.rest = p.rest[1:]
		list, err := p.list()
		if err != nil || p.rest == "" {
			return arg{}, errSyntax
		}
		p.rest = p.rest[1:]
		return arg{list: list, isList: true}, nil
	case '"':
		return p.quoted()
	case '{':
		return p.literal()
	}
	return p.atom(), nil
}

func (p *argParser) quoted() (arg, error) {
	var b strings.Builder
	for i := 1; i < len(p.rest); i++ {
		switch p.rest[i] {
		case '"':
			p.rest = p.rest[i+1:]
			return arg{text: b.String(), quoted: true}, nil
		case '\\':
			i++
		}
		if i < len(p.rest) {
			b.WriteByte(p.rest[i])
		}
	}
	return arg{}, errSyntax
}

func (p *argParser) literal() (arg, error) {
	head, data, ok := strings.Cut(p.rest, "\r\n")
	n, _, isLiteral := literalAt(head)
	if !ok || !isLiteral || n > len(data) {
		return arg{}, errSyntax
	}
	p.rest = data[n:]
	return arg{text: data[:n], quoted: true}, nil
}

// atom takes a section such as BODY[HEADER.FIELDS (TO)] for one atom.
func (p *argParser) atom() arg {
	depth, i := 0, 0
	for ; i < len(p.rest); i++ {
		c := p.rest[i]
		if depth == 0 && (c == ' ' || c == '(' || c == ')') {
			break
		}
		switch c {
		case '[':
			depth++
		case ']':
			depth--
		}
	}
	a := arg{text: p.rest[:i]}
	p.rest = p.rest[i:]
	return a
}

// A span is one element of a sequence set; "*" is 0.
type span struct{ from, to uint32 }

// parseSet parses a sequence or UID set (RFC 3501 section 9, sequence-set).
func parseSet(text string) ([]span, error) {
	var out []span
	for part := range strings.SplitSeq(text, ",") {
		from, to, isRange := strings.Cut(part, ":")
		if !isRange {
			to = from
		}
		a, err := setNumber(from)
		b, err2 := setNumber(to)
		if err != nil || err2 != nil {
			return nil, fmt.Errorf("%q is no set", text)
		}
		out = append(out, span{a, b})
	}
	return out, nil
}

func setNumber(text string) (uint32, error) {
	if text == "*" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if n == 0 && err == nil {
		err = errSyntax
	}
	return uint32(n), err
}

// contains reports whether n is in the set, where "*" is last.
func contains(set []span, n, last uint32) bool {
	for _, s := range set {
		from, to := s.from, s.to
		if from == 0 {
			from = last
		}
		if to == 0 {
			to = last
		}
		if n >= min(from, to) && n <= max(from, to) {
			return true
		}
	}
	return false
}
