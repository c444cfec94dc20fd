package main

import (
	"io/fs"
	"net"
	"sync"

	"github.com/imapgate/imapgate/cmd/internal/config"
	"github.com/imapgate/imapgate/proxy"
)

// A door is an open port on which listeners take turns: after a reload the next one accepts with its new
// settings, the port stays open, and no client in between is lost.
type door struct {
	name, address string      // as configured
	mode          fs.FileMode // of a Unix socket, as configured
	port          net.Listener
	arrivals      chan arrival
	closed        chan struct{}
	closeOnce     sync.Once
	pumped        chan struct{} // closed when nothing accepts from port any more

	mu  sync.Mutex
	now *turn
}

// An arrival is the outcome of one Accept.
type arrival struct {
	conn net.Conn
	err  error
}

// A turn is what one proxy.Listener accepts from. To close it does not close the port.
type turn struct {
	*door
	listener *proxy.Listener
	over     chan struct{}
	overOnce sync.Once
}

// newDoor takes over the port. The door has to be closed.
func newDoor(settings config.Listener, port net.Listener) *door {
	d := &door{
		name: settings.Name, address: settings.Address, mode: settings.Mode, port: port,
		arrivals: make(chan arrival), closed: make(chan struct{}), pumped: make(chan struct{}),
	}
	go d.pump()
	return d
}

// pump accepts before anybody asks for it, one connection at most.
func (d *door) pump() {
	defer close(d.pumped)
	for {
		conn, err := d.port.Accept()
		select {
		case d.arrivals <- arrival{conn, err}:
		case <-d.closed:
			if err == nil {
				conn.Close()
			}
			return
		}
	}
}

// give begins a turn with a copy of the listener's settings and ends the one before.
func (d *door) give(settings *proxy.Listener) {
	next, ln := &turn{door: d, over: make(chan struct{})}, *settings
	ln.Listener, next.listener = next, &ln
	d.mu.Lock()
	last := d.now
	d.now = next
	d.mu.Unlock()
	if last != nil {
		last.Close()
	}
}

// turn returns the turn that counts.
func (d *door) turn() *turn {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.now
}

// close closes the port. Connections that were accepted by a turn stay.
func (d *door) close() {
	d.closeOnce.Do(func() {
		close(d.closed)
		d.port.Close()
	})
	<-d.pumped
}

// Accept is that of a net.Listener; it ends with net.ErrClosed when the turn is over.
func (t *turn) Accept() (net.Conn, error) {
	select {
	case <-t.over:
		return nil, net.ErrClosed
	default:
	}
	select {
	case a := <-t.arrivals:
		return a.conn, a.err
	case <-t.over:
		return nil, net.ErrClosed
	case <-t.closed:
		return nil, net.ErrClosed
	}
}

// Close ends the turn.
func (t *turn) Close() error {
	t.overOnce.Do(func() { close(t.over) })
	return nil
}

// Addr is the port's.
func (t *turn) Addr() net.Addr { return t.port.Addr() }
