package imaptest

import (
	"context"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
)

const backlog = 128

// A Listener is an in-memory [net.Listener]. Make it inside the [testing/synctest] bubble that uses it.
type Listener struct {
	queue chan *Conn
	done  chan struct{}
	once  sync.Once
	addr  *net.TCPAddr
	ports atomic.Int32
}

// Listen returns a Listener with the address 127.0.0.1:143. Up to 128 connections wait to be accepted;
// further dials block.
func Listen() *Listener {
	return &Listener{queue: make(chan *Conn, backlog), done: make(chan struct{}), addr: loopback(143)}
}

// Accept returns the listener's end of the next connection, or net.ErrClosed.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case <-l.done:
		return nil, l.wrap("accept", net.ErrClosed)
	case c := <-l.queue:
		return c, nil
	}
}

// TryAccept returns the listener's end of a connection that waits, without blocking.
func (l *Listener) TryAccept() (*Conn, bool) {
	select {
	case c := <-l.queue:
		return c, true
	default:
		return nil, false
	}
}

// Close ends Accept and resets the connections that were not accepted. Later dials get ECONNREFUSED.
func (l *Listener) Close() error {
	err := l.wrap("close", net.ErrClosed)
	l.once.Do(func() {
		close(l.done)
		l.refuseWaiting()
		err = nil
	})
	return err
}

func (l *Listener) refuseWaiting() {
	for {
		c, ok := l.TryAccept()
		if !ok {
			return
		}
		c.Abort()
	}
}

// Addr returns a *net.TCPAddr.
func (l *Listener) Addr() net.Addr { return l.addr }

// Dial returns the client's end of a new connection; it need not have been accepted yet. Each has its
// own port.
func (l *Listener) Dial() (*Conn, error) { return l.dial(context.Background()) }

// DialContext connects to l whatever the address says, in the form of [net.Dialer.DialContext].
func (l *Listener) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	c, err := l.dial(ctx)
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (l *Listener) dial(ctx context.Context) (*Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, l.wrap("dial", err)
	}
	near, far := Pipe()
	near.SetAddrs(loopback(40000+int(l.ports.Add(1))), l.addr)
	select {
	case <-l.done:
		return nil, l.refused()
	default:
	}
	select {
	case <-l.done:
		return nil, l.refused()
	case <-ctx.Done():
		return nil, l.wrap("dial", ctx.Err())
	case l.queue <- far:
	}
	select {
	case <-l.done: // Close may have emptied the queue before far was in it
		l.refuseWaiting()
	default:
	}
	return near, nil
}

func (l *Listener) refused() error {
	return l.wrap("dial", os.NewSyscallError("connect", syscall.ECONNREFUSED))
}

func (l *Listener) wrap(op string, err error) error {
	return &net.OpError{Op: op, Net: "tcp", Addr: l.addr, Err: err}
}

// A Network leads addresses ("host:port") to listeners, for tests with several backends.
type Network map[string]*Listener

// DialContext connects to the listener of address; an address without one gets ECONNREFUSED.
func (n Network) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	l := n[address]
	if l == nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	}
	return l.DialContext(ctx, network, address)
}
