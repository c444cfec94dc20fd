package wire

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A pipeEnd is a Conn as a session uses it.
type pipeEnd struct{ *Conn }

// tcpPair are the two ends of a connection over loopback.
func tcpPair(t *testing.T) (near *Conn, far *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	a, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return NewConn(a), b.(*net.TCPConn)
}

// borrowed is a Pipe between two plain connections, for rest octets.
func borrowed(t *testing.T, rest int64) *Pipe {
	p := &Pipe{rest: rest, plain: true}
	t.Cleanup(p.giveBack)
	return p
}

// hears reads n octets in the background.
func hears(c net.Conn, n int) <-chan []byte {
	heard := make(chan []byte, 1)
	go func() {
		b, _ := io.ReadAll(io.LimitReader(c, int64(n)))
		heard <- b
	}()
	return heard
}

// Literals of any size arrive whole, in order, and counted, with what was said before and behind them.
func TestLiteralsThroughPipes(t *testing.T) {
	for _, size := range []int{1, 5000, largeBuffer, pipeSize + 1, 5<<20 + 3} {
		body := bytes.Repeat([]byte("* 1 FETCH {3}\r\n"), size/15+1)[:size]
		said := "* 1 FETCH (BODY[] {" + strconv.Itoa(size) + "}\r\n" + string(body) + ")\r\n* 2 EXISTS\r\n"
		from, backend := tcpPair(t)
		to, client := tcpPair(t)
		heard := hears(client, len(said))
		go io.WriteString(backend, said)
		w := NewWriter(pipeEnd{to})
		r := NewResponses(pipeEnd{from}, w)
		r.MoveFrom = 1
		var m Message
		for range 2 {
			if err := errors.Join(r.Next(&m), r.Pass()); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(r.Settle(), w.Flush()); err != nil {
			t.Fatal(err)
		}
		if got := <-heard; string(got) != said {
			t.Errorf("of %d octets %d arrived, or others", len(said), len(got))
		}
		if in, out := from.BytesIn(), to.BytesOut(); in != int64(len(said)) || out != in {
			t.Errorf("%d octets passed, %d and %d are counted", len(said), in, out)
		}
	}
}

// What is uploaded goes the same way.
func TestUploadsThroughPipes(t *testing.T) {
	const size = 3<<20 + 1
	said := "a APPEND x {" + strconv.Itoa(size) + "+}\r\n" + strings.Repeat("x", size) + "\r\n"
	from, client := tcpPair(t)
	to, backend := tcpPair(t)
	heard := hears(backend, size+4)
	go io.WriteString(client, said)
	w := NewWriter(pipeEnd{to})
	c := NewCommands(pipeEnd{from})
	var m Message
	if err := c.Next(&m); err != nil {
		t.Fatal(err)
	}
	w.Begin()
	w.Write([]byte("=="))
	if err := c.CopyLiteral(w); err != nil {
		t.Fatal(err)
	}
	if err := c.Continue(&m); err != nil || len(m.Tokens) > 0 {
		t.Fatal(err, m.Tokens)
	}
	w.CRLF()
	if err := w.EndFlush(); err != nil {
		t.Fatal(err)
	}
	if got := <-heard; string(got) != "=="+said[len(said)-size-2:] {
		t.Errorf("%d octets arrived, or others", len(got))
	}
}

// A source that ends or stalls is told by its own error, and one that stalled can go on.
func TestFillTellsWhatHappened(t *testing.T) {
	from, backend := tcpPair(t)
	p := borrowed(t, 100)
	from.SetReadDeadline(time.Unix(1, 0))
	if n, err := from.Fill(p); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("behind its deadline: %d, %v", n, err)
	}
	from.SetReadDeadline(time.Time{})
	io.WriteString(backend, "abc")
	if n, err := from.Fill(p); n != 3 || err != nil || p.Held() != 3 {
		t.Errorf("%d, %v", n, err)
	}
	to, client := tcpPair(t)
	heard := hears(client, 3)
	if err := to.Drain(p); err != nil || p.Held() != 0 || string(<-heard) != "abc" {
		t.Error("not what was filled in", err)
	}
	backend.CloseWrite()
	if n, err := from.Fill(p); n != 0 || err != io.EOF {
		t.Errorf("at the end: %d, %v", n, err)
	}
	backend.SetLinger(0)
	backend.Close()
	reset, other := tcpPair(t)
	other.SetLinger(0)
	other.Close()
	if n, err := reset.Fill(p); n != 0 || !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("reset: %d, %v", n, err)
	}
	if in := from.BytesIn(); in != 3 {
		t.Errorf("%d octets are counted", in)
	}
}
