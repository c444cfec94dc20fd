package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

const (
	startTime = 15 * time.Second       // for a server until it listens
	stopTime  = 10 * time.Second       // for a server that is asked to end
	lookAgain = 20 * time.Millisecond  // between two looks at a port
	settle    = 100 * time.Millisecond // for what a server does behind its first accept
)

// A child is a server that was started, as a process of our own.
type child struct {
	cmd   *exec.Cmd
	log   string // file of its output
	ended chan struct{}
}

// startChild starts a server and returns when it listens at all its ports.
func startChild(ctx context.Context, program string, args []string, dir string, ports []int) (*child, error) {
	c := &child{cmd: exec.Command(program, args...), log: filepath.Join(dir, "output.log"), ended: make(chan struct{})}
	out, err := os.OpenFile(c.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	c.cmd.Dir = dir
	c.cmd.Stdout, c.cmd.Stderr = out, out
	c.cmd.SysProcAttr = childAttributes()
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	go c.wait()
	for _, port := range ports {
		if err := c.listens(ctx, port); err != nil {
			c.stop()
			return nil, err
		}
	}
	if err := pause(ctx, settle); err != nil {
		c.stop()
		return nil, err
	}
	return c, nil
}

func (c *child) wait() {
	c.cmd.Wait()
	close(c.ended)
}

// listens waits until the server accepts at a port.
func (c *child) listens(ctx context.Context, port int) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	dialer := net.Dialer{Timeout: time.Second}
	for {
		nc, err := dialer.DialContext(ctx, "tcp", loopback(port))
		if err == nil {
			return nc.Close()
		}
		select {
		case <-c.ended:
			return fmt.Errorf("it has ended: %s", c.lastWords())
		default:
		}
		if pause(ctx, lookAgain) != nil {
			return fmt.Errorf("it does not listen at port %d: %s", port, c.lastWords())
		}
	}
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// lastWords are the last line that the server wrote.
func (c *child) lastWords() string {
	b, err := os.ReadFile(c.log)
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(b), []byte("\n"))
	return fmt.Sprintf("%.300s", lines[len(lines)-1])
}

// stop ends the server by its process id, and by force where it does not end by itself.
func (c *child) stop() error {
	endChild(c.cmd.Process)
	late := time.NewTimer(stopTime)
	defer late.Stop()
	select {
	case <-c.ended:
		return nil
	case <-late.C:
	}
	killChild(c.cmd.Process)
	<-c.ended
	return errors.New("a server did not end by itself and was killed")
}

// pids are the child's processes.
func (c *child) pids() processes { return processes{c.cmd.Process.Pid} }
