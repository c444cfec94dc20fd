//go:build !linux

package backend

import "syscall"

// portAtConnect does nothing where the kernel chooses the local port when it binds.
func portAtConnect(_, _ string, _ syscall.RawConn) error { return nil }
