package wire

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

func openPipes() int {
	pipes.mu.Lock()
	defer pipes.mu.Unlock()
	return pipes.open - len(pipes.free)
}

// Between plain connections octets stay in the kernel; whoever waits for them has no pipe, and nor has
// whoever has none left.
func TestFillSplices(t *testing.T) {
	before := openPipes()
	from, backend := tcpPair(t)
	to, client := tcpPair(t)
	p := borrowed(t, 6)
	from.SetReadDeadline(time.Now().Add(time.Millisecond))
	if _, err := from.Fill(p); !errors.Is(err, os.ErrDeadlineExceeded) || openPipes() != before {
		t.Errorf("waiting takes %d pipes, %v", openPipes()-before, err)
	}
	from.SetReadDeadline(time.Time{})
	io.WriteString(backend, "abcdef...")
	if n, err := from.Fill(p); n != 6 || err != nil || !p.kernel.open() || p.b != nil {
		t.Fatalf("%d octets are not in a pipe of the kernel, %v", n, err)
	}
	heard := hears(client, 6)
	if err := to.Drain(p); err != nil || string(<-heard) != "abcdef" || openPipes() != before {
		t.Errorf("%d pipes are in use, %v", openPipes()-before, err)
	}
}

// A peer that does not read is met by the write deadline; what it did not get is lost with the pipe, and
// never gets to anybody else.
func TestDrainMeetsItsDeadline(t *testing.T) {
	before := openPipes()
	from, backend := tcpPair(t)
	to, _ := tcpPair(t)
	to.Raw().(*net.TCPConn).SetWriteBuffer(4096)
	go io.Copy(backend, strings.NewReader(strings.Repeat("x", 64<<20)))
	p := &Pipe{plain: true}
	var err error
	for moved := 0; err == nil; {
		if moved > 64<<20 {
			t.Fatal("nobody reads, and all was written")
		}
		p.rest = 64 << 20
		n, ferr := from.Fill(p)
		if ferr != nil {
			t.Fatal(ferr)
		}
		moved += n
		for p.held > 0 && err == nil {
			to.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
			held := p.held
			err = to.Drain(p)
			if err == nil && p.held > 0 && held-p.held < largeBuffer {
				t.Fatalf("a part of %d octets is no progress", held-p.held)
			}
		}
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) || p.held == 0 {
		t.Errorf("%d octets are left, %v", p.held, err)
	}
	if in, out := from.BytesIn(), to.BytesOut(); in-out != int64(p.held) {
		t.Errorf("%d octets came in, %d went out, %d are held", in, out, p.held)
	}
	p.giveBack()
	if openPipes() != before {
		t.Errorf("%d pipes are in use", openPipes()-before)
	}
	again := borrowed(t, 3)
	near, far := tcpPair(t)
	io.WriteString(far, "new")
	if n, err := near.Fill(again); n != 3 || err != nil {
		t.Fatal(n, err)
	}
	last, hearer := tcpPair(t)
	heard := hears(hearer, 3)
	if err := last.Drain(again); err != nil || string(<-heard) != "new" {
		t.Error("a pipe held what was in it before", err)
	}
}

// Where all pipes are in use, octets are copied.
func TestPipesAreBounded(t *testing.T) {
	var all []*Pipe
	defer func() {
		for _, p := range all {
			p.giveBack()
		}
		pipes.mu.Lock()
		defer pipes.mu.Unlock()
		if len(pipes.free) > keptPipes || pipes.open > maxPipes {
			t.Errorf("%d of %d pipes are kept", len(pipes.free), pipes.open)
		}
	}()
	for i := range maxPipes + 3 {
		from, backend := tcpPair(t)
		p := &Pipe{rest: 3, plain: true}
		all = append(all, p)
		io.WriteString(backend, "abc")
		if n, err := from.Fill(p); n != 3 || err != nil {
			t.Fatal(n, err)
		}
		if p.kernel.open() != (i < maxPipes) {
			t.Fatalf("at the pipe number %d: in the kernel is %v", i, p.kernel.open())
		}
	}
	to, client := tcpPair(t)
	heard := hears(client, 3)
	if err := to.Drain(all[len(all)-1]); err != nil || string(<-heard) != "abc" {
		t.Error("a copy is not what came", err)
	}
}
