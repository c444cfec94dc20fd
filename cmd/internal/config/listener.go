package config

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"

	"github.com/imapgate/imapgate/proxy"
)

// A Listener is a door that is not open yet.
type Listener struct {
	Name                string
	Address             string // host:port, where an empty host is every address of the machine; unix:/PATH; systemd:NAME
	TLS                 proxy.TLSMode
	TLSConfig           *tls.Config // nil with proxy.NoTLS
	AllowPlaintextLogin bool
	// Mode says who may connect to a Unix socket.
	Mode fs.FileMode
	// ProxyProtocol is as in proxy.Listener.
	ProxyProtocol []netip.Prefix
}

// A ListenFunc opens a port, as [net.ListenConfig] does.
type ListenFunc func(ctx context.Context, network, address string) (net.Listener, error)

// Open opens the port, makes the Unix socket or takes over the socket that systemd has opened. A Unix
// socket that a process left behind when it died is replaced. The error names the listener.
func (l Listener) Open(ctx context.Context, listen ListenFunc) (*proxy.Listener, error) {
	ln, err := l.open(ctx, listen)
	if err != nil {
		return nil, fmt.Errorf("listener %s: %w", l.Name, err)
	}
	return l.On(ln), nil
}

// On returns the listener's settings for a port that is open.
func (l Listener) On(ln net.Listener) *proxy.Listener {
	out := &proxy.Listener{
		Name:                l.Name,
		Listener:            ln,
		TLS:                 l.TLS,
		TLSConfig:           l.TLSConfig,
		AllowPlaintextLogin: l.AllowPlaintextLogin,
		ProxyProtocol:       l.ProxyProtocol,
	}
	if ln.Addr().Network() == "unix" {
		out.Transport = proxy.Local
	}
	return out
}

func (l Listener) open(ctx context.Context, listen ListenFunc) (net.Listener, error) {
	if name, ok := strings.CutPrefix(l.Address, "systemd:"); ok {
		return activated(name)
	}
	path, ok := strings.CutPrefix(l.Address, "unix:")
	if !ok {
		return listen(ctx, "tcp", l.Address)
	}
	if err := removeStale(ctx, path); err != nil {
		return nil, err
	}
	ln, err := listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, l.Mode); err != nil {
		ln.Close()
		return nil, fmt.Errorf("set the mode of the socket: %w", err)
	}
	return ln, nil
}

// removeStale removes a socket on which nobody listens. Whatever else stands there is left for the
// listening to fail on.
func removeStale(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Type() != fs.ModeSocket {
		return nil
	}
	var d net.Dialer
	nc, err := d.DialContext(ctx, "unix", path)
	if err == nil {
		nc.Close()
		return nil
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return nil
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("remove the socket that was left behind: %w", err)
	}
	return nil
}
