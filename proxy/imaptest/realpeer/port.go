//go:build unix

package realpeer

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
)

// A port is a loopback TCP port that is reserved for a server of ours until close is called.
type port struct {
	number int
	fd     int
}

// reservePort binds a port that the kernel chooses and does not listen on it. While the socket is open the kernel
// gives the port to nobody who asks for any port; a server that names it and sets SO_REUSEADDR can listen on it.
func reservePort() (port, error) {
	syscall.ForkLock.RLock()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return port{}, fmt.Errorf("reserving a port: %w", os.NewSyscallError("socket", err))
	}
	p := port{fd: fd}
	if p.number, err = bindAny(fd); err != nil {
		p.close()
		return port{}, fmt.Errorf("reserving a port: %w", err)
	}
	return p, nil
}

func bindAny(fd int) (int, error) {
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return 0, os.NewSyscallError("setsockopt", err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, os.NewSyscallError("bind", err)
	}
	addr, err := syscall.Getsockname(fd)
	if err != nil {
		return 0, os.NewSyscallError("getsockname", err)
	}
	inet, ok := addr.(*syscall.SockaddrInet4)
	if !ok {
		return 0, fmt.Errorf("getsockname returned %T for an IPv4 socket", addr)
	}
	return inet.Port, nil
}

func (p port) address() string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(p.number))
}

func (p port) close() {
	_ = syscall.Close(p.fd)
}
