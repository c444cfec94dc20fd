package backend

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var (
	errResolver = &net.DNSError{Err: "server misbehaving", IsTemporary: true}
	errNoName   = &net.DNSError{Err: "no such host", IsNotFound: true}
)

// A town is a resolver and what it leads to: addresses of which some are up, and some do not answer at all.
type town struct {
	answer  string // addresses, or nothing for err
	err     error
	hang    bool // the resolver says nothing
	asked   int
	up      string
	silent  string
	mu      sync.Mutex
	dialled []string
}

func (w *town) config() *Config {
	return &Config{Name: "old", Address: "old.example.org:143", Dial: w.dial, Lookup: w.lookup}
}

func (w *town) lookup(ctx context.Context, host string) (list []netip.Addr, err error) {
	w.asked++
	if w.hang {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if host != "old.example.org" {
		return nil, fmt.Errorf("asked for %q", host)
	}
	for _, a := range strings.Fields(w.answer) {
		list = append(list, netip.MustParseAddr(a))
	}
	return list, w.err
}

func (w *town) dial(ctx context.Context, _, address string) (net.Conn, error) {
	a := netip.MustParseAddrPort(address).Addr().String()
	w.mu.Lock()
	w.dialled = append(w.dialled, a)
	w.mu.Unlock()
	switch {
	case slices.Contains(strings.Fields(w.up), a):
		near, far := net.Pipe()
		far.Close()
		return near, nil
	case slices.Contains(strings.Fields(w.silent), a):
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return nil, fmt.Errorf("%s refused", a)
}

// want connects, as a login does, and wants these addresses to be tried.
func (w *town) want(t *testing.T, c *Config, asked int, dialled string) {
	t.Helper()
	w.asked, w.dialled = 0, nil
	nc, err := c.dial(t.Context())
	if err != nil {
		t.Errorf("dial: %v", err)
	} else {
		nc.Close()
	}
	if got := strings.Join(w.dialled, " "); got != dialled || w.asked != asked {
		t.Errorf("%q were tried, the resolver was asked %d times; want %q, %d", got, w.asked, dialled, asked)
	}
}

func pass(d time.Duration) { <-time.After(d) }

// A name is looked up once for many logins, and behind one of them when the answer is no longer fresh.
func TestNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &town{answer: "192.0.2.1", up: "192.0.2.1 192.0.2.2"}
		c := w.config()
		if c.Stale() {
			t.Error("nothing is known, and it is stale")
		}
		w.want(t, c, 1, "192.0.2.1")
		w.want(t, c, 0, "192.0.2.1")
		if c.Stale() {
			t.Error("it is stale at once")
		}
		pass(namesFresh)
		w.answer = "192.0.2.2"
		w.want(t, c, 0, "192.0.2.1")
		if !c.Stale() || c.Stale() {
			t.Error("one has to ask, and only one")
		}
		w.want(t, c, 0, "192.0.2.1")
		c.Refresh(t.Context())
		w.want(t, c, 0, "192.0.2.2")
		if c.Stale() {
			t.Error("it is stale at once")
		}
	})
}

// An answer that is old counts no more than a new one; only where there is none it does, for a while.
func TestNamesGrowOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &town{answer: "192.0.2.1", up: "192.0.2.1 192.0.2.2"}
		c := w.config()
		w.want(t, c, 1, "192.0.2.1")
		pass(namesOld)
		w.answer = "192.0.2.2"
		w.want(t, c, 1, "192.0.2.2")
		pass(namesOld)
		w.answer, w.err = "", errResolver
		w.want(t, c, 1, "192.0.2.2")
		w.want(t, c, 0, "192.0.2.2") // it has just said nothing
		pass(namesFresh)
		w.hang = true
		begin := time.Now()
		w.want(t, c, 1, "192.0.2.2")
		if took := time.Since(begin); took != lookupTime {
			t.Errorf("a resolver that hangs held the login up for %v", took)
		}
		w.hang = false
		if !c.Stale() {
			pass(namesFresh)
		}
		c.Refresh(t.Context())
		w.want(t, c, 0, "192.0.2.2")
		pass(namesLast)
		w.asked = 0
		if nc, err := c.dial(t.Context()); !errors.Is(err, errResolver) || nc != nil || w.asked != 1 {
			t.Errorf("got %v after %d questions", err, w.asked)
		}
	})
}

// That there is no such name any more is an answer.
func TestNameIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, gone := range []error{errNoName, nil} { // nil: no address
			w := &town{answer: "192.0.2.1", up: "192.0.2.1"}
			c := w.config()
			w.want(t, c, 1, "192.0.2.1")
			pass(namesFresh)
			w.answer, w.err = "", gone
			c.Refresh(t.Context())
			var dns *net.DNSError
			if _, err := c.dial(t.Context()); !errors.As(err, &dns) || !dns.IsNotFound {
				t.Errorf("got %v", err)
			}
			w.answer, w.err = "192.0.2.1", nil
			w.want(t, c, 1, "192.0.2.1")
		}
	})
}

// Where nobody is left at the addresses that are known, new ones are asked for at once; where they are the same,
// nothing is tried twice.
func TestNamesMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &town{answer: "192.0.2.1", up: "192.0.2.1"}
		c := w.config()
		w.want(t, c, 1, "192.0.2.1")
		w.answer, w.up = "192.0.2.2", "192.0.2.2"
		w.want(t, c, 1, "192.0.2.1 192.0.2.2")
		w.want(t, c, 0, "192.0.2.2")
		w.up, w.asked, w.dialled = "", 0, nil
		if _, err := c.dial(t.Context()); err == nil || w.asked != 1 || len(w.dialled) != 1 {
			t.Errorf("got %v; %q were tried, the resolver was asked %d times", err, w.dialled, w.asked)
		}
	})
}

// All addresses are tried, the next as soon as one fails or is slow, the families in turn.
func TestDialFirst(t *testing.T) {
	for _, tt := range []struct {
		answer, up, silent, dialled string
		took                        time.Duration
	}{
		{"2001:db8::1 2001:db8::2 192.0.2.1 192.0.2.2", "192.0.2.2", "", "2001:db8::1 192.0.2.1 2001:db8::2 192.0.2.2", 0},
		{"192.0.2.1 192.0.2.2", "192.0.2.1 192.0.2.2", "", "192.0.2.1", 0},
		{"2001:db8::1 192.0.2.1", "192.0.2.1", "2001:db8::1", "2001:db8::1 192.0.2.1", attemptDelay},
		{"192.0.2.1 2001:db8::1 192.0.2.2", "192.0.2.2", "192.0.2.1", "192.0.2.1 2001:db8::1 192.0.2.2", attemptDelay},
		{"::ffff:192.0.2.1", "192.0.2.1", "", "192.0.2.1", 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := &town{answer: tt.answer, up: tt.up, silent: tt.silent}
			begin := time.Now()
			w.want(t, w.config(), 1, tt.dialled)
			if took := time.Since(begin); took != tt.took {
				t.Errorf("%s: it took %v, want %v", tt.answer, took, tt.took)
			}
		})
	}
}

// Of attempts that both succeed one connection is kept and the other closed; those that do not end in time are
// waited for.
func TestDialFirstClosesTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var made []net.Conn
		nc, err := dialFirst(t.Context(), []string{"a", "b", "c"}, func(ctx context.Context, address string) (net.Conn, error) {
			pass(map[string]time.Duration{"a": 5 * attemptDelay / 2, "b": 2 * attemptDelay, "c": 2 * attemptDelay}[address])
			near, far := net.Pipe()
			mu.Lock()
			defer mu.Unlock()
			made = append(made, far)
			return near, nil
		})
		if err != nil || len(made) != 3 {
			t.Fatalf("%d connections were made, %v", len(made), err)
		}
		go nc.Write([]byte("x"))
		for i, far := range made {
			far.SetReadDeadline(time.Now().Add(time.Second))
			if n, _ := far.Read(make([]byte, 1)); n > 0 != (i == 0) {
				t.Errorf("connection %d: %d octets", i, n)
			}
		}
		nc.Close()
	})
}

func TestNamesAreBounded(t *testing.T) {
	var many []netip.Addr
	for i := range 1000 {
		many = append(many, netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)}))
	}
	if n := len(alternate(many)); n != maxAddresses {
		t.Errorf("%d addresses are kept", n)
	}
}

// What is an address already costs nothing.
func TestLiteralAddresses(t *testing.T) {
	for _, address := range []string{"192.0.2.1:143", "[2001:db8::1]:143", "[fe80::1%lo]:143", ":143", "nonsense", "a:imap"} {
		w := &town{}
		c := w.config()
		c.Address = address
		if _, _, named := c.named(); named {
			t.Errorf("%s is looked up", address)
		}
	}
}

// The system's resolver knows this machine, and a source address goes to those of its family.
func TestNamesForReal(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	c := &Config{Name: "old", Address: "localhost:" + port, SourceAddresses: []netip.Addr{netip.MustParseAddr("127.0.0.1")}}
	for range 2 {
		nc, err := c.dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		nc.Close()
	}
	if list, will := c.book.known(time.Now()); !will || !slices.Contains(list, netip.MustParseAddr("127.0.0.1")) {
		t.Errorf("localhost is %v", list)
	}
}

// Where the time to connect is over, the resolver is not asked for other addresses: nobody would go there.
func TestNobodyAsksBehindTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &town{answer: "192.0.2.1", up: "192.0.2.1"}
		c := w.config()
		c.Connect = 3 * time.Second
		w.want(t, c, 1, "192.0.2.1")
		w.up, w.silent, w.asked = "", "192.0.2.1", 0
		if _, err := c.Open(t.Context(), Origin{}); !errors.Is(err, context.DeadlineExceeded) || w.asked != 0 {
			t.Errorf("the resolver was asked %d times, the error is %v", w.asked, err)
		}
	})
}
