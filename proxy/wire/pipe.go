package wire

import (
	"errors"
	"io"
	"sync"
)

// How many octets of a literal must be left, beyond those that were read with the line before it, to be
// moved through a pipe of the kernel. On loopback, in seconds of processor time for a GB, medians of five
// and more alternating runs, copied and then moved:
//
//	FETCH   64 KiB 0.39 0.39   128 KiB 0.38 0.34   1 MiB 0.38 0.30   5 MiB 0.37 0.26
//	APPEND   1 MiB 0.33 0.36     2 MiB 0.38 0.34   8 MiB 0.41 0.33  16 MiB 0.37 0.20
const (
	downloadFrom = 128 << 10
	uploadFrom   = 1536 << 10
)

// errNoPipe says that the kernel has no pipe for us, or does not splice: nothing was moved.
var errNoPipe = errors.New("no pipe")

// A Pipe holds octets of a literal on the way from one connection to another. Between two plain TCP
// connections that is a pipe of the kernel, so that the octets never come up to us (splice(2)); otherwise,
// or where no pipe is free, it is memory. Either is lent while it holds something or is being filled.
type Pipe struct {
	rest   int64  // of the literal, when the pipe is filled
	held   int    // octets in it
	b      []byte // they are here
	plain  bool   // both ends are plain TCP
	kernel kernelPipe
}

// A pipeSource is a source of which as much can be read into a Pipe as is there, as Read does it.
type pipeSource interface {
	Fill(*Pipe) (int, error)
	Plain() bool
}

// A pipeSink takes all that a Pipe holds, as Write does it.
type pipeSink interface {
	Drain(*Pipe) error
	Plain() bool
}

var pipePool = sync.Pool{New: func() any { return new(Pipe) }}

// giveBack returns what the pipe was lent, and the pipe. What it still holds is lost with the connection
// that it was meant for.
func (p *Pipe) giveBack() {
	p.kernel.giveBack(p.held)
	giveBack(p.b)
	p.b, p.held, p.plain = nil, 0, false
	pipePool.Put(p)
}

// Held is how many octets the pipe holds.
func (p *Pipe) Held() int { return p.held }

// Plain reports whether octets can pass between the connection and a pipe of the kernel. Whoever holds the
// lock of the connection's Writer, or reads the connection, may ask.
func (c *Conn) Plain() bool { return c.tcp != nil && c.rec == nil && c.pack == nil }

// Fill reads into an empty Pipe what is there, up to a limit, and waits for it like Read.
func (c *Conn) Fill(p *Pipe) (int, error) {
	if p.plain {
		n, err := p.kernel.fill(c.tcp, int(min(p.rest, pipeSize)))
		if !errors.Is(err, errNoPipe) {
			p.held = n
			c.in.Add(int64(n))
			return n, err
		}
	}
	if p.b == nil {
		p.b = borrowLarge()
	}
	n, err := c.Read(p.b[:min(p.rest, largeBuffer)])
	p.held = n
	return n, err
}

// Drain writes what a Pipe holds, or of much a part that takes no longer than a Write does: the caller
// looks at Held.
func (c *Conn) Drain(p *Pipe) error {
	if p.kernel.open() {
		n, err := p.kernel.drain(c.tcp, p.held)
		p.held -= n
		c.out.Add(int64(n))
		return err
	}
	_, err := c.Write(p.b[:p.held])
	p.held = 0
	return err
}

// moves returns the source where it is worth it to move the left octets of a literal, of which none is
// buffered, through a Pipe. least is for how many it is worth it between plain connections; between
// others it never is.
func (b *buffer) moves(left, least int64, to *Writer) (pipeSource, bool) {
	src, ok := b.src.(pipeSource)
	dst, also := to.dst.(pipeSink)
	if !ok || !also {
		return nil, false
	}
	return src, b.MoveFrom > 0 && left >= b.MoveFrom || left >= least && src.Plain() && dst.Plain()
}

// move moves left octets of a literal from the source to w, which the caller has locked, and counts left
// down. Like reading it can go on after an error of the source that is not final.
func (w *Writer) move(src pipeSource, left *int64) error {
	dst := w.dst.(pipeSink)
	if err := w.Push(); err != nil {
		return err
	}
	p := pipePool.Get().(*Pipe)
	defer p.giveBack()
	p.plain = src.Plain() && dst.Plain()
	for empty := 0; *left > 0; {
		p.rest = *left
		n, err := src.Fill(p)
		*left -= int64(n)
		switch {
		case n > 0: // an error comes again with the next Fill
			empty = 0
		case err != nil:
			return err
		default:
			if empty++; empty == 100 {
				return io.ErrNoProgress
			}
		}
		for p.held > 0 {
			if err := dst.Drain(p); err != nil {
				w.err = &WriteError{err}
				return w.err
			}
		}
	}
	return nil
}
