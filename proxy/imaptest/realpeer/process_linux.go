package realpeer

import "syscall"

// processAttributes puts a server into a process group of its own and has the kernel end it when the test process dies
// without cleaning up (a panic in another goroutine, a timeout).
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
