//go:build !linux

package proxy

import "syscall"

// A poller would watch descriptors without a goroutine for each. On this system every reader keeps its
// goroutine.
type poller struct{}

func newPoller() (*poller, error)                  { return nil, errNoLot }
func (*poller) watch(syscall.Conn, *control) error { return errNoLot }
func (*poller) forget(*control)                    {}
func (*poller) close()                             {}
