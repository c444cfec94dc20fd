package wire

import (
	"errors"
	"io"
)

// errLineTooLong is returned by grow when a line would need more than its limit.
var errLineTooLong = errors.New("line too long")

// A buffer holds what was read from a peer and not consumed yet: b[r:w].
type buffer struct {
	src  io.Reader
	b    []byte
	r, w int
	// MoveFrom is how many octets of a literal must be left to be moved through a Pipe; 0 for as many as
	// were found to be worth it. A test forces it.
	MoveFrom int64

	flood bool // the last Read gave much: more is likely to be there
	busy  bool // the last Read gave more than what a tiny buffer is for
}

// Buffered returns the number of octets that were read and not consumed yet.
func (b *buffer) Buffered() int { return b.w - b.r }

// SetSource changes where the reader reads from; what is buffered stays.
func (b *buffer) SetSource(src io.Reader) { b.src = src }

// read appends what one Read of the source gives. There must be room; see makeRoom. An error leaves
// the buffer as it was, so that reading can go on after a deadline.
func (b *buffer) read() error {
	for range 100 {
		n, err := b.src.Read(b.b[b.w:])
		if n > 0 {
			b.busy = isBusy(n, len(b.b)-b.w)
			b.w += n
			b.flood = n >= smallBuffer/2
			return nil // an error comes again with the next Read
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// makeRoom makes room for reading: it borrows a buffer of the size that suits, moves what is held to its start where less than
// half is free, or grows it while that stays within max octets.
func (b *buffer) makeRoom(max int) error {
	if b.r == b.w {
		b.r, b.w = 0, 0
		b.fit()
	} else if b.busy && len(b.b) == tinyBuffer {
		b.resize(borrowSmall())
	}
	if b.w < len(b.b) && (b.r == 0 || b.w <= len(b.b)/2) {
		return nil
	}
	if b.r > 0 {
		b.w = copy(b.b, b.b[b.r:b.w])
		b.r = 0
		return nil
	}
	if len(b.b) == tinyBuffer {
		b.resize(borrowSmall())
		return nil
	}
	if len(b.b) >= max {
		return errLineTooLong
	}
	b.resize(make([]byte, min(2*len(b.b), max)))
	return nil
}

// fit borrows a buffer for what is likely to come into an empty one. Waiting for a peer that says little
// costs a tiny one.
func (b *buffer) fit() {
	switch {
	case !b.busy && len(b.b) == smallBuffer:
		giveBack(b.b)
		b.b = borrowTiny()
	case b.b == nil && !b.busy:
		b.b = borrowTiny()
	case b.b == nil || len(b.b) == tinyBuffer && b.busy:
		giveBack(b.b)
		b.b = borrowSmall()
	}
}

// resize moves what is held into another buffer, which must be large enough.
func (b *buffer) resize(to []byte) {
	n := copy(to, b.b[b.r:b.w])
	giveBack(b.b)
	b.b, b.r, b.w = to, 0, n
}

// settleDown gives an empty buffer back, and replaces one that grew by a small one.
func (b *buffer) settleDown() {
	switch {
	case b.b == nil:
	case b.r == b.w:
		giveBack(b.b)
		b.b, b.r, b.w = nil, 0, 0
	case len(b.b) != smallBuffer && b.w-b.r <= smallBuffer:
		b.resize(borrowSmall())
	}
}
