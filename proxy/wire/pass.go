package wire

import (
	"bytes"
	"errors"
)

// Skip drops the message, or what is left of it.
func (r *Responses) Skip() error {
	if err := r.Settle(); err != nil {
		return err
	}
	r.drop = true
	err := r.pass()
	r.mark, r.drop = r.r, false
	return err
}

// Pass moves the message, or what is left of it, to the Writer. A *Desync says that its end cannot be
// known.
func (r *Responses) Pass() error { return r.pass() }

func (r *Responses) pass() error {
	r.lineEnd = 0
	for !r.done {
		if r.left > 0 {
			if err := r.passLiteral(); err != nil {
				return err
			}
		}
		if err := r.passLine(); err != nil {
			return err
		}
	}
	if r.locked {
		return r.Settle() // others may write now
	}
	return nil
}

// passLine moves one line. After it, the message is done or r.left octets of a literal follow.
func (r *Responses) passLine() error {
	scanned := 0
	for {
		if i := bytes.IndexByte(r.b[r.r+scanned:r.w], '\n'); i >= 0 {
			return r.endLine(r.r + scanned + i + 1)
		}
		scanned = r.w - r.r
		if scanned >= smallBuffer-1 {
			r.passPiece()
			scanned = r.w - r.r
		}
		if err := r.more(largeBuffer); err != nil {
			return err
		}
	}
}

// passPiece moves a part of a line that is longer than the buffer, and leaves what could be the
// announcement of a literal.
func (r *Responses) passPiece() {
	piece := r.b[r.r : r.w-longestAnnouncement]
	if !r.text {
		r.quotes = r.quotes.after(piece)
	}
	r.repairCR(piece)
	r.r += len(piece)
	r.inside = true
}

// endLine moves the line that ends at b[end]. Where its end is in doubt, nothing of it is moved.
func (r *Responses) endLine(end int) error {
	line := r.b[r.r:end]
	n := len(line) - 2
	if n < 0 || line[n] != '\r' {
		return r.endBareLine(end)
	}
	if bytes.IndexByte(line, '\r') != n {
		r.repairCR(line[:n])
	}
	if n > 0 && line[n-1] == '}' && !r.text {
		lit, err := announcement(line[:n], r.quotes)
		if err != nil {
			return err
		}
		r.r = end
		r.follow(lit)
		return nil
	}
	r.r = end
	r.follow(Token{})
	return nil
}

// follow notes what stands behind a line: a literal or the message's end.
func (r *Responses) follow(lit Token) {
	r.inside = lit.Kind == Literal
	r.done, r.left, r.quotes = !r.inside, lit.Size, outside
}

// endBareLine moves a line that ends in LF alone, and writes CRLF in its place.
func (r *Responses) endBareLine(end int) error {
	r.Odd++
	line := r.b[r.r : end-1]
	r.repairCR(line)
	var lit Token
	if !r.text {
		var err error
		if lit, err = announcement(line, r.quotes); err != nil {
			return err
		}
	}
	r.r = end - 1
	r.inside = true
	if err := r.Settle(); err != nil {
		return err
	}
	if r.out != nil && !r.drop {
		r.lock()
		r.out.CRLF()
	}
	r.r, r.mark = end, end
	r.follow(lit)
	return r.Settle()
}

// announcement returns the literal that the end of a backend's line announces. A server never sends {n+}
// (RFC 9051 section 4.3), so that is text. A quoted string that does not end before what looks like a
// literal leaves two readings, of which mail could choose one: that is a *Desync.
func announcement(line []byte, q quotes) (Token, error) {
	if len(line) == 0 || line[len(line)-1] != '}' {
		return Token{}, nil
	}
	if q.after(line) != outside {
		return Token{}, &Desync{"quoted string does not end"}
	}
	t, ok := trailingLiteral(line, q)
	switch {
	case ok && !t.NonSync:
		return t, nil
	case !ok && endsInNumber(line):
		return Token{}, &Desync{"literal longer than any"}
	}
	return Token{}, nil
}

// endsInNumber reports whether line, which ends in "}", ends in "{" digits "}".
func endsInNumber(line []byte) bool {
	b := bytes.TrimRight(line[:len(line)-1], "0123456789")
	return len(b) > 0 && len(b) < len(line)-1 && b[len(b)-1] == '{'
}

func (r *Responses) repairCR(line []byte) {
	for {
		i := bytes.IndexByte(line, '\r')
		if i < 0 {
			return
		}
		line[i] = ' '
		line = line[i+1:]
		r.Odd++
	}
}

func (r *Responses) passLiteral() error {
	for r.left > 0 {
		if r.r == r.w {
			if moved, err := r.moveLiteral(); moved || err != nil {
				return err
			}
			if r.left >= largeBuffer && len(r.b) < largeBuffer {
				if err := r.Settle(); err != nil {
					return err
				}
				r.resize(borrowLarge())
				r.mark, r.begun = 0, 0
			}
			if err := r.more(largeBuffer); err != nil {
				return err
			}
		}
		n := int(min(r.left, int64(r.w-r.r)))
		r.r += n
		r.left -= int64(n)
	}
	return nil
}

// moveLiteral moves what is left of a literal, of which nothing is buffered, through a Pipe; false where
// that is not worth it.
func (r *Responses) moveLiteral() (bool, error) {
	if r.out == nil || r.drop || r.MoveFrom == 0 && r.left < downloadFrom {
		return false, nil
	}
	if err := r.Settle(); err != nil {
		return false, err
	}
	r.lock()
	src, ok := r.moves(r.left, downloadFrom, r.out)
	if !ok {
		return false, nil
	}
	r.settleDown()
	r.mark, r.begun = 0, 0
	r.busy, r.flood = false, false // what follows may be as large: little of it is to be read ahead
	return true, r.out.move(src, &r.left)
}

// more reads from the backend, after everything passed so far has left towards the client. max is how
// large the buffer may become.
func (r *Responses) more(max int) error {
	if r.Before != nil {
		r.Before()
	}
	if err := r.Settle(); err != nil {
		return err
	}
	if err := r.push(); err != nil {
		return err
	}
	if max >= largeBuffer && r.flood && !r.answered && len(r.b) < largeBuffer {
		r.resize(borrowLarge())
	}
	err := r.makeRoom(max)
	r.mark, r.begun = r.r, r.r
	if err != nil {
		return err
	}
	return r.read()
}

// push sends what the Writer holds: the backend may be silent for a long time.
func (r *Responses) push() error {
	switch {
	case r.out == nil:
		return nil
	case r.locked:
		return r.out.Push()
	}
	return r.out.Flush()
}

// Settle writes what was passed so far to the Writer. At the end of a message it releases the Writer.
func (r *Responses) Settle() error {
	var err error
	if r.mark < r.r {
		if r.out != nil && !r.drop {
			r.lock()
			_, err = r.out.Write(r.b[r.mark:r.r])
		}
		r.mark = r.r
	}
	if r.locked && !r.inside {
		r.locked = false
		err = r.out.End()
	}
	return err
}

// ErrTorn is the Writer's error after a message of which only a part was written.
var ErrTorn = errors.New("a message was cut short")

// Abandon ends reading for good. Whole messages that were passed are written; of one that was begun
// nothing more is. Where a part of that one was written before, Whole stays false and the Writer fails
// with ErrTorn before others get hold of it, so that nothing lands inside that message.
func (r *Responses) Abandon() {
	if !r.inside {
		r.Settle()
		return
	}
	torn := r.locked
	if !torn && r.mark < r.begun && r.out != nil {
		r.lock()
		r.out.Write(r.b[r.mark:r.begun])
	}
	r.mark, r.torn = r.r, r.torn || torn
	if !r.locked {
		return
	}
	r.locked = false
	if torn {
		r.out.fail(ErrTorn)
	}
	r.out.End()
}

func (r *Responses) lock() {
	if !r.locked {
		r.locked = true
		r.out.Begin()
	}
}
