package wire

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// undecrypted returns how many octets tls.Conn holds that it has not decrypted.
func undecrypted(c *Conn) int {
	raw := reflect.ValueOf(c.top.(*tls.Conn)).Elem().FieldByName("rawInput")
	return raw.FieldByName("buf").Len() - int(raw.FieldByName("off").Int())
}

// TestConnHoldsNoRecords wants tls.Conn never to hold octets of a record behind the one that it gave,
// though many were read at once.
func TestConnHoldsNoRecords(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		c, p, _ := tlsPair(t, version)
		var want []byte
		for i := range 300 {
			piece := bytes.Repeat([]byte{byte(i)}, 1+i*i%5000)
			want = append(want, piece...)
		}
		go func() {
			at := 0
			for i := range 300 {
				n := 1 + i*i%5000
				p.Write(want[at : at+n])
				at += n
			}
			p.CloseWrite()
		}()
		var got []byte
		ahead := 0
		b := make([]byte, 32<<10)
		for {
			n, err := c.Read(b)
			got = append(got, b[:n]...)
			if held := undecrypted(c); held != 0 || c.rec.left != 0 {
				t.Fatalf("%x: tls.Conn holds %d octets, %d of the record are left", version, held, c.rec.left)
			}
			if c.rec.w > c.rec.r {
				ahead++
			}
			if err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(got, want) || c.BytesIn() != int64(len(want)) {
			t.Errorf("%x: read %d octets of %d, counted %d", version, len(got), len(want), c.BytesIn())
		}
		if ahead == 0 {
			t.Errorf("%x: nothing was ever read ahead, so nothing was tested", version)
		}
		if c.rec.b != nil {
			t.Errorf("%x: a buffer is held at the end", version)
		}
	}
}

// TestConnWritesTogether wants all records of one Write in one write below.
func TestConnWritesTogether(t *testing.T) {
	c, p, raw := tlsPair(t, tls.VersionTLS13)
	for _, n := range []int{1, 100, 17 << 10, 100 << 10, 500 << 10} {
		data := bytes.Repeat([]byte("0123456789"), n/10+1)
		read := make(chan []byte)
		go func() {
			b := make([]byte, len(data))
			io.ReadFull(p, b)
			read <- b
		}()
		before := raw.writes.Load()
		if m, err := c.Write(data); m != len(data) || err != nil {
			t.Fatalf("wrote %d, %v", m, err)
		}
		count := raw.writes.Load() - before
		if got := <-read; !bytes.Equal(got, data) {
			t.Fatalf("%d octets arrived wrong", n)
		}
		if most := int64(1 + n/(100<<10)); count > most {
			t.Errorf("%d octets left in %d writes, want at most %d", n, count, most)
		}
		if c.rec.out != nil {
			t.Error("something is still gathered")
		}
	}
}

// TestConnInterrupted lets the deadline expire with half a record read, and reads on.
func TestConnInterrupted(t *testing.T) {
	raw, peerRaw := rawPair(t)
	half := &halves{TCPConn: peerRaw.TCPConn, first: make(chan bool), second: make(chan bool)}
	cfg := testConfig(t)
	c, p := NewConn(raw), tls.Client(half, cfg)
	shaken := make(chan error, 1)
	go func() { shaken <- p.Handshake() }()
	if err := errors.Join(c.Server(t.Context(), cfg), <-shaken); err != nil {
		t.Fatal(err)
	}
	half.on.Store(true)
	go p.Write([]byte("a1 NOOP\r\n"))
	b := make([]byte, 100)
	for cut := range 2 {
		if cut == 1 {
			<-half.first
		}
		c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		if n, err := c.Read(b); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("read %d, %v", n, err)
		}
	}
	c.SetReadDeadline(time.Now().Add(30 * time.Second))
	close(half.second)
	if n, err := c.Read(b); string(b[:n]) != "a1 NOOP\r\n" || err != nil {
		t.Fatalf("read %q, %v", b[:n], err)
	}
}

// halves writes the first 3 octets of each write, and the rest when second is closed.
type halves struct {
	*net.TCPConn
	on            atomic.Bool
	first, second chan bool
}

func (h *halves) Write(p []byte) (int, error) {
	if !h.on.Load() {
		return h.TCPConn.Write(p)
	}
	if n, err := h.TCPConn.Write(p[:3]); err != nil {
		return n, err
	}
	close(h.first)
	<-h.second
	n, err := h.TCPConn.Write(p[3:])
	return n + 3, err
}

func TestConnBothWays(t *testing.T) {
	raw, peerRaw := rawPair(t)
	cfg := testConfig(t)
	a, b := NewConn(raw), NewConn(peerRaw)
	if _, ok := a.TLS(); ok {
		t.Error("TLS before the handshake")
	}
	data := make([]byte, 1<<20)
	rand.Read(data)
	var wg sync.WaitGroup
	shake := func(c *Conn, f func(context.Context, *tls.Config) error) {
		if err := f(t.Context(), cfg); err != nil {
			t.Error(err)
			return
		}
		wg.Go(func() {
			for at := 0; at < len(data); at += 30000 {
				if _, err := c.Write(data[at:min(at+30000, len(data))]); err != nil {
					t.Error(err)
				}
			}
			if err := c.CloseWrite(); err != nil {
				t.Error(err)
			}
		})
		got, err := io.ReadAll(c)
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("read %d octets of %d, %v", len(got), len(data), err)
		}
	}
	wg.Go(func() { shake(a, a.Server) })
	wg.Go(func() { shake(b, b.Client) })
	wg.Wait()
	if _, ok := a.TLS(); !ok || a.BytesOut() != int64(len(data)) || b.BytesIn() != int64(len(data)) {
		t.Errorf("TLS %v, counted %d out, %d in", ok, a.BytesOut(), b.BytesIn())
	}
	if err := errors.Join(a.Close(), b.Close()); err != nil && !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

// TestConnCloseWrite wants the other direction open after a half-close, with and without TLS.
func TestConnCloseWrite(t *testing.T) {
	plain, plainPeer := rawPair(t)
	secure, securePeer, _ := tlsPair(t, tls.VersionTLS13)
	for _, pair := range []struct {
		c    *Conn
		peer net.Conn
	}{{NewConn(plain), plainPeer}, {secure, securePeer}} {
		if err := pair.c.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(pair.peer); len(b) != 0 || err != nil {
			t.Errorf("the peer read %q, %v", b, err)
		}
		if _, err := pair.peer.Write([]byte("still here")); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 10)
		if _, err := io.ReadFull(pair.c, b); err != nil || string(b) != "still here" {
			t.Errorf("read %q, %v", b, err)
		}
	}
}

// TestConnAbort wants no close_notify from Abort, and one from Close.
func TestConnAbort(t *testing.T) {
	c, _, raw := tlsPair(t, tls.VersionTLS13)
	before := raw.writes.Load()
	if err := c.Close(); err != nil || raw.writes.Load() != before+1 {
		t.Errorf("Close: %v, %d writes", err, raw.writes.Load()-before)
	}
	c, _, raw = tlsPair(t, tls.VersionTLS13)
	before = raw.writes.Load()
	if err := c.Abort(); err != nil || raw.writes.Load() != before {
		t.Errorf("Abort: %v, %d writes", err, raw.writes.Load()-before)
	}
	if _, err := c.Write([]byte("x")); err == nil {
		t.Error("writing after Abort succeeds")
	}
	if err := c.rec.err; err == nil {
		t.Error("the error does not stick")
	}
}

// TestConnNotTLS sends a client that speaks plain text to a TLS port.
func TestConnNotTLS(t *testing.T) {
	raw, peer := rawPair(t)
	go func() {
		io.WriteString(peer, "a1 CAPABILITY\r\n")
		peer.CloseWrite()
	}()
	c := NewConn(raw)
	if err := c.Server(t.Context(), testConfig(t)); err == nil {
		t.Fatal("handshake with plain text succeeds")
	}
	if _, ok := c.TLS(); ok {
		t.Error("TLS after a failed handshake")
	}
}

// TestConnHandshakeEnds wants the handshake to end with its context.
func TestConnHandshakeEnds(t *testing.T) {
	raw, _ := rawPair(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := NewConn(raw).Server(ctx, testConfig(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// TestConnKeyUpdate has OpenSSL ask for new keys (RFC 8446 section 4.6.3): the answer is written by the
// reading goroutine.
func TestConnKeyUpdate(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, openssl, "s_client", "-connect", ln.Addr().String(), "-tls1_3")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	nc, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(20 * time.Second))
	raw := &countingConn{TCPConn: nc.(*net.TCPConn)}
	c := NewConn(raw)
	if err := c.Server(ctx, testConfig(t)); err != nil {
		t.Fatal(err)
	}
	words := bufio.NewScanner(said)
	line := make([]byte, 100)
	for _, s := range []string{"one\n", "two\n", "three\n"} {
		before := raw.writes.Load()
		io.WriteString(in, "K\n") // a command of s_client: ask for new keys on both sides
		for words.Scan() && words.Text() != "KEYUPDATE" {
		}
		io.WriteString(in, s)
		n, err := c.Read(line)
		if err != nil || string(line[:n]) != s {
			t.Fatalf("read %q, %v, want %q", line[:n], err, s)
		}
		if n := raw.writes.Load() - before; n != 1 {
			t.Errorf("the reading goroutine wrote %d times, want one answer to the update", n)
		}
		if _, err := c.Write(line[:n]); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, said)
	cmd.Wait()
	if !bytes.Contains(out.Bytes(), []byte("one\ntwo\nthree\n")) {
		t.Errorf("openssl read %q", out.Bytes())
	}
}

// What was read ahead leaves in one Read where there is room, and nothing is waited for.
func TestConnReadsBufferedRecords(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		c, p, _ := tlsPair(t, version)
		text := bytes.Repeat([]byte("0123456789abcdef"), 4<<10)
		if _, err := p.Write(text); err != nil {
			t.Fatal(err)
		}
		var got []byte
		room, reads := make([]byte, largeBuffer), 0
		for len(got) < len(text) {
			n, err := c.Read(room)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, room[:n]...)
			reads++
		}
		if !bytes.Equal(got, text) {
			t.Error("other octets came than were sent")
		}
		if records := len(text) / maxRecord; reads > records {
			t.Errorf("%d reads for %d octets that lay there", reads, len(text))
		}
		small := room[:smallBuffer]
		p.Write([]byte("one"))
		if n, err := c.Read(small); err != nil || string(small[:n]) != "one" {
			t.Errorf("%q, %v", small[:n], err)
		}
	}
}

// A record that was read ahead may hold no data but a KeyUpdate. TLS then asks for the next one, and must
// neither wait for it nor take the connection for broken.
func TestRecordsDoNotWait(t *testing.T) {
	here, _ := rawPair(t)
	here.Close() // whoever reads on is told so
	rec := newRecords(here, new(deadline))
	rec.hold = true
	_, err := rec.Read(make([]byte, recordHead))
	passing, ok := errors.AsType[net.Error](err)
	if !ok || !passing.Timeout() || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
}
