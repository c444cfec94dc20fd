package wire

import (
	"bytes"
	"errors"
	"io"
	"math"
)

// DefaultMaxHeld is how many octets of a response's line are held when somebody asks for it whole.
const DefaultMaxHeld = 1 << 20

// A Desync says that what a backend sends cannot be understood, so that nothing more of it may be
// believed: the connection must be closed and never be used again.
type Desync struct{ Text string }

func (d *Desync) Error() string { return "out of sync: " + d.Text }

// Responses reads the responses of one backend (RFC 3501 section 7) and passes them on.
//
// The order of calls is: [Responses.Next] parses a head and consumes nothing. Then either
// [Responses.Pass] moves the message to the Writer as it is, or [Responses.Skip] drops it, or
// [Responses.Load] gives its first line as tokens, after which Pass and Skip are still possible. After
// Load, [Responses.DropLine] consumes the line alone, so that the caller can write another in its place and let
// Pass move the rest; [Responses.Literal] and [Responses.Continue] read on instead. Where a literal
// follows, [Responses.Begin] locks the Writer for both. After an error of the source that is not final,
// such as an expired deadline, the same call can be made again.
//
// Passed bytes are written when the reader needs more from the backend, when something else must go
// first, or with [Responses.Settle]; so several small messages leave in one write. The Writer is locked
// from the first passed byte that is written of a message to the message's end.
type Responses struct {
	buffer
	// MaxHeld is the limit of a line that is held whole, in octets.
	MaxHeld int
	// Before is called before the reader waits for the backend, and before what was passed so far
	// leaves; nil is nothing.
	Before func()
	// Odd counts lines that were repaired: a bare LF at the end, a bare CR within.
	Odd int

	out      *Writer
	drop     bool   // what is moved is dropped, not passed
	mark     int    // b[mark:r] was passed and is not written yet
	begun    int    // where the message begins; at most mark where a part of it was written or dropped
	locked   bool   // out is locked: a part of a message was written
	torn     bool   // reading was abandoned then
	inside   bool   // a part of the message has been consumed, its end has not
	text     bool   // the message is a status response: no literal can follow
	lineEnd  int    // end of the loaded line, as an offset from r; 0 where none is loaded
	fault    *Fault // of the loaded line
	rest     lexer  // what LoadPart has not given yet of the loaded line
	lit      Token  // that the loaded line announces; its Kind is 0 where there is none
	left     int64  // octets of a literal at r
	quotes   quotes // at r, within a line that is being passed in pieces
	depth    int    // open parentheses before the next line that is loaded
	done     bool   // the message has been consumed
	answered bool   // the message is a tagged answer
	padding  int    // octets of NUL dropped in front of the message
	held     []byte // what Literal has so far
}

// NewResponses returns a reader of responses that passes to out, which may be nil where nothing is
// passed.
func NewResponses(src io.Reader, out *Writer) *Responses {
	r := responsesPool.Get().(*Responses)
	r.src, r.MaxHeld, r.out = src, DefaultMaxHeld, out
	return r
}

// GiveBack ends the use of a reader that stands between messages, and has passed on what it was to pass, with its
// buffer: another one that is made there and then reads on where it has stopped.
func (r *Responses) GiveBack() {
	giveBack(r.b)
	*r = Responses{}
	responsesPool.Put(r)
}

// SetOut changes where messages are passed to. It is called between messages, after Settle.
func (r *Responses) SetOut(out *Writer) { r.out = out }

// Boundary reports whether nothing of a next response was read.
func (r *Responses) Boundary() bool { return !r.inside && r.r == r.w }

// Whole reports whether all that was written to the Writer ends with a whole message.
func (r *Responses) Whole() bool { return !r.locked && !r.torn }

// Next parses the head of the next message. For status responses and continuation requests the whole
// line is held and m.Text is what follows the type. A head that does not parse is a *Desync.
func (r *Responses) Next(m *Message) error {
	m.reset()
	if r.inside {
		return &Desync{"the response before was not read to its end"}
	}
	r.lineEnd, r.text, r.done, r.depth = 0, false, false, 0
	if r.lit.Kind != 0 || r.rest.line != nil {
		r.lit, r.rest = Token{}, lexer{}
	}
	if r.surplus() {
		if err := r.Settle(); err != nil {
			return err
		}
		r.settleDown()
		r.mark = r.r
	}
	for {
		if err := r.dropPadding(); err != nil {
			return err
		}
		if done, err := r.head(m); done || err != nil {
			r.begun, r.padding = r.r, 0
			return err
		}
		if err := r.more(r.MaxHeld); err != nil {
			if errors.Is(err, errLineTooLong) {
				return &Desync{"status line longer than the limit"}
			}
			return err
		}
	}
}

// maxPadding bounds how many octets of NUL may stand in front of a message.
const maxPadding = 1024

// dropPadding consumes NULs in front of a message: Exchange sends some at times.
func (r *Responses) dropPadding() error {
	n := 0
	for r.r+n < r.w && r.b[r.r+n] == 0 {
		n++
	}
	if n == 0 {
		return nil
	}
	if r.padding += n; r.padding > maxPadding {
		return badHead()
	}
	if err := r.Settle(); err != nil {
		return err
	}
	r.r += n
	r.mark = r.r
	r.Odd++
	return nil
}

// surplus reports whether the buffer is larger than what is likely to come: behind a tagged answer a
// backend is likely to be silent for long.
func (r *Responses) surplus() bool {
	return len(r.b) > smallBuffer && r.w-r.r <= smallBuffer/2 &&
		(r.answered || !r.flood || len(r.b) > largeBuffer)
}

// head parses the head at b[r:w]; false means that more is needed.
func (r *Responses) head(m *Message) (bool, error) {
	b := r.b[r.r:r.w]
	if len(b) > 0 && b[0] == '+' { // with or without a space behind it: servers send both
		m.Tag = b[:1]
		return r.status(m, b, 1)
	}
	sp := 0
	for sp < len(b) && sp <= maxTag && b[sp] > ' ' {
		sp++
	}
	switch {
	case sp == len(b) && sp <= maxTag:
		return false, nil
	case sp == 0 || sp > maxTag || b[sp] != ' ':
		return false, badHead()
	}
	m.Tag = b[:sp]
	r.answered = !m.Untagged()
	at := sp + 1
	if m.Untagged() {
		m.Num, at = cutNum(b, at)
	}
	end := at
	for end < len(b) && isNameChar(b[end]) {
		end++
	}
	if end == len(b) && end-at <= maxName {
		return false, nil
	}
	if end == at {
		return r.oddHead(m, b, at)
	}
	if end-at > maxName || '0' <= b[at] && b[at] <= '9' {
		return false, badHead()
	}
	m.Name = intern(b[at:end])
	if m.IsStatus() {
		return r.status(m, b, end)
	}
	if m.Untagged() {
		return true, nil
	}
	if m.Name == "UNAVAILABLE." && len(m.Tag) == len("Server") && equalFold(m.Tag, "Server") {
		m.Tag, m.Name, m.Odd = untagged, "BYE", true // Exchange says "Server Unavailable. 15" without any head
		return r.status(m, b, 0)
	}
	return false, badHead()
}

// oddHead reads two heads that are nearly right: a response code without a type, which is an OK, and a
// continuation request behind the tag of its command.
func (r *Responses) oddHead(m *Message, b []byte, at int) (bool, error) {
	switch {
	case m.Untagged() && m.Num == 0 && b[at] == '[':
		m.Name, m.Odd = "OK", true
		return r.status(m, b, at)
	case !m.Untagged() && b[at] == '+':
		m.For, m.Tag, m.Odd = m.Tag, b[at:at+1], true
		return r.status(m, b, at+1)
	}
	return false, badHead()
}

// status holds the line of a status response; from is where its text begins.
func (r *Responses) status(m *Message, b []byte, from int) (bool, error) {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		return false, nil
	}
	r.text, r.lineEnd = true, i+1
	line := trimLineEnd(b[:i+1])
	r.repairCR(line)
	if from < len(line) {
		m.Text = bytes.TrimPrefix(line[from:], []byte(" "))
	}
	return true, nil
}

// maxDigits bounds a number in front of a name; zeros may lead it.
const maxDigits = 20

// cutNum reads "12 " at b[at:]; without it, num is 0.
func cutNum(b []byte, at int) (num uint32, end int) {
	i := at
	var n uint64
	for i < len(b) && i-at < maxDigits && '0' <= b[i] && b[i] <= '9' && n < 1<<32 {
		n = n*10 + uint64(b[i]-'0')
		i++
	}
	if i == at || i == len(b) || b[i] != ' ' || n >= 1<<32 {
		return 0, at
	}
	return uint32(n), i + 1
}

// badHead shows nothing of the line: it could be anybody's mail.
func badHead() error {
	return &Desync{"a response begins neither with a tag nor with \"*\" or \"+\" and a name"}
}

// Load gives the message's first line as tokens; it stays to be passed, skipped or dropped. Status
// responses have no tokens. A *Fault says that the line is odd inside, or of a FETCH that it is longer than
// the limits: it can still be passed or skipped.
func (r *Responses) Load(m *Message) error {
	switch {
	case r.text:
		return nil
	case r.lineEnd > 0 && r.fault != nil:
		return r.fault
	case r.lineEnd > 0:
		return nil
	}
	text, n, err := r.first(m)
	if errors.Is(err, errHeld) && m.Name == "FETCH" {
		m.Tag, m.Tokens = untagged, m.Tokens[:0]
		return faultLength
	}
	if err != nil {
		return err
	}
	return r.lex(m, text, n)
}

// first holds the message's first line: what is behind its name, and its octets.
func (r *Responses) first(m *Message) (text []byte, n int, err error) {
	line, err := r.hold()
	if err != nil {
		return nil, 0, err
	}
	at := 2 // "* "
	if m.Num != 0 || line[at] == '0' {
		_, at = cutNum(line, at)
	}
	for isNameChar(line[at]) {
		at++
	}
	return trimLineEnd(line[at:]), len(line), nil
}

// maxFetchTokens bounds the tokens of a line of FETCH, of which the sender of a message decides: a token
// takes 40 octets of memory, and as few as one of the line.
const maxFetchTokens = 1 << 18

// lex splits the text of a loaded line of n octets. Whether a literal follows is decided exactly as in
// Pass.
func (r *Responses) lex(m *Message, text []byte, n int) error {
	r.repairCR(text)
	m.Tag = untagged
	lit, err := announcement(text, outside)
	if err != nil {
		return err
	}
	r.lit, r.lineEnd = lit, n
	x := lexer{line: text, lenient: true, depth: r.depth}
	max := math.MaxInt
	if m.Name == "FETCH" {
		max = maxFetchTokens
	}
	tokens, fault := x.some(m.Tokens[:0], max)
	if fault == nil && x.at < len(x.line) {
		fault = faultLength
	}
	if fault == nil && bytes.IndexByte(text, 0) >= 0 {
		fault = faultNUL
	}
	if r.fault = fault; fault != nil {
		m.Tokens = m.Tokens[:0]
		return fault
	}
	m.Tokens, r.depth = tokens, x.depth
	return nil
}

var errHeld = &Desync{"response line longer than the limit"}

// hold returns the line at r, whole, with its line end.
func (r *Responses) hold() ([]byte, error) {
	scanned := 0
	for {
		if i := bytes.IndexByte(r.b[r.r+scanned:r.w], '\n'); i >= 0 {
			return r.b[r.r : r.r+scanned+i+1], nil
		}
		scanned = r.w - r.r
		if err := r.more(r.MaxHeld); err != nil {
			if errors.Is(err, errLineTooLong) {
				return nil, errHeld
			}
			return nil, err
		}
	}
}
