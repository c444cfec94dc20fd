//go:build unix

package main

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestServiceManagerIsTold(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	manager.SetReadDeadline(time.Now().Add(patience))
	t.Setenv("NOTIFY_SOCKET", socket)
	t.Setenv("WATCHDOG_USEC", "100000")
	read := func() string {
		buf := make([]byte, 4096)
		n, err := manager.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		return string(buf[:n])
	}
	expect := func(want string) {
		t.Helper()
		got := read()
		for got == "WATCHDOG=1" {
			got = read()
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("the manager read %q, want %s", got, want)
		}
	}
	backend := memoryBackend(t, 1)
	t.Run("serve", func(t *testing.T) {
		r := startReloadable(t, reloadConfig(backend, ""))
		expect("READY=1")
		r.mustReload(t, reloadConfig(backend, ""))
		expect("RELOADING=1")
		expect("READY=1")
		if got := read(); got != "WATCHDOG=1" {
			t.Errorf("the manager read %q, want a sign of life", got)
		}
	})
	expect("STOPPING=1")
}
