package wire

import (
	"context"
	"crypto/tls"
	"net"
	"sync/atomic"
	"time"
)

// A Conn is the connection to a client or a backend: the raw connection and, once they are there, TLS
// above it and compression above that. One goroutine may read while another writes; Close, Abort and the
// deadlines may be called from any.
type Conn struct {
	raw net.Conn
	top net.Conn     // raw, or the TLS connection above it
	rec *records     // below TLS; nil without
	tcp *net.TCPConn // raw, where it is that

	pack *packing // above top; nil without compression

	until deadline // of writing

	in, out atomic.Int64
}

// NewConn returns a Conn on a raw connection.
func NewConn(raw net.Conn) *Conn { return new(Conn).Init(raw) }

// Init makes a zero c what [NewConn] returns, for whoever has it within something larger.
func (c *Conn) Init(raw net.Conn) *Conn {
	c.raw, c.top = raw, raw
	c.tcp, _ = raw.(*net.TCPConn)
	return c
}

// Server starts TLS as the server's side (RFC 3501 section 6.2.1). The handshake ends with ctx. The
// caller makes sure that nothing of the plain stream is buffered above the Conn.
func (c *Conn) Server(ctx context.Context, cfg *tls.Config) error {
	rec := newRecords(c.raw, &c.until)
	return c.secure(ctx, tls.Server(rec, cfg), rec)
}

// Client starts TLS as the client's side.
func (c *Conn) Client(ctx context.Context, cfg *tls.Config) error {
	rec := newRecords(c.raw, &c.until)
	return c.secure(ctx, tls.Client(rec, cfg), rec)
}

func (c *Conn) secure(ctx context.Context, t *tls.Conn, rec *records) error {
	if err := t.HandshakeContext(ctx); err != nil {
		return err
	}
	c.top, c.rec = t, rec
	return nil
}

// TLS returns the state of the TLS connection; false without TLS.
func (c *Conn) TLS() (tls.ConnectionState, bool) {
	if t, ok := c.top.(*tls.Conn); ok {
		return t.ConnectionState(), true
	}
	return tls.ConnectionState{}, false
}

// Raw returns the connection itself, which lies below TLS and compression. It is there to be watched, not
// to be read or written.
func (c *Conn) Raw() net.Conn { return c.raw }

// Drained reports whether all that came from the raw connection was handed out, where a Read has just
// reached its deadline: whatever comes next, the raw connection can be read then. It is never so under
// compression. The goroutine that reads calls it.
func (c *Conn) Drained() bool { return c.pack == nil && (c.rec == nil || c.rec.drained()) }

// Read reads from above TLS, and below it the further ahead the more room p has.
func (c *Conn) Read(p []byte) (n int, err error) {
	if c.pack != nil {
		n, err = c.readPacked(p)
	} else {
		n, err = c.read(p)
	}
	c.in.Add(int64(n))
	return n, err
}

func (c *Conn) read(p []byte) (int, error) {
	if c.rec == nil {
		return c.top.Read(p)
	}
	c.rec.bulk = len(p) > smallBuffer
	n, err := c.top.Read(p)
	if !c.rec.bulk || err != nil {
		return n, err
	}
	return n + c.readBuffered(p[n:]), nil
}

// readBuffered adds the records that were read ahead whole, each of which fits into p, so that they leave
// together. An error comes again with the next Read.
func (c *Conn) readBuffered(p []byte) (total int) {
	c.rec.hold = true
	for len(p)-total >= maxRecord && c.rec.whole() {
		n, err := c.top.Read(p[total:])
		total += n
		if err != nil {
			break
		}
	}
	c.rec.hold = false
	return total
}

// Write writes above TLS. All records of one call leave together, and under compression all of it can be
// decoded by then.
func (c *Conn) Write(p []byte) (n int, err error) {
	if c.pack != nil {
		n, err = c.writePacked(p)
	} else {
		n, err = c.write(p)
	}
	c.out.Add(int64(n))
	return n, err
}

func (c *Conn) write(p []byte) (int, error) {
	if c.rec == nil {
		return c.raw.Write(p)
	}
	c.rec.gather()
	n, err := c.top.Write(p)
	if ferr := c.rec.release(); err == nil {
		err = ferr
	}
	return n, err
}

// BytesIn returns how many octets were read above TLS and compression.
func (c *Conn) BytesIn() int64 { return c.in.Load() }

// BytesOut returns how many octets were written above TLS and compression.
func (c *Conn) BytesOut() int64 { return c.out.Load() }

// SetReadDeadline interrupts reading; an expired deadline can be moved and reading goes on.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.raw.SetReadDeadline(t) }

// SetWriteDeadline bounds writing. A TLS connection whose write was interrupted is unusable.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.until.set(c.raw, t) }

// RemoteAddr returns the peer's address.
func (c *Conn) RemoteAddr() net.Addr { return c.raw.RemoteAddr() }

// LocalAddr returns our address.
func (c *Conn) LocalAddr() net.Addr { return c.raw.LocalAddr() }

// CloseWrite ends our direction: the compressed stream with its last block, TLS with close_notify, TCP with
// the half-close where the raw connection knows it. The peer can still be read.
func (c *Conn) CloseWrite() error {
	var err error
	if c.pack != nil {
		_, err = c.write([]byte{3, 0}) // an empty block, which is the last (RFC 1951 section 3.2.6)
	}
	if t, ok := c.top.(*tls.Conn); ok {
		if terr := t.CloseWrite(); err == nil {
			err = terr
		}
	}
	if h, ok := c.raw.(interface{ CloseWrite() error }); ok {
		if herr := h.CloseWrite(); err == nil {
			err = herr
		}
	}
	return err
}

// Close closes the connection, under TLS with close_notify.
func (c *Conn) Close() error { return c.top.Close() }

// Abort closes the raw connection without close_notify, so that the peer knows that it did not see all.
func (c *Conn) Abort() error { return c.raw.Close() }
