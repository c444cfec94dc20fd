//go:build unix && !linux

package realpeer

import "syscall"

// processAttributes puts a server into a process group of its own.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
