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

// DefaultBuffer is the number of bytes that [Pipe] holds in each direction before a Write blocks.
const DefaultBuffer = 64 << 10

// A Conn is one end of an in-memory connection that behaves like a TCP connection. Its errors are
// [*net.OpError] around [os.ErrDeadlineExceeded], [net.ErrClosed], [syscall.ECONNRESET] or
// [syscall.EPIPE]; the end of the stream is a bare [io.EOF]. All methods may be called from any
// goroutine. A Conn that is made inside a [testing/synctest] bubble belongs to that bubble.
type Conn struct {
	in, out *half
	addrs   *addrs
	second  bool
}

// addrs is shared by the two ends: what is local at one is remote at the other.
type addrs struct {
	mu   sync.Mutex
	ends [2]*net.TCPAddr
}

// Pipe returns the two ends of a connection that buffers [DefaultBuffer] bytes in each direction.
func Pipe() (a, b *Conn) { return PipeSize(DefaultBuffer) }

// PipeSize is [Pipe] with a buffer of size bytes in each direction. With 0 every Write blocks until its
// deadline or Close.
func PipeSize(size int) (a, b *Conn) {
	there, back := newHalf(size), newHalf(size)
	ends := &addrs{ends: [2]*net.TCPAddr{loopback(40001), loopback(143)}}
	return &Conn{in: back, out: there, addrs: ends}, &Conn{in: there, out: back, addrs: ends, second: true}
}

func loopback(port int) *net.TCPAddr {
	return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}
}

// Read reads what the other end has written. An expired deadline wins over data that is there.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	return n, c.wrap("read", err)
}

// Write blocks while the buffer is full. A failed Write says how many bytes are on their way.
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.out.Write(p)
	return n, c.wrap("write", err)
}

// NotifyReadable calls f once, from another goroutine, as soon as Read has bytes, the stream's end or an
// error to return. A later call takes the place of one that has not led to anything. It returns true.
func (c *Conn) NotifyReadable(f func()) bool {
	c.in.notifyReadable(f)
	return true
}

// Take returns all that can be read at once, without waiting. The error is nil while more may come;
// otherwise it says what a Read behind these bytes gets.
func (c *Conn) Take() ([]byte, error) {
	b, err := c.in.take()
	return b, c.wrap("read", err)
}

// Buffered returns the number of bytes that wait to be read at this end.
func (c *Conn) Buffered() int { return c.in.buffered() }

// CloseWrite ends this end's direction: the other end reads what was written, then io.EOF. Reading goes
// on.
func (c *Conn) CloseWrite() error {
	if c.in.isClosed() {
		return c.wrap("close", net.ErrClosed)
	}
	c.out.finish(io.EOF)
	return nil
}

// Close closes this end. The other end reads what was written, then io.EOF; its writes get EPIPE. A
// second Close is an error, as with TCP.
func (c *Conn) Close() error {
	return c.close(io.EOF, os.NewSyscallError("write", syscall.EPIPE))
}

// Abort closes this end as a reset does: the other end reads what was written, then ECONNRESET; its
// writes get ECONNRESET.
func (c *Conn) Abort() error { return c.close(reset("read"), reset("write")) }

func (c *Conn) close(end, broken error) error {
	if c.in.isClosed() {
		return c.wrap("close", net.ErrClosed)
	}
	c.out.finish(end)
	c.out.closeWriter()
	c.in.closeReader(broken)
	return nil
}

// SetDeadline sets both deadlines; see [Conn.SetReadDeadline].
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline may be called while a Read is blocked: a time in the past interrupts it at once. A
// later deadline, or the zero time, makes the connection readable again.
func (c *Conn) SetReadDeadline(t time.Time) error {
	return c.setDeadline(c.in, &c.in.read, t)
}

// SetWriteDeadline is [Conn.SetReadDeadline] for Write.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	return c.setDeadline(c.out, &c.out.write, t)
}

func (c *Conn) setDeadline(h *half, d *deadline, t time.Time) error {
	if c.in.isClosed() {
		return c.wrap("set", net.ErrClosed)
	}
	h.setDeadline(d, t)
	return nil
}

// SetAddrs sets the addresses of this end, and so those of the other end too.
func (c *Conn) SetAddrs(local, remote *net.TCPAddr) {
	c.addrs.mu.Lock()
	defer c.addrs.mu.Unlock()
	c.addrs.ends[c.index(0)], c.addrs.ends[c.index(1)] = local, remote
}

// LocalAddr returns a *net.TCPAddr.
func (c *Conn) LocalAddr() net.Addr { return c.addrs.get(c.index(0)) }

// RemoteAddr returns a *net.TCPAddr.
func (c *Conn) RemoteAddr() net.Addr { return c.addrs.get(c.index(1)) }

func (c *Conn) index(i int) int {
	if c.second {
		return 1 - i
	}
	return i
}

func (a *addrs) get(i int) *net.TCPAddr {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.ends[i]
}

func (c *Conn) wrap(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}
