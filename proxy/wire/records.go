package wire

import (
	"net"
	"os"
	"sync"
	"time"
)

// recordHead is the length of a TLS record's header in octets (RFC 8446 section 5.1).
const recordHead = 5

// maxRecord is the most that a record can hold in plain text (RFC 8446 section 5.1).
const maxRecord = 1 << 14

// records is the connection below TLS. Its Read never returns more than the rest of the current TLS
// record, so that tls.Conn holds nothing undecrypted behind the record it works on; what was read ahead
// stays here. Its Write gathers records between gather and release, so that they leave together; the
// two enclose one Write above TLS, so nothing that was gathered ever waits for a reader or for Close.
type records struct {
	net.Conn
	until *deadline // of writing

	// Owned by the reading goroutine.
	b    []byte // lent while it holds something
	r, w int
	left int  // octets of the current record that were not handed out
	bulk bool // whoever reads above TLS has room for much
	busy bool // the last read gave more than what a tiny buffer is for
	hold bool // nothing is read ahead: there is no waiting

	mu        sync.Mutex // a KeyUpdate is answered from the reading goroutine
	gathering bool
	out       []byte
	err       error // of a write; it sticks
}

func newRecords(raw net.Conn, until *deadline) *records { return &records{Conn: raw, until: until} }

// Read hands out octets of one TLS record.
func (c *records) Read(p []byte) (int, error) {
	for c.left == 0 && c.w-c.r < recordHead || c.r == c.w {
		if c.hold { // the record before held no data but, say, a KeyUpdate
			return 0, os.ErrDeadlineExceeded // which does not stick in crypto/tls
		}
		if err := c.fill(); err != nil {
			return 0, err
		}
	}
	if c.left == 0 {
		c.left = recordHead + int(c.b[c.r+3])<<8 + int(c.b[c.r+4])
	}
	n := copy(p, c.b[c.r:min(c.w, c.r+c.left)])
	c.r += n
	c.left -= n
	if c.r == c.w {
		giveBack(c.b)
		c.b, c.r, c.w = nil, 0, 0
	}
	return n, nil
}

// whole reports whether all of a next record was read ahead.
func (c *records) whole() bool {
	return c.left == 0 && c.w-c.r >= recordHead && c.w-c.r >= recordHead+int(c.b[c.r+3])<<8+int(c.b[c.r+4])
}

// drained reports whether nothing of a record is held, neither here nor, begun, above.
func (c *records) drained() bool { return c.left == 0 && c.r == c.w }

// fill reads ahead.
func (c *records) fill() error {
	switch {
	case c.bulk && len(c.b) < largeBuffer:
		c.moveTo(borrowLarge())
	case c.b == nil && !c.busy:
		c.b = borrowTiny()
	case c.b == nil:
		c.b = borrowSmall()
	case c.r > 0:
		c.w = copy(c.b, c.b[c.r:c.w])
		c.r = 0
	}
	n, err := c.Conn.Read(c.b[c.w:])
	if n > 0 {
		c.busy = isBusy(n, len(c.b)-c.w)
		c.w += n
		return nil
	}
	if c.w == 0 {
		giveBack(c.b)
		c.b = nil
	}
	return err
}

func (c *records) moveTo(b []byte) {
	c.w = copy(b, c.b[c.r:c.w])
	giveBack(c.b)
	c.b, c.r = b, 0
}

// Write sends p, or gathers it. An error sticks: a TLS connection that lost octets is unusable.
func (c *records) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return 0, c.err
	}
	if !c.gathering {
		c.until.revive(c.Conn)
		_, c.err = c.Conn.Write(p)
		return len(p), c.err
	}
	if c.out == nil {
		c.out = borrowLarge()[:0]
	}
	if len(c.out)+len(p) > cap(c.out) {
		_, c.err = c.Conn.Write(c.out)
		c.out = c.out[:0]
	}
	c.out = append(c.out, p...)
	return len(p), c.err
}

// SetWriteDeadline is what crypto/tls bounds its close_notify with.
func (c *records) SetWriteDeadline(t time.Time) error { return c.until.set(c.Conn, t) }

func (c *records) gather() {
	c.mu.Lock()
	c.gathering = true
	c.mu.Unlock()
}

// release sends what was gathered and lets writes pass at once again.
func (c *records) release() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gathering = false
	if c.out == nil {
		return c.err
	}
	if c.err == nil && len(c.out) > 0 {
		_, c.err = c.Conn.Write(c.out)
	}
	giveBack(c.out)
	c.out = nil
	return c.err
}
