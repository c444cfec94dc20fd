package wire

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
)

const (
	// pipeSize is what a pipe of the kernel holds, and the most that is moved at once. Smaller ones cost
	// more the smaller they are; a larger one an ordinary user may not have.
	pipeSize = 1 << 20
	// maxPipes is how many of the kernel's pipes are open at once, of two descriptors each. Whoever needs
	// another copies: slow clients may hold many for long.
	maxPipes = 32
	// keptPipes is how many of them stay open when nobody needs them.
	keptPipes = 4
)

const (
	setPipeSize    = 1031 // F_SETPIPE_SZ, which package syscall does not name
	spliceNonblock = 2    // SPLICE_F_NONBLOCK: of the pipe; the sockets do not block anyway
)

// pipes are those of the process.
var pipes struct {
	mu   sync.Mutex
	open int
	free [][2]int
}

// A kernelPipe is lent from the first octet that it holds to the last.
type kernelPipe struct {
	fds  [2]int // to read, to write
	lent bool
	n    int // octets that may be moved in, and then that were; that are to be moved out still
	left int // octets with which moving out has moved enough
	err  error

	filling, draining func(fd uintptr) bool // kept, so that they do not allocate
}

func (k *kernelPipe) open() bool { return k.lent }

// fill moves what there is in from, up to max octets, into the pipe. While there is nothing it waits
// without a pipe. The end is io.EOF.
func (k *kernelPipe) fill(from *net.TCPConn, max int) (int, error) {
	if k.filling == nil {
		k.filling, k.draining = k.in, k.out
	}
	k.n, k.err = max, nil
	raw, err := from.SyscallConn()
	if err == nil {
		err = raw.Read(k.filling)
	}
	switch {
	case err != nil:
		k.giveBack(0)
		return 0, err
	case k.err != nil:
		k.giveBack(0)
		return 0, spliceError(from, k.err)
	case k.n == 0:
		k.giveBack(0)
		return 0, io.EOF
	}
	return k.n, nil
}

// in is false where fd has nothing to read.
func (k *kernelPipe) in(fd uintptr) bool {
	if !k.lent && !k.borrow() {
		k.err = errNoPipe
		return true
	}
	n, err := splice(int(fd), k.fds[1], k.n)
	switch err {
	case nil:
		k.n = n
		return true
	case syscall.EAGAIN:
		k.giveBack(0)
		return false
	case syscall.EINVAL, syscall.ENOSYS, syscall.EPERM:
		err = errNoPipe
	}
	k.err = err
	return true
}

// drain moves octets of the held ones to a connection, and returns how many: as many as a Write of a
// buffer moves, or more, or all. An error leaves the rest in the pipe.
func (k *kernelPipe) drain(to *net.TCPConn, held int) (int, error) {
	k.n, k.left, k.err = held, max(held-largeBuffer, 0), nil
	raw, err := to.SyscallConn()
	if err == nil {
		err = raw.Write(k.draining)
	}
	if k.n == 0 {
		k.giveBack(0)
	}
	if err == nil && k.err != nil {
		err = spliceError(to, k.err)
	}
	return held - k.n, err
}

// out is false where fd takes nothing more.
func (k *kernelPipe) out(fd uintptr) bool {
	for k.n > k.left {
		n, err := splice(k.fds[0], int(fd), k.n)
		if err == syscall.EAGAIN {
			return false
		}
		if err != nil {
			k.err = err
			return true
		}
		k.n -= n
	}
	return true
}

// borrow gets a pipe, if there is one.
func (k *kernelPipe) borrow() bool {
	pipes.mu.Lock()
	defer pipes.mu.Unlock()
	if n := len(pipes.free); n > 0 {
		k.fds, pipes.free = pipes.free[n-1], pipes.free[:n-1]
		k.lent = true
		return true
	}
	if pipes.open == maxPipes || syscall.Pipe2(k.fds[:], syscall.O_CLOEXEC|syscall.O_NONBLOCK) != nil {
		return false
	}
	// Where that is refused the pipe is smaller, and as good.
	syscall.Syscall(syscall.SYS_FCNTL, uintptr(k.fds[0]), setPipeSize, pipeSize)
	pipes.open++
	k.lent = true
	return true
}

// giveBack returns the pipe, of which one that still holds something is closed.
func (k *kernelPipe) giveBack(held int) {
	if !k.lent {
		return
	}
	k.lent = false
	pipes.mu.Lock()
	defer pipes.mu.Unlock()
	if held == 0 && len(pipes.free) < keptPipes {
		pipes.free = append(pipes.free, k.fds)
		return
	}
	syscall.Close(k.fds[0])
	syscall.Close(k.fds[1])
	pipes.open--
}

func spliceError(c *net.TCPConn, err error) error {
	return &net.OpError{Op: "splice", Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: os.NewSyscallError("splice", err)}
}

func splice(from, to, max int) (int, error) {
	for {
		n, err := syscall.Splice(from, nil, to, nil, max, spliceNonblock)
		if err != syscall.EINTR {
			return int(n), err
		}
	}
}
