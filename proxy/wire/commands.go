package wire

import (
	"bytes"
	"errors"
	"io"
	"math"
)

const (
	maxTag      = 64 // octets of a client's tag
	maxLiterals = 32 // literals that one collected command may have
	maxSkip     = 1 << 20

	// longestAnnouncement is more than "~{9223372036854775807+}" and CRLF. As many octets of a line
	// are kept back when it is moved in pieces.
	longestAnnouncement = 64
)

// ErrTooMuch says that a peer sent more than is worth reading past: the connection should end.
var ErrTooMuch = errors.New("peer sends more than can be skipped")

// Commands reads the commands of one client (RFC 3501 section 2.2.1). Each line, up to CRLF or to a
// literal, is checked whole before it is handed out.
//
// The order of calls is: [Commands.Next]; then, as long as [Message.Literal] announces a literal,
// [Commands.CopyLiteral] and [Commands.Continue], or [Commands.Discard] at any point. After an error of
// the source that is not final, such as an expired deadline, the same call can be made again.
type Commands struct {
	buffer
	// MaxLine is the limit of a line in octets, CRLF not counted. MaxDrain is how many octets of one
	// command Discard reads past, its lines included; more is ErrTooMuch.
	MaxLine  int
	MaxDrain int64
	// MaxUnasked is the size of the largest non-synchronizing literal, {n+} (RFC 7888): a larger one is a
	// Fault, behind which Discard reads past it. -1 forbids all.
	MaxUnasked int64

	scanned int   // octets of b[r:w] in which there is no LF
	inside  bool  // a literal was announced: the command is not complete
	lit     Token // that literal
	left    int64 // octets of it that were not consumed
	depth   int   // open parentheses
	length  int   // octets of the command's lines so far
	alone   bool  // the line that Next has read is the whole command
	drained int64 // octets of the command that Discard has read

	held     *Message // what Collect has so far; nil outside it
	literals int      // of held
	heldSize int64    // octets of them

	tag      []byte // of a line that is being skipped
	skipping bool
	quotes   quotes // at r, within a line that is being skipped
	skipped  int
}

// NewCommands returns a reader of commands with limits of 64 KiB for a line and 64 MiB for what is
// read past.
func NewCommands(src io.Reader) *Commands {
	c := commandsPool.Get().(*Commands)
	c.src, c.MaxLine, c.MaxDrain, c.MaxUnasked = src, 64<<10, 64<<20, math.MaxInt64
	return c
}

// GiveBack ends the use of a reader that stands between commands, with its buffer: another one that is made
// there and then reads on where it has stopped.
func (c *Commands) GiveBack() {
	giveBack(c.b)
	*c = Commands{}
	commandsPool.Put(c)
}

// Boundary reports whether nothing of a next command was read: the reader stands between commands.
func (c *Commands) Boundary() bool { return !c.inside && c.r == c.w && !c.skipping }

// Complete reports whether the command that was read last has no more parts.
func (c *Commands) Complete() bool { return !c.inside }

// Next reads the head and the first line of the next command. A *Fault leaves m.Tag set where it could
// be read; Discard then consumes the rest of that command. What is left of the command before is
// discarded, so that no literal is ever taken for a command.
func (c *Commands) Next(m *Message) error {
	m.reset()
	if err := c.Discard(); err != nil {
		return err
	}
	if c.r == c.w || len(c.b) > smallBuffer {
		c.settleDown()
	}
	c.depth, c.length, c.drained, c.held, c.alone = 0, 0, 0, nil, false
	line, err := c.line()
	if errors.Is(err, errLineTooLong) {
		m.Tag = c.tag
	}
	if err != nil {
		return lineFault(err)
	}
	text, fault := chomp(line)
	tag, rest, ok := cutTag(text)
	if ok {
		m.Tag = tag
	} else if fault == nil {
		fault = faultTag
	}
	if fault == nil {
		m.Name, rest, fault = cutName(rest)
	}
	err = c.arguments(m, rest, fault)
	c.alone = err == nil && !c.inside
	return err
}

// Again reads the next command where it is buffered whole and differs in its tag alone from m, which was read by the call
// of Next or Again just before. It is false where nothing was read: that one has to be looked at closer. What came
// together is often alike, and a comparison costs less than any look.
func (c *Commands) Again(m *Message) bool {
	if !c.alone || c.r < c.length {
		return false
	}
	like := c.b[c.r-c.length+len(m.Tag) : c.r]
	tag, rest, ok := cutTag(c.b[c.r:c.w])
	if !ok || !bytes.HasPrefix(rest, like) || len(tag)+len(like) > c.MaxLine+2 {
		return false
	}
	m.Tag = tag
	c.length = len(tag) + len(like)
	c.r += c.length
	c.scanned = 0
	return true
}

// Continue reads the next line of the same command, after its literal was consumed. m.Tokens are those
// of the new line; m.Tag is no longer valid and is nil.
func (c *Commands) Continue(m *Message) error {
	m.Tag, m.Tokens = nil, m.Tokens[:0]
	line, err := c.line()
	if err != nil {
		return lineFault(err)
	}
	text, fault := chomp(line)
	return c.arguments(m, text, fault)
}

// ReadLine reads a line that is no command: an answer to a SASL challenge. It is valid until the next
// call and holds no CRLF.
func (c *Commands) ReadLine() ([]byte, error) {
	line, err := c.line()
	if err != nil {
		c.announce(Token{}, false) // what such a line ends in is no literal
		return nil, lineFault(err)
	}
	text, fault := chomp(line)
	if fault != nil {
		return nil, fault
	}
	return text, nil
}

// Discard consumes what is left of a command. A synchronizing literal that was not granted ends it,
// because its sender waits for "+" and is going to see a tagged answer in its place (RFC 3501 section
// 7.5); a non-synchronizing one is read past with all that follows it (RFC 7888 section 3).
func (c *Commands) Discard() error {
	for c.inside {
		if !c.lit.NonSync {
			c.announce(Token{}, false)
			return nil
		}
		if c.left > c.MaxDrain-c.drained {
			return ErrTooMuch
		}
		before := c.left
		err := c.consume(nil)
		c.drained += before - c.left
		if err != nil {
			return err
		}
		line, err := c.line()
		switch {
		case errors.Is(err, errLineTooLong):
			c.drained += int64(c.skipped)
		case err != nil:
			return err
		default:
			c.drained += int64(len(line))
			c.announce(trailingLiteral(trimLineEnd(line), outside))
		}
	}
	return nil
}

// Grant says that the client was told to send its synchronizing literal, so that Discard has to read it.
func (c *Commands) Grant() { c.lit.NonSync = true }

// CopyLiteral moves the announced literal's octets to w in bounded memory. A failure of w is a
// [*WriteError]; the reader stays usable for Discard.
func (c *Commands) CopyLiteral(w *Writer) error { return c.consume(w) }

func (c *Commands) take(n int) { c.r += n; c.left -= int64(n) }

// consume reads the literal's octets and writes them to w unless that is nil.
func (c *Commands) consume(w *Writer) error {
	for c.left > 0 {
		if c.r == c.w {
			if w != nil {
				if src, ok := c.moves(c.left, uploadFrom, w); ok {
					c.settleDown()
					return w.move(src, &c.left)
				}
			}
			if c.left >= largeBuffer && len(c.b) < largeBuffer {
				c.resize(borrowLarge())
			}
			if err := c.more(); err != nil {
				return err
			}
		}
		n := int(min(c.left, int64(c.w-c.r)))
		piece := c.b[c.r : c.r+n]
		c.take(n)
		if w != nil {
			if _, err := w.Write(piece); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Commands) more() error {
	if err := c.makeRoom(c.MaxLine + 2); err != nil {
		return err
	}
	return c.read()
}

// arguments tokenises what follows a head or a literal, and notes the literal at its end.
func (c *Commands) arguments(m *Message, text []byte, fault *Fault) error {
	if fault == nil && len(text) > 0 {
		x := lexer{line: text, depth: c.depth}
		m.Tokens, fault = x.tokens(m.Tokens)
		c.depth = x.depth
	}
	if fault != nil {
		c.announce(trailingLiteral(text, outside))
		if !c.inside && beyondAny(text) {
			c.announce(Token{Kind: Literal, NonSync: true, Size: math.MaxInt64}, true)
		}
		return fault
	}
	if t, literal := m.Literal(); literal || c.inside {
		c.announce(t, literal)
	}
	if c.inside && c.lit.NonSync && c.left > c.MaxUnasked {
		if c.MaxUnasked < 0 {
			return faultUnasked
		}
		return faultLarge
	}
	if !c.inside && c.depth != 0 {
		return faultNotEnded
	}
	return nil
}

// beyondAny reports a line that ends in {n+} with more digits than any literal has. What follows is the
// literal's, and not to be read as commands: Discard gives up on it.
func beyondAny(text []byte) bool {
	b, ok := bytes.CutSuffix(text, []byte("+}"))
	digits := len(b) - len(bytes.TrimRight(b, "0123456789"))
	return ok && digits >= 19 && digits < len(b) && b[len(b)-digits-1] == '{'
}

func (c *Commands) announce(t Token, ok bool) { c.inside, c.lit, c.left = ok, t, t.Size }

// line returns the next line with its line end. errLineTooLong means that it was skipped.
func (c *Commands) line() ([]byte, error) {
	for !c.skipping {
		if i := bytes.IndexByte(c.b[c.r+c.scanned:c.w], '\n'); i >= 0 {
			end := c.r + c.scanned + i + 1
			if end-c.r > c.MaxLine+2 {
				break
			}
			line := c.b[c.r:end]
			c.r, c.scanned = end, 0
			c.length += len(line)
			return line, nil
		}
		c.scanned = c.w - c.r
		if c.scanned > c.MaxLine+2 {
			break
		}
		err := c.makeRoom(c.MaxLine + 2)
		if errors.Is(err, errLineTooLong) {
			break
		}
		if err := c.read(); err != nil {
			return nil, err
		}
	}
	return nil, c.skipLine()
}

// skipLine consumes an over-long line in bounded memory and notes the literal at its end.
func (c *Commands) skipLine() error {
	if !c.skipping {
		c.skipping, c.quotes, c.skipped, c.scanned = true, outside, 0, 0
		c.tag = nil
		if tag, _, ok := cutTag(c.b[c.r:c.w]); ok {
			c.tag = bytes.Clone(tag)
		}
	}
	for {
		if i := bytes.IndexByte(c.b[c.r:c.w], '\n'); i >= 0 {
			c.announce(trailingLiteral(trimLineEnd(c.b[c.r:c.r+i+1]), c.quotes))
			c.r += i + 1
			c.skipped += i + 1
			c.skipping = false
			return errLineTooLong
		}
		piece := c.b[c.r:max(c.r, c.w-longestAnnouncement)]
		c.quotes = c.quotes.after(piece)
		c.r += len(piece)
		if c.skipped += len(piece); c.skipped > maxSkip {
			return ErrTooMuch
		}
		if err := c.makeRoom(c.MaxLine + 2); err != nil {
			return ErrTooMuch
		}
		if err := c.read(); err != nil {
			return err
		}
	}
}

func lineFault(err error) error {
	if errors.Is(err, errLineTooLong) {
		return faultLength
	}
	return err
}

// Await waits until something of a next command was read, and consumes nothing.
func (c *Commands) Await() error {
	if c.r < c.w {
		return nil
	}
	return c.more()
}
