package backend

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// Connect bounds a connection that the system makes, too: nobody answers at a port whose backlog is full.
func TestConnectEndsOverTCP(t *testing.T) {
	address := fullPort(t)
	parents := map[string]func() (context.Context, context.CancelFunc){
		"for ever":    func() (context.Context, context.CancelFunc) { return context.Background(), func() {} },
		"cancellable": func() (context.Context, context.CancelFunc) { return context.WithCancel(context.Background()) },
		"long": func() (context.Context, context.CancelFunc) {
			return context.WithTimeout(context.Background(), time.Hour)
		},
	}
	for name, parent := range parents {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := parent()
			defer cancel()
			cfg := &Config{Name: "b", Address: address, TLS: None, Connect: 200 * time.Millisecond}
			began := time.Now()
			_, err := cfg.Open(ctx, Origin{})
			if d := time.Since(began); !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, context.DeadlineExceeded) || d < cfg.Connect || d > 10*time.Second {
				t.Errorf("after %v: %v", d, err)
			}
		})
	}
}

// fullPort returns the address of a port at which one more connection is not taken.
func fullPort(t *testing.T) string {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
	for range 16 {
		nc, err := net.DialTimeout("tcp", address, 200*time.Millisecond)
		if err != nil {
			return address
		}
		t.Cleanup(func() { nc.Close() })
	}
	t.Skip("this system takes connections beyond the backlog")
	return ""
}
