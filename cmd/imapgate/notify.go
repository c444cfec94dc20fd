package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// A notifier tells the service manager how the process is doing, in the way of sd_notify(3): a datagram of
// assignments to the socket in NOTIFY_SOCKET. Without that socket every call does nothing and succeeds.
// Its methods may be called from several goroutines.
type notifier struct {
	address  string        // of the socket; "" for none
	watchdog time.Duration // the manager restarts a service that is silent for longer; 0 for never
}

// newNotifier reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID. The watchdog is meant for this process only
// where WATCHDOG_PID names it or is missing.
func newNotifier(getenv func(string) string) *notifier {
	n := &notifier{address: getenv("NOTIFY_SOCKET")}
	if pid := getenv("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return n
	}
	if usec, err := strconv.ParseInt(getenv("WATCHDOG_USEC"), 10, 64); err == nil && usec > 0 && usec < 1<<50 {
		n.watchdog = time.Duration(usec) * time.Microsecond
	}
	return n
}

// ready says that every port is open, or that a reload is over, whether it took or not. status is one line for
// "systemctl status", with no secret in it.
func (n *notifier) ready(status string) error { return n.send("READY=1", "STATUS="+status) }

// reloading says that a reload begins; ready has to follow.
func (n *notifier) reloading() error { return n.send("RELOADING=1", "STATUS=Reloading") }

// stopping says that the drain begins and may take this long. It asks the manager for that much time and some
// seconds more, so that TimeoutStopSec= in a unit does not cut a longer timeouts.drain.
func (n *notifier) stopping(drain time.Duration) error {
	const margin = 10 * time.Second
	return n.send("STOPPING=1", "STATUS=Draining",
		"EXTEND_TIMEOUT_USEC="+strconv.FormatInt((drain+margin).Microseconds(), 10))
}

// watch feeds the watchdog until ctx ends. It calls alive before each sign of life: while alive does not return,
// there is none, and the manager restarts the service. alive should take the locks that matter and give
// them back. What could not be sent is tried again at the next beat, for silence would end the service; failed
// is told of the first failure after a success. It returns at once where no watchdog is wanted.
func (n *notifier) watch(ctx context.Context, alive func(), failed func(error)) {
	if n.watchdog == 0 || n.address == "" {
		return
	}
	var last error
	beat := time.NewTicker(n.watchdog / 2) // as sd_watchdog_enabled(3) advises
	defer beat.Stop()
	for {
		select {
		case <-beat.C:
		case <-ctx.Done():
			return
		}
		alive()
		err := n.send("WATCHDOG=1")
		if err != nil && last == nil {
			failed(err)
		}
		last = err
	}
}

// send writes one datagram. A name that begins with @ is of the abstract namespace; net knows that.
func (n *notifier) send(assignments ...string) error {
	if n.address == "" {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.address, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("tell the service manager, NOTIFY_SOCKET=%s: %w", n.address, err)
	}
	defer conn.Close()
	// The manager reads at once; where it does not, the proxy must not wait for it.
	if err := conn.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
		return fmt.Errorf("tell the service manager: %w", err)
	}
	if _, err := conn.Write([]byte(strings.Join(assignments, "\n"))); err != nil {
		return fmt.Errorf("tell the service manager, NOTIFY_SOCKET=%s: %w", n.address, err)
	}
	return nil
}
