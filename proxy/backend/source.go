package backend

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

var errSources = errors.New("every source address towards the backend is used up or is not this machine's; give it more source_addresses")

// dialTCP connects from the next of the source addresses. Where that one has no port left, is not this
// machine's or is of a family that the backend has no address of, the one behind it is tried.
func (c *Config) dialTCP(ctx context.Context, targets []string) (net.Conn, error) {
	if len(c.SourceAddresses) == 0 {
		var d net.Dialer
		nc, err := dialFirst(ctx, targets, func(ctx context.Context, address string) (net.Conn, error) {
			return d.DialContext(ctx, "tcp", address)
		})
		return nc, explain(err)
	}
	first := int(c.turn.Add(1) - 1)
	var failures []error
	for i := range c.SourceAddresses {
		nc, err := dialFrom(ctx, c.SourceAddresses[(first+i)%len(c.SourceAddresses)], targets)
		if err == nil || !tryNext(err) {
			return nc, err
		}
		failures = append(failures, err)
	}
	return nil, explain(errors.Join(failures...))
}

func dialFrom(ctx context.Context, source netip.Addr, targets []string) (net.Conn, error) {
	local := net.TCPAddrFromAddrPort(netip.AddrPortFrom(source.Unmap(), 0))
	d := net.Dialer{LocalAddr: local, Control: portAtConnect}
	return dialFirst(ctx, alike(source, targets), func(ctx context.Context, address string) (net.Conn, error) {
		return d.DialContext(ctx, "tcp", address)
	})
}

// alike are the targets of the source's family; where there is none, one by which net says so.
func alike(source netip.Addr, targets []string) (list []string) {
	for _, t := range targets {
		to, err := netip.ParseAddrPort(t)
		if err != nil || to.Addr().Unmap().Is4() == source.Unmap().Is4() {
			list = append(list, t)
		}
	}
	if len(list) == 0 {
		return targets[:1]
	}
	return list
}

// portless tells that a source address has no port left, or does not exist. The kernel says EADDRINUSE
// where it chooses the port when it binds, and EADDRNOTAVAIL where it does so when it connects.
func portless(err error) bool {
	return errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EADDRINUSE)
}

// tryNext tells that another source address may do better; net answers with an AddrError where the backend
// has no address of this one's family.
func tryNext(err error) bool {
	var family *net.AddrError
	return portless(err) || errors.As(err, &family)
}

func explain(err error) error {
	if portless(err) {
		return fmt.Errorf("%w: %w", errSources, err)
	}
	return err
}
