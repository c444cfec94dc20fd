package proxy

import (
	"os"
	"sync"
	"syscall"
	"time"
)

// A poller watches descriptors without a goroutine for each: by an epoll of our own, in which every
// descriptor is armed for one event. They are the connections' own descriptors, not duplicates, so that a
// connection that is closed is gone from it.
type poller struct {
	file  *os.File // the epoll, which the runtime's own poller watches: no thread waits in it
	epoll int      // its descriptor, while it is not closed
	conn  syscall.RawConn
	done  chan struct{}

	mu       sync.Mutex
	watching []*control // by descriptor
	closed   bool
}

// wakesAtOnce is how many events are taken out of the kernel in one call.
const wakesAtOnce = 256

func newPoller() (*poller, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := syscall.SetNonblock(fd, true); err != nil { // so that os.NewFile lets the runtime poll it
		syscall.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	p := &poller{file: os.NewFile(uintptr(fd), "epoll"), epoll: fd, done: make(chan struct{})}
	err = p.file.SetReadDeadline(time.Time{}) // fails where the runtime does not poll it after all
	if err == nil {
		p.conn, err = p.file.SyscallConn()
	}
	if err != nil {
		p.file.Close()
		return nil, err
	}
	go p.run()
	return p, nil
}

// An arming is one call of watch: what the connection calls while its descriptor cannot be closed. It is lent,
// so that a reader that parks leaves no garbage.
type arming struct {
	p   *poller
	c   *control
	err error
	arm func(fd uintptr) // a.armed
}

var armings = sync.Pool{New: func() any {
	a := new(arming)
	a.arm = a.armed
	return a
}}

func (a *arming) armed(fd uintptr) { a.err = a.p.arm(int(fd), a.c) }

// watch wakes c, whose lock is held, as soon as conn can be read, once.
func (p *poller) watch(conn syscall.Conn, c *control) error {
	rc, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	a := armings.Get().(*arming)
	a.p, a.c = p, c
	err = rc.Control(a.arm)
	if err == nil {
		err = a.err
	}
	a.p, a.c, a.err = nil, nil, nil
	armings.Put(a)
	return err
}

// arm arms the descriptor of c.
func (p *poller) arm(fd int, c *control) error {
	e := syscall.EpollEvent{Events: syscall.EPOLLIN | syscall.EPOLLRDHUP | syscall.EPOLLONESHOT, Fd: int32(fd)}
	op := syscall.EPOLL_CTL_ADD
	if c.fd != 0 {
		op = syscall.EPOLL_CTL_MOD
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return os.ErrClosed
	}
	if fd >= len(p.watching) {
		p.watching = append(p.watching, make([]*control, fd+1-len(p.watching))...)
	}
	p.watching[fd] = c
	c.fd = int32(fd) + 1
	err := syscall.EpollCtl(p.epoll, op, fd, &e)
	if err == syscall.EEXIST { // it served another session before
		err = syscall.EpollCtl(p.epoll, syscall.EPOLL_CTL_MOD, fd, &e)
	}
	return os.NewSyscallError("epoll_ctl", err)
}

// forget lets go of c. The table has its entry by descriptor, which may be another connection's soon: an
// event that was under way then wakes a reader for nothing.
func (p *poller) forget(c *control) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if fd := c.fd - 1; fd >= 0 && p.watching[fd] == c {
		p.watching[fd] = nil
	}
}

// run wakes readers until the poller is closed.
func (p *poller) run() {
	defer close(p.done)
	var events [wakesAtOnce]syscall.EpollEvent
	var ready []*control
	n := 0
	wait := func(epoll uintptr) bool {
		var err error
		for err = syscall.EINTR; err == syscall.EINTR; { // the runtime tells of each event only once
			n, err = syscall.EpollWait(int(epoll), events[:], 0)
		}
		return n > 0
	}
	for {
		if p.conn.Read(wait) != nil {
			return
		}
		ready = p.find(ready[:0], events[:max(n, 0)])
		for _, c := range ready {
			c.wake()
		}
		clear(ready)
	}
}

func (p *poller) find(ready []*control, events []syscall.EpollEvent) []*control {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range events {
		if c := p.watching[e.Fd]; c != nil {
			ready = append(ready, c)
		}
	}
	return ready
}

func (p *poller) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.file.Close()
	<-p.done
}
