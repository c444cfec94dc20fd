package proxy

import (
	"net"
	"syscall"
	"testing"

	"github.com/imapgate/imapgate/proxy/backend"
)

// TestNoDelay asks the kernel whether it holds short writes back, on both of a session's connections.
func TestNoDelay(t *testing.T) {
	front, back := loopback(t), loopback(t)
	serveFixed(t, back, nil)
	r := rigStart(t, rigSetup{
		backend:  func(b *backend.Config) { b.Address, b.Dial = back.Addr().String(), nil },
		listener: func(ln *Listener) { ln.Listener = front },
	})
	nc, err := net.Dial("tcp", front.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	logIn(t, nc)
	r.session()
	for _, s := range r.srv.registry.all() {
		for peer, c := range map[string]net.Conn{"client": s.conn.Raw(), "backend": s.b.Net.Raw()} {
			raw, err := c.(syscall.Conn).SyscallConn()
			if err != nil {
				t.Fatal(err)
			}
			raw.Control(func(fd uintptr) {
				if on, err := syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_NODELAY); err != nil || on == 0 {
					t.Errorf("TCP_NODELAY towards the %s is %d, %v", peer, on, err)
				}
			})
		}
	}
}
