package backend

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"
)

// The ages of what a backend's name stands for.
const (
	namesFresh = 10 * time.Second // then it is looked up again, beside a login that goes by what is known
	namesOld   = 5 * time.Minute  // then a login waits for the answer: whose the address is by now, nobody knows
	namesLast  = time.Hour        // then it is forgotten, also where the resolver gives no answer
)

const (
	// maxAddresses bounds what is kept of an answer.
	maxAddresses = 16
	// lookupTime is how long the resolver has where a login can do without it.
	lookupTime = 3 * time.Second
	// attemptDelay is between the beginnings of two attempts to connect (RFC 8305 section 5).
	attemptDelay = 250 * time.Millisecond
)

// A book is what a backend's name stood for when it was last looked up. The zero value knows nothing.
type book struct {
	mu    sync.Mutex
	list  []netip.Addr // never changed; at most maxAddresses
	since time.Time
	next  time.Time // before it nobody asks again, while there is an answer
	asked bool      // somebody has been told to ask, see Stale
}

// known returns what the name stands for, and whether that will do without asking; nothing where it is
// forgotten.
func (k *book) known(now time.Time) (list []netip.Addr, will bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	age := now.Sub(k.since)
	if age >= namesLast {
		k.list = nil
	}
	return k.list, len(k.list) > 0 && (age < namesOld || now.Before(k.next))
}

// learn takes the resolver's answer. That there is no such name is one; that there was none leaves what is
// known.
func (k *book) learn(list []netip.Addr, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	k.next = now.Add(namesFresh)
	var dns *net.DNSError
	switch {
	case err == nil:
		k.list, k.since = list, now
	case errors.As(err, &dns) && dns.IsNotFound:
		k.list = nil
	}
}

// Stale reports whether the backend's name should be looked up again. Who is told so calls Refresh; nobody
// else is told until then.
func (c *Config) Stale() bool {
	k := &c.book
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.asked || len(k.list) == 0 || time.Now().Before(k.next) {
		return false
	}
	k.asked = true
	return true
}

// Refresh looks the backend's name up. Connections that are opened meanwhile go by what it stood for before,
// and so do those behind it where the resolver fails.
func (c *Config) Refresh(ctx context.Context) {
	if host, _, named := c.named(); named {
		c.lookSoon(ctx, host)
	}
	c.book.mu.Lock()
	defer c.book.mu.Unlock()
	c.book.asked = false
}

// named parts the backend's address; false where there is nothing to be looked up.
func (c *Config) named() (host string, port uint16, ok bool) {
	if c.Dial != nil && c.Lookup == nil {
		return "", 0, false
	}
	host, text, err := net.SplitHostPort(c.Address)
	n, numeric := strconv.ParseUint(text, 10, 16)
	_, literal := netip.ParseAddr(host)
	return host, uint16(n), err == nil && numeric == nil && literal != nil && host != ""
}

// look asks the resolver.
func (c *Config) look(ctx context.Context, host string) ([]netip.Addr, error) {
	lookup := c.Lookup
	if lookup == nil {
		lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	ctx, cancel := kept(ctx)
	defer cancel()
	list, err := lookup(ctx, host)
	if err == nil && len(list) == 0 {
		err = &net.DNSError{Err: "no address", Name: host, IsNotFound: true}
	}
	list = alternate(list)
	c.book.learn(list, err)
	return list, err
}

// lookSoon is look for who can do without.
func (c *Config) lookSoon(ctx context.Context, host string) ([]netip.Addr, error) {
	ctx, stop := kept(ctx)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	return c.look(ctx, host)
}

// find returns what the name stands for, and whether it was asked for just now.
func (c *Config) find(ctx context.Context, host string) (list []netip.Addr, now bool, err error) {
	old, will := c.book.known(time.Now())
	if will {
		return old, false, nil
	}
	if len(old) == 0 {
		list, err = c.look(ctx, host)
	} else {
		list, err = c.lookSoon(ctx, host)
	}
	if err == nil {
		return list, true, nil
	}
	if left, _ := c.book.known(time.Now()); len(left) > 0 {
		return left, true, nil
	}
	return nil, true, err
}

// alternate puts the two families in turn, each in the resolver's order, whose first stays first (RFC 8305
// section 4).
func alternate(list []netip.Addr) []netip.Addr {
	var families [2][]netip.Addr
	for _, a := range list {
		a = a.Unmap()
		f := 0
		if len(families[0]) > 0 && a.Is4() != families[0][0].Is4() {
			f = 1
		}
		families[f] = append(families[f], a)
	}
	var out []netip.Addr
	for i := range max(len(families[0]), len(families[1])) {
		for _, f := range families {
			if i < len(f) {
				out = append(out, f[i])
			}
		}
	}
	return out[:min(len(out), maxAddresses)]
}

// dial connects. A name is looked up as seldom as that can be: where nobody is reached at the addresses that
// are known, new ones are asked for at once.
func (c *Config) dial(ctx context.Context) (net.Conn, error) {
	host, port, named := c.named()
	if !named {
		return c.dialSome(ctx, []string{c.Address})
	}
	list, now, err := c.find(ctx, host)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
	}
	nc, err := c.dialSome(ctx, withPort(list, port))
	if err == nil || now || over(ctx) != nil {
		return nc, err
	}
	again, lookErr := c.lookSoon(ctx, host)
	if lookErr != nil || slices.Equal(again, list) {
		return nil, err
	}
	return c.dialSome(ctx, withPort(again, port))
}

func withPort(list []netip.Addr, port uint16) (out []string) {
	for _, a := range list {
		out = append(out, netip.AddrPortFrom(a, port).String())
	}
	return out
}

func (c *Config) dialSome(ctx context.Context, targets []string) (net.Conn, error) {
	if c.Dial == nil && heedsDeadline(ctx, targets) {
		return c.dialTCP(ctx, targets)
	}
	ctx, cancel := kept(ctx)
	defer cancel()
	if c.Dial == nil {
		return c.dialTCP(ctx, targets)
	}
	return dialFirst(ctx, targets, func(ctx context.Context, address string) (net.Conn, error) {
		return c.Dial(ctx, "tcp", address)
	})
}

// heedsDeadline reports whether net looks at a context's deadline by itself when it connects: not where it has
// something to look up first, nor where the context cannot end.
func heedsDeadline(ctx context.Context, targets []string) bool {
	_, err := netip.ParseAddrPort(targets[0]) // all are addresses, or there is but one
	return err == nil && ctx.Done() != nil
}

// dialFirst connects to the first of the addresses that answers. Each is tried as soon as the one before it
// has failed, or has taken attemptDelay. The error is the one that came first.
func dialFirst(ctx context.Context, targets []string, dial func(context.Context, string) (net.Conn, error)) (net.Conn, error) {
	if len(targets) == 1 {
		return dial(ctx, targets[0])
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		nc  net.Conn
		err error
	}
	results := make(chan result)
	next := time.NewTimer(0)
	defer next.Stop()
	var won net.Conn
	var first error
	for begun, ended := 0, 0; ended < begun || won == nil && begun < len(targets); {
		select {
		case <-next.C:
			if won != nil || begun == len(targets) {
				continue
			}
			go func(address string) {
				nc, err := dial(ctx, address)
				results <- result{nc, err}
			}(targets[begun])
			begun++
			next.Reset(attemptDelay)
		case r := <-results:
			ended++
			switch {
			case r.err != nil:
				first = firstOf(first, r.err)
				next.Reset(0)
			case won == nil:
				won = r.nc
				cancel() // and wait for the others
			default:
				r.nc.Close()
			}
		}
	}
	if won != nil {
		return won, nil
	}
	return nil, first
}

func firstOf(a, b error) error {
	if a != nil {
		return a
	}
	return b
}
