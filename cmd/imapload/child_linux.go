package main

import (
	"os"
	"syscall"
)

// childAttributes puts a server into a process group of its own, so that a key pressed at the terminal
// reaches only us, who then stop it; and has the kernel end it should we die.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}

// endChild asks a server to end.
func endChild(p *os.Process) { p.Signal(syscall.SIGTERM) }

// killChild kills a server and the processes that it has started.
func killChild(p *os.Process) { syscall.Kill(-p.Pid, syscall.SIGKILL) }
