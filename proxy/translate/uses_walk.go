package translate

import (
	"bytes"
	"strings"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/wire"
)

// A cursor walks over the arguments of a command, looks at the words at the places that [placesOf] names,
// and remembers the first capability that a gate refuses. It sees what is held of them, and does not
// allocate. A faulty command yields what its beginning yields: the backend answers that.
type cursor struct {
	gate   *Gate
	tokens []wire.Token
	at     int
	upper  [maxWord]byte
	taken  imap.Cap // empty for none
}

// maxWord is longer than any word of the tables.
const maxWord = 32

func (c *cursor) walk(name string) {
	switch strings.TrimPrefix(name, "UID ") {
	case "SEARCH":
		c.search(searchReturn)
	case "SORT":
		c.search(sortReturn)
	case "THREAD":
		c.thread()
	case "FETCH":
		c.set()
		c.fetch()
	case "STORE":
		c.set()
		c.store()
	case "COPY", "MOVE", "EXPUNGE":
		c.set()
	case "SELECT", "EXAMINE":
		c.parameters(openParameter)
	case "CREATE":
		c.parameters(newParameter)
	case "STATUS":
		c.parameters(statusItem)
	case "LIST":
		c.list()
	case "APPEND":
		c.argument()
		c.appended(0)
	case "REPLACE":
		c.argument()
		c.argument()
		c.appended(0)
	}
}

// found looks a word up that stands at a place.
func (c *cursor) found(p place, word []byte) {
	if c.taken == "" {
		c.taken, _ = c.gate.word(p, word)
	}
}

func (c *cursor) more() bool { return c.at < len(c.tokens) }

// next returns the next token; one of no kind at the end.
func (c *cursor) next() wire.Token {
	if !c.more() {
		return wire.Token{}
	}
	c.at++
	return c.tokens[c.at-1]
}

func (c *cursor) peek(k wire.Kind) bool { return c.more() && c.tokens[c.at].Kind == k }

func (c *cursor) peekWord(word string) bool { return c.more() && c.tokens[c.at].Is(word) }

// argument passes one argument: a token, or a list with all that is in it.
func (c *cursor) argument() {
	for depth := 0; c.more(); {
		switch c.next().Kind {
		case wire.Open:
			depth++
		case wire.Close:
			depth--
		}
		if depth <= 0 && (!c.more() || !c.tokens[c.at].Glued) {
			return
		}
	}
}

// word returns the next atom in upper case, until it is called again; nothing for what is no atom, and no
// more of a long one than any table has.
func (c *cursor) word() []byte {
	t := c.next()
	if t.Kind != wire.Atom {
		return nil
	}
	n := copy(c.upper[:], t.Text)
	for i, b := range c.upper[:n] {
		if 'a' <= b && b <= 'z' {
			c.upper[i] = b - 'a' + 'A'
		}
	}
	return c.upper[:n]
}

// options calls f for each word of the list that begins here, and once with "" where it is empty. Lists,
// numbers and strings are arguments of the word before.
func (c *cursor) options(p place) {
	if !c.peek(wire.Open) {
		return
	}
	c.at++
	if c.peek(wire.Close) {
		c.found(p, nil)
	}
	for c.more() && !c.peek(wire.Close) {
		switch {
		case c.peek(wire.Atom):
			word := c.word()
			if word[0] >= 'A' {
				c.found(p, word)
			}
			if p == listReturn && string(word) == "STATUS" {
				c.options(statusItem)
			}
		default:
			c.argument()
		}
	}
	c.at++
}

var dollar = []byte("$")

func (c *cursor) set() {
	if c.peekWord("$") {
		c.found(setPlace, dollar)
	}
	c.argument()
}

// parameters are the list behind a mailbox name.
func (c *cursor) parameters(p place) {
	c.argument()
	c.options(p)
}

func (c *cursor) search(p place) {
	if c.peekWord("RETURN") {
		c.at++
		c.options(p)
	}
	if p == sortReturn {
		c.options(sortKey)
		c.argument() // in which charset
	}
	c.program()
}

func (c *cursor) thread() {
	c.found(threadBy, c.word())
	c.argument()
	c.program()
}

// program walks over search keys. Where lists stand in it does not matter.
func (c *cursor) program() {
	for c.more() {
		key := c.word()
		if len(key) == 0 {
			continue
		}
		c.found(searchKey, key)
		n := searchArguments[string(key)]
		if string(key) == "MODSEQ" && c.peek(wire.Quoted) { // of one kind of metadata: name, type, number
			n = 3
		}
		for range n {
			c.argument()
		}
	}
}

func (c *cursor) fetch() {
	if c.peek(wire.Open) {
		c.at++
		for c.more() && !c.peek(wire.Close) {
			c.item()
			if c.peek(wire.Open) {
				c.argument()
			}
		}
		c.at++
	} else if c.item() && c.peek(wire.Open) && c.at+1 < len(c.tokens) && c.tokens[c.at+1].Is("LAZY") {
		c.argument() // RFC 8970 section 3.1
	}
	c.options(fetchModifier)
}

// item passes one item of FETCH with its section: BODY[HEADER.FIELDS (TO)]<0.9>. It reports PREVIEW, which
// may have a list behind it.
func (c *cursor) item() (preview bool) {
	whole := !c.more() || bytes.IndexByte(c.tokens[c.at].Text, '[') < 0 || bytes.IndexByte(c.tokens[c.at].Text, ']') >= 0
	name, _, _ := bytes.Cut(c.word(), []byte("["))
	c.found(fetchItem, name)
	if !whole {
		c.argument() // the bracket that ends the section is glued to the list in it
	}
	return string(name) == "PREVIEW"
}

func (c *cursor) store() {
	c.options(storeModifier)
	c.found(storeItem, bytes.TrimLeft(c.word(), "+-"))
}

func (c *cursor) list() {
	c.options(listSelection)
	c.argument()
	if c.peek(wire.Open) {
		c.found(listPattern, nil)
	}
	c.argument()
	if c.peekWord("RETURN") {
		c.at++
		c.options(listReturn)
	}
}

// appended is what stands behind the mailbox of APPEND, or behind a message of it: flags, a date, the words
// of extensions, and the next message.
func (c *cursor) appended(messages int) {
	for depth := 0; c.more(); {
		t := c.tokens[c.at]
		word := c.word()
		switch {
		case t.Kind == wire.Open:
			depth++
		case t.Kind == wire.Close:
			depth = max(0, depth-1) // the one that UTF8 (~{n} opened on the line before
		case depth == 0 && t.Kind == wire.Atom:
			c.found(appendWord, word)
		case depth == 0 && t.Kind == wire.Literal:
			if messages++; messages > 1 {
				c.found(appendMore, nil)
			}
			if t.Binary {
				c.found(appendBinary, nil)
			}
		}
	}
}
