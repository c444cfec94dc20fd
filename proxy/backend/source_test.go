//go:build linux

package backend

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// sources are the addresses that n connections to a new listener come from, as each Open gave them.
func sources(t *testing.T, network string, addresses []string, n int) ([]string, error) {
	t.Helper()
	l, err := net.Listen(network, map[string]string{"tcp4": "127.0.0.1:0", "tcp6": "[::1]:0"}[network])
	if err != nil {
		t.Skipf("LEFT OUT: no %s here: %v", network, err)
	}
	defer l.Close()
	c := &Config{Name: "old", Address: l.Addr().String()}
	for _, a := range addresses {
		c.SourceAddresses = append(c.SourceAddresses, netip.MustParseAddr(a))
	}
	var from []string
	for range n {
		nc, err := c.dial(t.Context())
		if err != nil {
			return from, err
		}
		defer nc.Close()
		far, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer far.Close()
		from = append(from, netip.MustParseAddrPort(far.RemoteAddr().String()).Addr().String())
	}
	return from, nil
}

func TestSourceAddresses(t *testing.T) {
	const foreign = "203.0.113.1" // an address for documentation, which no machine has
	for _, tt := range []struct {
		name, network   string
		addresses, want []string
	}{
		{"none", "tcp4", nil, []string{"127.0.0.1", "127.0.0.1"}},
		{"in turn", "tcp4", []string{"127.0.0.2", "127.0.0.3"}, []string{"127.0.0.2", "127.0.0.3", "127.0.0.2"}},
		{"one has no port", "tcp4", []string{foreign, "127.0.0.2"}, []string{"127.0.0.2", "127.0.0.2", "127.0.0.2"}},
		{"both families", "tcp4", []string{"::1", "127.0.0.2"}, []string{"127.0.0.2", "127.0.0.2"}},
		{"both families to IPv6", "tcp6", []string{"::1", "127.0.0.2"}, []string{"::1", "::1"}},
		{"mapped", "tcp4", []string{"::ffff:127.0.0.2"}, []string{"127.0.0.2"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := sources(t, tt.network, tt.addresses, len(tt.want))
			if err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("connections came from %q, %v; want %q", got, err, tt.want)
			}
		})
	}
}

func TestSourceAddressesFail(t *testing.T) {
	_, err := sources(t, "tcp4", []string{"203.0.113.1", "203.0.113.2"}, 1)
	if !errors.Is(err, errSources) || !strings.Contains(err.Error(), "203.0.113.2") {
		t.Errorf("no address is ours: %v", err)
	}
	if _, err = sources(t, "tcp4", []string{"::1"}, 1); err == nil || errors.Is(err, errSources) {
		t.Errorf("the other family: %v", err)
	}
}

// TestPortAtConnect: a socket that is bound to a source address has no port yet, so that the ports of
// one address are not shared out among all backends.
func TestPortAtConnect(t *testing.T) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "socket")
	defer f.Close()
	raw, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := portAtConnect("tcp4", "", raw); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 2}}); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if in, ok := name.(*syscall.SockaddrInet4); err != nil || !ok || in.Port != 0 {
		t.Errorf("the kernel has chosen %+v, %v before it knows where the connection leads", name, err)
	}
}

// TestRefusedIsFinal: another source address does not help where the backend itself says no.
func TestRefusedIsFinal(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	c := &Config{Address: l.Addr().String(), SourceAddresses: []netip.Addr{netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("127.0.0.3")}}
	_, err = c.dial(t.Context())
	var op *net.OpError
	if !errors.As(err, &op) || op.Source == nil || !strings.HasPrefix(op.Source.String(), "127.0.0.2") {
		t.Errorf("got %v", err)
	}
}
