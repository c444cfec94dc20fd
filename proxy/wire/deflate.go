package wire

import (
	"compress/flate"
	"errors"
	"io"
	"sync"
	"sync/atomic"
)

// An unpacker is what one connection needs for reading compressed octets: 41 KB.
type unpacker struct {
	inflater
	raw [4 << 10]byte
}

// A packing is compression on one connection.
type packing struct {
	unpacker *unpacker
	in, out  atomic.Int64 // octets of the connection, as they are compressed
}

// Deflate begins compression in both directions (RFC 4978): all that is read and written from now on is a
// raw deflate stream. The goroutine that reads calls it, while nobody else writes.
func (c *Conn) Deflate() { c.pack = &packing{unpacker: new(unpacker)} }

// Ahead reports whether the peer has sent more than was read, as far as that is here. The goroutine that
// reads calls it.
func (c *Conn) Ahead() bool { return c.rec != nil && c.rec.w > c.rec.r }

// Packed returns how many octets were read and written below compression; false without compression.
func (c *Conn) Packed() (in, out int64, ok bool) {
	if c.pack == nil {
		return 0, 0, false
	}
	return c.pack.in.Load(), c.pack.out.Load(), true
}

// readPacked reads and decodes. An error of the connection is not final: the next call goes on where this
// one was interrupted.
func (c *Conn) readPacked(p []byte) (int, error) {
	u := c.pack.unpacker
	for {
		n, err := u.inflate(p)
		switch {
		case errors.Is(err, errEnded):
			return 0, io.EOF
		case !errors.Is(err, errMore):
			return n, err
		}
		n, err = c.read(u.raw[:])
		u.in = u.raw[:n]
		c.pack.in.Add(int64(n))
		if n == 0 && err != nil {
			return 0, err
		}
	}
}

// A packer compresses. It is lent for one call and keeps nothing of it: every call's octets can be decoded
// by themselves, so that a connection that is silent holds none (one has more than 1 MB) and nobody's text
// ever refers to another's. A block that refers to nothing before it continues any deflate stream, where
// that stands at a whole octet (RFC 1951 section 3.2.4).
type packer struct {
	w *flate.Writer
	b []byte
}

// Write takes what comes out of the compressor.
func (k *packer) Write(p []byte) (int, error) {
	k.b = append(k.b, p...)
	return len(p), nil
}

var packers = sync.Pool{New: func() any {
	w, err := flate.NewWriter(nil, flate.BestSpeed) // the level that is cheap to begin anew
	if err != nil {
		panic(err) // the level is one that there is
	}
	return &packer{w: w}
}}

const (
	packedPiece   = 60 << 10 // octets that are compressed at a time
	packedSurplus = 1 << 10  // more than what does not compress grows by
)

// pack compresses p, at most packedPiece octets, into a lent buffer. The last block is an empty one, so that
// all can be decoded (RFC 4978 section 3, Z_SYNC_FLUSH).
func pack(p []byte) ([]byte, error) {
	k := packers.Get().(*packer)
	defer packers.Put(k)
	if len(p)+packedSurplus <= smallBuffer {
		k.b = borrowSmall()[:0]
	} else {
		k.b = borrowLarge()[:0]
	}
	k.w.Reset(k)
	_, err := k.w.Write(p)
	if err == nil {
		err = k.w.Flush()
	}
	b := k.b
	k.b = nil
	return b, err
}

// writePacked compresses and writes. While it waits for the peer it holds a buffer, but no packer.
func (c *Conn) writePacked(p []byte) (total int, err error) {
	for len(p) > 0 && err == nil {
		piece := p[:min(len(p), packedPiece)]
		var b []byte
		if b, err = pack(piece); err != nil {
			return total, err
		}
		var n int
		n, err = c.write(b)
		giveBack(b)
		c.pack.out.Add(int64(n))
		if err == nil {
			total += len(piece)
			p = p[len(piece):]
		}
	}
	return total, err
}
