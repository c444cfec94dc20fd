package imaptest

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// A Side says over which bytes an [Injury] counts.
type Side uint8

// The sides of a connection, as seen by who holds the injured connection.
const (
	Reads  Side = iota // bytes that its Read returns
	Writes             // bytes that its Write is given
)

// A Harm is a kind of injury.
type Harm uint8

// The kinds of harm.
const (
	// Cut resets the connection: both ends get ECONNRESET, in both directions.
	Cut Harm = iota + 1
	// HalfClose ends one direction: on Reads, Read returns io.EOF from there on; on Writes, the other
	// end does, and Write returns EPIPE. The other direction goes on.
	HalfClose
	// Stall blocks one direction from there on, until its deadline or Close.
	Stall
	// Split lets no single Read or Write pass the byte; nothing is lost.
	Split
	// Drip moves one byte with each Read or Write, whatever At says; nothing is lost.
	Drip
)

// An Injury happens after At bytes have passed on Side: on Writes as soon as byte At-1 is written (for At
// 0 at the first Write), on Reads at the Read that follows.
type Injury struct {
	Side Side
	At   int64
	Kind Harm
}

// Injure returns c with an injury. Closing the result closes c. Several injuries are put around one
// another. The result has CloseWrite and Abort, which do what c can.
func Injure(c net.Conn, i Injury) net.Conn {
	blocked, _ := PipeSize(0)
	return &injured{Conn: c, injury: i, blocked: blocked}
}

type injured struct {
	net.Conn
	injury  Injury
	blocked *Conn // nothing ever moves here: its Read and Write end by deadline or Close

	mu    sync.Mutex
	count int64
	cut   bool
}

func (c *injured) Read(p []byte) (int, error) {
	if c.injury.Side != Reads {
		n, err := c.Conn.Read(p)
		return n, c.explain("read", err)
	}
	n := c.next(len(p))
	if n == 0 && len(p) > 0 {
		return c.harmRead(p)
	}
	n, err := c.Conn.Read(p[:n])
	c.moved(n)
	return n, c.explain("read", err)
}

// NotifyReadable calls f once, as that of [Conn]; false where the connection below does not have it.
func (c *injured) NotifyReadable(f func()) bool {
	n, ok := c.Conn.(interface{ NotifyReadable(func()) bool })
	switch {
	case !ok:
	case c.injury.Side != Reads || c.next(1) > 0:
		return n.NotifyReadable(f)
	case c.injury.Kind == Stall:
		return c.blocked.NotifyReadable(f)
	default:
		go f()
	}
	return ok
}

func (c *injured) Write(p []byte) (n int, err error) {
	if c.injury.Side != Writes {
		n, err := c.Conn.Write(p)
		return n, c.explain("write", err)
	}
	for n < len(p) && err == nil {
		var moved int
		if piece := c.next(len(p) - n); piece > 0 {
			moved, err = c.Conn.Write(p[n : n+piece])
		} else {
			moved, err = c.harmWrite(p[n:])
		}
		c.moved(moved)
		n += moved
	}
	if err == nil && c.next(1) == 0 {
		c.strike()
	}
	return n, c.explain("write", err)
}

// next returns how many of the next n bytes may pass in one go; 0 where the injury is.
func (c *injured) next(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	left := c.injury.At - c.count
	switch {
	case c.injury.Kind == Drip:
		return min(n, 1)
	case c.injury.Kind == Split && left <= 0:
		return n
	}
	return int(max(0, min(int64(n), left)))
}

func (c *injured) moved(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count += int64(n)
}

func (c *injured) harmRead(p []byte) (int, error) {
	switch c.injury.Kind {
	case HalfClose:
		return 0, io.EOF
	case Stall:
		return c.blocked.Read(p)
	}
	c.strike()
	return 0, c.explain("read", net.ErrClosed)
}

func (c *injured) harmWrite(p []byte) (int, error) {
	if c.injury.Kind == Stall {
		return c.blocked.Write(p)
	}
	c.strike()
	if c.injury.Kind == HalfClose {
		return 0, c.fail("write", syscall.EPIPE)
	}
	return 0, c.explain("write", net.ErrClosed)
}

// strike does to the connection what the injury says; a second time changes nothing.
func (c *injured) strike() {
	switch c.injury.Kind {
	case HalfClose:
		c.CloseWrite()
	case Cut:
		c.mu.Lock()
		c.cut = true
		c.mu.Unlock()
		c.Abort()
	}
}

// explain makes a reset of each error that the cut has caused.
func (c *injured) explain(op string, err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil || !c.cut {
		return err
	}
	return c.fail(op, syscall.ECONNRESET)
}

func (c *injured) fail(op string, err error) error {
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: os.NewSyscallError(op, err)}
}

// Close closes the connection below and ends what is stalled.
func (c *injured) Close() error {
	c.blocked.Close()
	return c.Conn.Close()
}

// CloseWrite half-closes the connection below, where it can.
func (c *injured) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return errors.ErrUnsupported
}

// Abort resets the connection below, where it can; otherwise it closes it.
func (c *injured) Abort() error {
	c.blocked.Close()
	return abort(c.Conn)
}

func (c *injured) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

func (c *injured) SetReadDeadline(t time.Time) error {
	c.blocked.SetReadDeadline(t)
	return c.Conn.SetReadDeadline(t)
}

func (c *injured) SetWriteDeadline(t time.Time) error {
	c.blocked.SetWriteDeadline(t)
	return c.Conn.SetWriteDeadline(t)
}

// abort closes c so that the other end gets a reset, where c can do that.
func abort(c net.Conn) error {
	switch c := c.(type) {
	case interface{ Abort() error }:
		return c.Abort()
	case interface{ SetLinger(int) error }:
		c.SetLinger(0)
	}
	return c.Close()
}
