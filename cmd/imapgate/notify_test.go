package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// serviceManager returns a notifier for env, with NOTIFY_SOCKET added, and what reads the next datagram.
func serviceManager(t *testing.T, env map[string]string) (*notifier, func() string) {
	t.Helper()
	address := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	read := func() string {
		t.Helper()
		buf := make([]byte, 4096)
		if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		size, err := conn.Read(buf)
		if err != nil {
			t.Fatalf("no datagram came: %v", err)
		}
		return string(buf[:size])
	}
	return newNotifier(func(name string) string {
		if name == "NOTIFY_SOCKET" {
			return address
		}
		return env[name]
	}), read
}

func TestNotify(t *testing.T) {
	n, read := serviceManager(t, nil)
	for _, step := range []struct {
		tell func() error
		want string
	}{
		{func() error { return n.ready("Serving 2 listeners") }, "READY=1\nSTATUS=Serving 2 listeners"},
		{n.reloading, "RELOADING=1\nSTATUS=Reloading"},
		{func() error { return n.stopping(5 * time.Minute) }, "STOPPING=1\nSTATUS=Draining\nEXTEND_TIMEOUT_USEC=310000000"},
	} {
		if err := step.tell(); err != nil {
			t.Fatal(err)
		}
		if got := read(); got != step.want {
			t.Errorf("the manager read %q, want %q", got, step.want)
		}
	}
}

func TestNotifyWithoutManager(t *testing.T) {
	n := newNotifier(func(string) string { return "" })
	if err := n.ready("x"); err != nil {
		t.Errorf("without NOTIFY_SOCKET: %v", err)
	}
	n = newNotifier(func(name string) string {
		return map[string]string{"NOTIFY_SOCKET": filepath.Join(t.TempDir(), "gone")}[name]
	})
	if err := n.ready("x"); err == nil {
		t.Error("a socket that is not there was told without an error")
	}
}

func TestNotifyWatchdogIsMeantForUs(t *testing.T) {
	self := strconv.Itoa(os.Getpid())
	for _, test := range []struct {
		usec, pid string
		want      time.Duration
	}{
		{"30000000", self, 30 * time.Second},
		{"30000000", "", 30 * time.Second},
		{"30000000", "1", 0},
		{"", self, 0},
		{"-5", self, 0},
		{"soon", self, 0},
		{"9223372036854775807", self, 0},
	} {
		env := map[string]string{"WATCHDOG_USEC": test.usec, "WATCHDOG_PID": test.pid}
		n := newNotifier(func(name string) string { return env[name] })
		if n.watchdog != test.want {
			t.Errorf("WATCHDOG_USEC=%s WATCHDOG_PID=%s: %v, want %v", test.usec, test.pid, n.watchdog, test.want)
		}
	}
}

func TestNotifyWatch(t *testing.T) {
	n, read := serviceManager(t, map[string]string{"WATCHDOG_USEC": "2000"})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	asked, answer, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		n.watch(ctx, func() {
			select {
			case asked <- struct{}{}:
				<-answer
			case <-ctx.Done():
			}
		}, func(err error) { t.Error(err) })
	}()

	<-asked
	// What was told meanwhile is the first thing the manager reads: there was no sign of life before alive returned.
	if err := n.ready("still asked"); err != nil {
		t.Fatal(err)
	}
	if got := read(); got != "READY=1\nSTATUS=still asked" {
		t.Errorf("the manager read %q before alive returned", got)
	}
	answer <- struct{}{}
	if got := read(); got != "WATCHDOG=1" {
		t.Errorf("the manager read %q, want a sign of life", got)
	}
	cancel()
	waitFor(t, done, "watch does not end")
}

// A datagram that is lost must not end the signs of life, or the manager ends a service that is well.
func TestNotifyWatchOutlivesAnOutage(t *testing.T) {
	n, read := serviceManager(t, map[string]string{"WATCHDOG_USEC": "2000"})
	ctx, cancel := context.WithCancel(t.Context())
	beats, failures, done := make(chan struct{}), make(chan error, 100), make(chan struct{})
	go func() {
		defer close(done)
		n.watch(ctx, func() {
			select {
			case beats <- struct{}{}:
			case <-ctx.Done():
			}
		}, func(err error) { failures <- err })
	}()
	for outage := 1; outage <= 2; outage++ {
		if err := os.Rename(n.address, n.address+".away"); err != nil {
			t.Fatal(err)
		}
		for range 4 { // the third comes when the second has failed
			waitFor(t, beats, "no beat in an outage")
		}
		if err := os.Rename(n.address+".away", n.address); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			waitFor(t, beats, "no beat after an outage")
		}
		if got := read(); got != "WATCHDOG=1" {
			t.Errorf("the manager read %q", got)
		}
		if len(failures) != outage {
			t.Errorf("told of %d failures in %d outages", len(failures), outage)
		}
	}
	cancel()
	waitFor(t, done, "watch does not end")
}

func TestNotifyWatchIsNotWanted(t *testing.T) {
	n, _ := serviceManager(t, nil)
	n.watch(t.Context(), func() { t.Error("alive was asked") }, func(err error) { t.Error(err) })
}
