package wire

import "bytes"

import "io"

// DropLine consumes the loaded line. The announced literal, if there is one, is next: for Pass, Skip or
// Literal; without one the message is done, and Pass and Skip do nothing.
func (r *Responses) DropLine() error {
	if err := r.Settle(); err != nil {
		return err
	}
	r.r += r.lineEnd
	r.mark = r.r
	r.lineEnd = 0
	r.follow(r.lit)
	if r.inside {
		r.lit = Token{}
	}
	return nil
}

// Line is the loaded line, with its line end. It is valid as long as nothing is read.
func (r *Responses) Line() []byte { return r.b[r.r : r.r+r.lineEnd] }

// DropNext drops the next message where that is an answer of one line which is buffered whole, tag and what follows
// it. It is false where nothing was dropped. It is called between messages, behind DropLine.
func (r *Responses) DropNext(tag, rest []byte) bool {
	b := r.b[r.r:r.w]
	if len(b) < len(tag) {
		return false
	}
	for i, c := range tag { // one by one, as they were rendered: whoever reads more at once waits for that
		if b[i] != c {
			return false
		}
	}
	if !bytes.HasPrefix(b[len(tag):], rest) {
		return false
	}
	r.r += len(tag) + len(rest)
	r.mark = r.r
	return true
}

// Begin locks the Writer for the line that replaces a dropped one, and for the rest of the message that
// Pass then moves behind it. It is released at the message's end by Pass, or by Settle where nothing is
// left to pass.
func (r *Responses) Begin() *Writer {
	r.lock()
	return r.out
}

// Replace locks the Writer for a response that is written in the place of the loaded one. The rest is read
// with DropLine, CopyLiteral and Continue; Settle releases the Writer when all of it is.
func (r *Responses) Replace() *Writer {
	r.inside = true
	r.lock()
	return r.out
}

// Literal reads the literal behind a dropped line, at most max octets. The bytes are the caller's.
func (r *Responses) Literal(max int64) ([]byte, error) {
	if r.left > max {
		return nil, &Desync{"literal longer than the limit"}
	}
	if r.held == nil {
		r.held = make([]byte, 0, r.left)
	}
	for r.left > 0 {
		if r.r == r.w {
			if err := r.more(r.MaxHeld); err != nil {
				return nil, err
			}
		}
		n := int(min(r.left, int64(r.w-r.r)))
		r.held = append(r.held, r.b[r.r:r.r+n]...)
		r.r += n
		r.mark = r.r
		r.left -= int64(n)
	}
	b := r.held
	r.held = nil
	return b, nil
}

// CopyLiteral moves the literal behind a dropped line to w in bounded memory. An error of w is returned
// as it is; the literal is not read to its end then.
func (r *Responses) CopyLiteral(w io.Writer) error {
	for r.left > 0 {
		if r.r == r.w {
			if err := r.more(r.MaxHeld); err != nil {
				return err
			}
		}
		piece := r.b[r.r : r.r+int(min(r.left, int64(r.w-r.r)))]
		_, err := w.Write(piece)
		r.r += len(piece)
		r.mark = r.r
		r.left -= int64(len(piece))
		if err != nil {
			return err
		}
	}
	return nil
}

// Continue loads the line behind a literal that was read.
func (r *Responses) Continue(m *Message) error {
	line, err := r.hold()
	if err != nil {
		return err
	}
	return r.lex(m, trimLineEnd(line), len(line))
}
