package wire

import (
	"bytes"
	"errors"
	"io"
	"strconv"
)

// A WriteError is a failure to write to a peer, as opposed to one of reading from the other.
type WriteError struct{ Err error }

func (e *WriteError) Error() string { return "write: " + e.Err.Error() }

// Unwrap returns the cause.
func (e *WriteError) Unwrap() error { return e.Err }

// errUnsafe says that text for a line holds what could end it or change its meaning. It is a fault of
// the caller: what comes from a peer is checked before it gets here.
var errUnsafe = errors.New("text may not stand in a line")

// A Writer writes messages to one peer. Begin locks it for one message, End releases it; all other
// methods are called between the two. The first error sticks. What is written leaves when the buffer
// is full or with Flush.
type Writer struct {
	lock turn // whoever waits may wait as long as the peer does not read
	dst  io.Writer
	b    []byte // lent while it holds something
	n    int
	err  error
	last Kind   // of the token before, 0 at a head
	said uint16 // where in b it begins what stands behind the tag of the last head; 0 where that has left
}

// NewWriter returns a Writer to dst.
func NewWriter(dst io.Writer) *Writer { return writerPool.Get().(*Writer).Init(dst) }

// GiveBack ends the use of a Writer that one goroutine alone uses, between messages, when it holds nothing.
func (w *Writer) GiveBack() {
	giveBack(w.b)
	*w = Writer{}
	writerPool.Put(w)
}

// Init makes a zero w what [NewWriter] returns, for whoever has it within something larger.
func (w *Writer) Init(dst io.Writer) *Writer {
	w.dst = dst
	return w
}

// SetDestination changes where is written to. It is called while nothing is buffered and nobody writes.
func (w *Writer) SetDestination(dst io.Writer) { w.dst = dst }

// Begin locks the writer for one message.
func (w *Writer) Begin() { w.lock.take() }

// End releases the writer. The message's bytes may still be in the buffer.
func (w *Writer) End() error {
	err := w.err
	w.lock.give()
	return err
}

// EndFlush writes out all that is buffered and releases the writer.
func (w *Writer) EndFlush() error {
	w.flush()
	return w.End()
}

// Flush writes out all that is buffered. It is called outside Begin and End.
func (w *Writer) Flush() error {
	w.Begin()
	return w.EndFlush()
}

// Push writes out all that is buffered, within a message.
func (w *Writer) Push() error {
	w.flush()
	return w.err
}

// Err returns the error that stuck.
func (w *Writer) Err() error { return w.err }

func (w *Writer) flush() {
	if w.n == 0 {
		return
	}
	if w.err == nil {
		w.send(w.b[:w.n])
	}
	giveBack(w.b)
	w.b, w.n, w.said = nil, 0, 0
}

func (w *Writer) send(p []byte) {
	if _, err := w.dst.Write(p); err != nil {
		w.err = &WriteError{err}
	}
}

// Write adds raw bytes: of a literal, or of a message that passes as it is.
func (w *Writer) Write(p []byte) (int, error) {
	total := len(p)
	for len(p) > 0 && w.err == nil {
		if w.n == 0 && len(p) >= smallBuffer {
			w.send(p)
			break
		}
		if w.b == nil {
			w.b = borrowSmall()
		}
		n := copy(w.b[w.n:], p)
		w.n += n
		if p = p[n:]; w.n == len(w.b) {
			w.flush()
		}
	}
	return total, w.err
}

func (w *Writer) text(s string) {
	for len(s) > 0 && w.err == nil {
		if w.b == nil {
			w.b = borrowSmall()
		}
		n := copy(w.b[w.n:], s)
		w.n += n
		if s = s[n:]; w.n == len(w.b) {
			w.flush()
		}
	}
}

// room returns the free end of the buffer where that is longer than n octets; else nil, for which the long way is
// there. What is put into it is in the message when w.n says so.
func (w *Writer) room(n int) []byte {
	if w.err != nil || len(w.b)-w.n <= n {
		return nil
	}
	return w.b[w.n:]
}

// Head writes a command's tag and name, or those of a tagged or untagged response.
func (w *Writer) Head(tag []byte, name string) {
	w.last, w.said = 0, 0
	if b := w.room(len(tag) + len(name) + 1); b != nil {
		b = putTag(b, tag)
		b[0] = ' '
		w.said = uint16(w.n + len(tag))
		w.n += len(tag) + 1 + copy(b[1:], name)
		return
	}
	w.Write(tag)
	w.text(" ")
	w.text(name)
}

// putTag puts a tag into b and returns what is behind it. It goes octet by octet, as the tag was rendered: a wide
// read would wait for the narrow writes before it.
func putTag(b, tag []byte) []byte {
	for ; len(tag) > 0; tag = tag[1:] {
		b[0] = tag[0]
		b = b[1:]
	}
	return b
}

// Again writes the message again that was written last, with another tag. That one began with Head or Text, and nothing
// else was written since. It is false where nothing was written: the message has to be put together again.
func (w *Writer) Again(tag []byte) bool {
	like := w.b[w.said:w.n]
	b := w.room(len(tag) + len(like))
	if b == nil || w.said == 0 {
		return false
	}
	w.said = uint16(w.n + len(tag))
	w.n += len(tag) + copy(putTag(b, tag), like)
	return true
}

// Numbered writes the head of an untagged response with a number, as in "* 3 EXPUNGE".
func (w *Writer) Numbered(num uint32, name string) {
	w.text("* ")
	w.number(int64(num))
	w.text(" ")
	w.text(name)
	w.last = 0
}

// Tokens writes arguments with canonical spaces. A literal whose content is not held is left to the
// caller, who writes LiteralHead and the content; one that is held is written whole, as {n}, which is
// right only towards a client.
func (w *Writer) Tokens(tokens []Token) {
	for i := range tokens {
		t := &tokens[i]
		if t.Kind == Literal && t.Text == nil {
			return
		}
		w.Token(t)
	}
}

// Token writes one argument and the space that belongs before it.
func (w *Writer) Token(t *Token) {
	if w.shortToken(t) {
		return
	}
	if t.Kind == Literal {
		w.LiteralHead(*t)
		w.Write(t.Text)
		return
	}
	w.space(t)
	switch t.Kind {
	case Open:
		w.text("(")
	case Close:
		w.text(")")
	case Atom:
		w.safe(t.Text, &atomSafe)
	case Quoted:
		w.text(`"`)
		if endsEarly(t.Text) {
			w.fail(errUnsafe)
		}
		w.safe(t.Text, &lineSafe)
		w.text(`"`)
	}
}

func (w *Writer) space(t *Token) {
	if w.last != Open && t.Kind != Close && !t.Glued {
		w.text(" ")
	}
	w.last = t.Kind
}

// LiteralHead writes a literal's announcement and CRLF: {n} or {n+} as t says, ~{n} for a binary one.
func (w *Writer) LiteralHead(t Token) {
	w.space(&t)
	if t.Binary {
		w.text("~")
	}
	w.text("{")
	w.number(t.Size)
	if t.NonSync {
		w.text("+")
	}
	w.text("}\r\n")
}

// number writes a number, of which the longest has twenty octets.
func (w *Writer) number(n int64) {
	if b := w.room(20); b != nil {
		w.n += len(strconv.AppendInt(b[:0], n, 10))
		return
	}
	w.text(strconv.FormatInt(n, 10))
}

// CRLF ends a line.
func (w *Writer) CRLF() {
	if b := w.room(2); b != nil {
		b[0], b[1] = '\r', '\n'
		w.n += 2
		return
	}
	w.text("\r\n")
}

// Line writes one line of text that must hold no CR, LF or NUL, and CRLF.
func (w *Writer) Line(line string) {
	for i := range len(line) {
		if !lineSafe[line[i]] {
			w.fail(errUnsafe)
		}
	}
	w.text(line)
	w.CRLF()
}

// Status writes a status response under tag, which is "*" for an untagged one.
func (w *Writer) Status(tag []byte, s Status) {
	w.Write(tag)
	w.text(" ")
	line := s.Append(borrowTiny()[:0])
	w.Write(line)
	giveBack(line)
	w.CRLF()
}

// Message writes a response that was built: with Data, Numbered or Clone.
func (w *Writer) Message(m *Message) {
	switch {
	case m.IsStatus() || m.Continuation():
		w.Status(m.Tag, m.Status())
		return
	case m.Num != 0:
		w.Numbered(m.Num, m.Name)
	default:
		w.Head(m.Tag, m.Name)
	}
	w.Tokens(m.Tokens)
	w.CRLF()
}

func (w *Writer) safe(text []byte, ok *[256]bool) {
	for _, c := range text {
		if !ok[c] {
			w.fail(errUnsafe)
			return
		}
	}
	w.Write(text)
}

// endsEarly reports whether the quoted string with text inside would end before text does, or not at all.
func endsEarly(text []byte) bool {
	if bytes.IndexByte(text, '"') < 0 && bytes.IndexByte(text, '\\') < 0 {
		return false
	}
	for i := 0; i < len(text); i++ {
		if text[i] == '"' {
			return true
		}
		if text[i] == '\\' {
			if i++; i == len(text) {
				return true
			}
		}
	}
	return false
}

func (w *Writer) fail(err error) {
	if w.err == nil {
		w.err = &WriteError{err}
	}
}

// lineSafe says what may stand in a line, atomSafe what may stand in it without quotes: control
// characters too, because servers send them; a client's are refused when they are read.
var lineSafe, atomSafe = func() (line, atom [256]bool) {
	for c := range line {
		line[c] = c != '\r' && c != '\n' && c != 0
		switch classes[c] {
		case classSpace, classOpen, classClose, classQuote:
		default:
			atom[c] = line[c]
		}
	}
	return line, atom
}()
