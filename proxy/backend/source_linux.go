package backend

import "syscall"

const ipBindAddressNoPort = 24 // from linux/in.h

// portAtConnect lets the kernel choose the local port when it knows where the connection leads, so that
// one source address has all its ports for each backend, not for all of them together. A kernel without
// it works with fewer connections, so its refusal is no failure.
func portAtConnect(_, _ string, raw syscall.RawConn) error {
	return raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, ipBindAddressNoPort, 1)
	})
}
