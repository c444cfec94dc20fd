package wire

import (
	"context"
	"crypto/tls"
	"net"
	"sync/atomic"
	"time"
)

// A Conn is the connection to a client or a backend: the raw connection and, once there is one, TLS
// above it. One goroutine may read while another writes; Close, Abort and the deadlines may be called
// from any.
type Conn struct {
	raw net.Conn
	top net.Conn // raw, or the TLS connection above it
	rec *records // below TLS; nil without

	in, out atomic.Int64
}

// NewConn returns a Conn on a raw connection.
func NewConn(raw net.Conn) *Conn { return &Conn{raw: raw, top: raw} }

// Server starts TLS as the server's side (RFC 3501 section 6.2.1). The handshake ends with ctx. The
// caller makes sure that nothing of the plain stream is buffered above the Conn.
func (c *Conn) Server(ctx context.Context, cfg *tls.Config) error {
	rec := newRecords(c.raw)
	return c.secure(ctx, tls.Server(rec, cfg), rec)
}

// Client starts TLS as the client's side.
func (c *Conn) Client(ctx context.Context, cfg *tls.Config) error {
	rec := newRecords(c.raw)
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

// Read reads from above TLS, and below it the further ahead the more room p has.
func (c *Conn) Read(p []byte) (int, error) {
	if c.rec != nil {
		c.rec.bulk = len(p) > smallBuffer
	}
	n, err := c.top.Read(p)
	c.in.Add(int64(n))
	return n, err
}

// Write writes above TLS. All records of one call leave together.
func (c *Conn) Write(p []byte) (int, error) {
	if c.rec == nil {
		n, err := c.raw.Write(p)
		c.out.Add(int64(n))
		return n, err
	}
	c.rec.gather()
	n, err := c.top.Write(p)
	if ferr := c.rec.release(); err == nil {
		err = ferr
	}
	c.out.Add(int64(n))
	return n, err
}

// BytesIn returns how many octets were read above TLS.
func (c *Conn) BytesIn() int64 { return c.in.Load() }

// BytesOut returns how many octets were written above TLS.
func (c *Conn) BytesOut() int64 { return c.out.Load() }

// SetReadDeadline interrupts reading; an expired deadline can be moved and reading goes on.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.raw.SetReadDeadline(t) }

// SetWriteDeadline bounds writing. A TLS connection whose write was interrupted is unusable.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.raw.SetWriteDeadline(t) }

// RemoteAddr returns the peer's address.
func (c *Conn) RemoteAddr() net.Addr { return c.raw.RemoteAddr() }

// LocalAddr returns our address.
func (c *Conn) LocalAddr() net.Addr { return c.raw.LocalAddr() }

// CloseWrite ends our direction: with close_notify under TLS, and the TCP half-close where the raw
// connection knows it. The peer can still be read.
func (c *Conn) CloseWrite() error {
	var err error
	if t, ok := c.top.(*tls.Conn); ok {
		err = t.CloseWrite()
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
