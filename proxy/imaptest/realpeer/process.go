//go:build unix

package realpeer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// stopTimeout bounds how long a server may take to end by itself (Dovecot takes one second, and five when a client
// stays); stragglerTimeout how long its other processes may outlive the first one.
const (
	stopTimeout      = 2 * time.Second
	stragglerTimeout = 300 * time.Millisecond
)

// A process is a server that runs until stop or kill. What it and its children write goes to its log.
type process struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	log    logBuffer
	closed chan struct{} // closed when no process writes to the log any more
	done   chan struct{} // closed when all processes are gone
}

// startProcess starts cmd; two goroutines follow it to its end, which stop and kill bring about.
func startProcess(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, closed: make(chan struct{}), done: make(chan struct{})}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", cmd.Path, err)
	}
	defer w.Close()
	cmd.Stdout, cmd.Stderr = w, w
	cmd.SysProcAttr = processAttributes()
	if p.stdin, err = cmd.StdinPipe(); err == nil {
		err = cmd.Start()
	}
	if err != nil {
		_ = r.Close()
		return nil, fmt.Errorf("starting %s: %w", cmd.Path, err)
	}
	go p.readLog(r)
	go p.wait()
	return p, nil
}

func (p *process) readLog(r io.ReadCloser) {
	defer close(p.closed)
	defer r.Close()
	_, _ = io.Copy(&p.log, r)
}

// wait ends what is left of the process group when the first process is gone. An open log proves that something is
// left, so the group's number cannot belong to anybody else.
func (p *process) wait() {
	defer close(p.done)
	_ = p.cmd.Wait()
	timer := time.NewTimer(stragglerTimeout)
	defer timer.Stop()
	select {
	case <-p.closed:
		return
	case <-timer.C:
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	timer.Reset(stopTimeout)
	select {
	case <-p.closed:
	case <-timer.C:
	}
}

// stop ends the process by closing its standard input and by SIGTERM, and by kill when it takes too long.
func (p *process) stop() error {
	_ = p.stdin.Close()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return p.kill()
	}
	timer := time.NewTimer(stopTimeout)
	defer timer.Stop()
	select {
	case <-p.done:
		return nil
	case <-timer.C:
		return p.kill()
	}
}

// kill ends the whole process group at once and waits until it is gone.
func (p *process) kill() error {
	select {
	case <-p.done:
		return nil
	default:
	}
	err := syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	if err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("killing %s: %w", p.cmd.Path, err)
	}
	<-p.done
	return nil
}

// A logBuffer collects what several processes write.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
