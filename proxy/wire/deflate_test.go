package wire

import (
	"bytes"
	"compress/flate"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"testing"
	"time"
	"unsafe"
)

// A flatePeer is the other side of a compressed connection, by compress/flate.
type flatePeer struct {
	net.Conn
	r io.Reader
	w *flate.Writer
}

func newFlatePeer(t testing.TB, c net.Conn) *flatePeer {
	t.Helper()
	w, err := flate.NewWriter(c, flate.DefaultCompression)
	if err != nil {
		t.Fatal(err)
	}
	return &flatePeer{c, flate.NewReader(c), w}
}

func (p *flatePeer) Read(b []byte) (int, error) { return p.r.Read(b) }

func (p *flatePeer) Write(b []byte) (int, error) {
	n, err := p.w.Write(b)
	if err == nil {
		err = p.w.Flush()
	}
	return n, err
}

// compressed is a connection, and its peer, with compression on both sides.
func compressed(t *testing.T) (*Conn, *flatePeer) {
	t.Helper()
	near, far := rawPair(t)
	c := NewConn(near)
	c.Deflate()
	return c, newFlatePeer(t, far)
}

// What is written to a compressed connection arrives, and what its peer writes; each Write can be read at once.
func TestCompressedConn(t *testing.T) {
	for name, text := range texts() {
		if text == "" {
			continue
		}
		c, p := compressed(t)
		for range 2 {
			exchange(t, name+" to the peer", c, p, text)
			exchange(t, name+" from the peer", p, c, text)
		}
		if in, out, ok := c.Packed(); !ok || in <= 0 || out <= 0 || c.BytesIn() != int64(2*len(text)) || c.BytesOut() != c.BytesIn() {
			t.Errorf("%s: %d and %d octets for %d and %d", name, in, out, c.BytesIn(), c.BytesOut())
		}
	}
}

// exchange writes text at one end and wants to read it at the other.
func exchange(t *testing.T, name string, w io.Writer, r io.Reader, text string) {
	t.Helper()
	wrote := make(chan struct{})
	go func() { defer close(wrote); w.Write([]byte(text)) }()
	got := make([]byte, len(text))
	if _, err := io.ReadFull(r, got); err != nil || string(got) != text {
		t.Fatalf("%s: %d octets differ, %v", name, len(got), err)
	}
	<-wrote
}

// A reader that is interrupted at each octet of the stream loses nothing.
func TestCompressedReadIsInterrupted(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	c := NewConn(near)
	c.Deflate()
	text := "a1 UID FETCH 1:* (FLAGS)\r\na2 UID FETCH 1:* (FLAGS)\r\n"
	var got []byte
	p := make([]byte, 100)
	read := func(timeout time.Duration) {
		c.SetReadDeadline(time.Now().Add(timeout))
		n, err := c.Read(p)
		got = append(got, p[:n]...)
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
	}
	for _, b := range packAll(t, flate.BestCompression, text, text) {
		read(-time.Second)
		sent := make(chan struct{})
		go func() { far.Write([]byte{b}); close(sent) }()
		for more := true; more; {
			read(time.Millisecond)
			select {
			case <-sent:
				more = false
			default:
			}
		}
	}
	if string(got) != text+text {
		t.Errorf("%q", got)
	}
}

// Compression stands above TLS.
func TestCompressionAboveTLS(t *testing.T) {
	c, p, _ := tlsPair(t, tls.VersionTLS13)
	c.Deflate()
	f := newFlatePeer(t, p)
	exchange(t, "from the peer", f, c, "a1 NOOP\r\n")
	exchange(t, "to the peer", c, f, "a1 OK\r\n")

}

// What a client sends behind COMPRESS, before it is answered, is seen although it is still encrypted.
func TestAhead(t *testing.T) {
	c, p, _ := tlsPair(t, tls.VersionTLS13)
	if c.Ahead() {
		t.Error("nothing was sent and something is ahead")
	}
	go func() {
		p.Write([]byte("a1 COMPRESS DEFLATE\r\n"))
		p.Write([]byte("a2 NOOP\r\n"))
		p.CloseWrite()
	}()
	b := make([]byte, 21)
	for !c.Ahead() { // until both were read together
		if _, err := c.Read(b); err != nil {
			t.Skip("the records came one by one")
		}
	}
}

// No text compresses to more than a buffer holds.
func TestPackedFits(t *testing.T) {
	noise := []byte(texts()["noise"])
	for _, n := range []int{1, 127, 128, 129, smallBuffer - packedSurplus, smallBuffer, packedPiece} {
		b, err := pack(noise[:n])
		if err != nil || cap(b) != smallBuffer && cap(b) != largeBuffer {
			t.Errorf("%d octets become %d in a buffer of %d, %v", n, len(b), cap(b), err)
		}
		if got, _ := unpackAll(b, len(b), n); !bytes.Equal(got, noise[:n]) {
			t.Errorf("%d octets differ", n)
		}
		giveBack(b)
	}
}

// A packer that others used before leaves nothing of them.
func TestPackersRemember(t *testing.T) {
	secret := bytes.Repeat([]byte("Subject: something that nobody else may see\r\n"), 100)
	for range 100 {
		b, err := pack(secret)
		if err != nil {
			t.Fatal(err)
		}
		giveBack(b)
		text := secret[:60]
		if b, err = pack(text); err != nil {
			t.Fatal(err)
		}
		got, err := unpackAll(b, len(b), 1000) // where it referred to what is not in it, this fails
		if !bytes.Equal(got, text) || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("%q, %v", got, err)
		}
		giveBack(b)
	}
}

// What a compressed connection holds while it is silent fits into 40 KiB, with what the runtime rounds up to.
func TestCompressionMemory(t *testing.T) {
	if n := unsafe.Sizeof(unpacker{}); n > 40<<10 {
		t.Errorf("%d octets", n)
	}
}

// BenchmarkCompressedIdle tells how much memory a connection costs that compresses and is silent, after it
// has read and written.
func BenchmarkCompressedIdle(b *testing.B) {
	const conns = 1000
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	request := packAll(b, flate.DefaultCompression, "a1 NOOP\r\n")
	p := make([]byte, 100)
	for b.Loop() {
		all := make([]*Conn, conns)
		before := heap()
		for i := range all {
			all[i] = NewConn(&repeated{data: request})
			all[i].Deflate()
			all[i].Read(p)
			all[i].Write(p)
		}
		b.ReportMetric(float64(heap()-before)/conns, "B/connection")
		runtime.KeepAlive(all)
	}
}

// A repeated is a raw connection that gives the same data again and again, and takes everything.
type repeated struct {
	net.Conn
	data []byte
}

func (r *repeated) Read(p []byte) (int, error)  { return copy(p, r.data), nil }
func (r *repeated) Write(p []byte) (int, error) { return len(p), nil }

// Compressing and decoding cost no memory once they have begun, and this much time.
func BenchmarkCompressed(b *testing.B) {
	text := []byte(texts()["prose"])[:16<<10]
	r := &repeated{data: packAll(b, flate.DefaultCompression, string(text))}
	b.Run("read", func(b *testing.B) {
		c, p := NewConn(&turns{repeated: r}), make([]byte, 16<<10)
		c.Deflate()
		b.SetBytes(16 << 10)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.Read(p); err != nil {
				b.Fatal(err)
			}
		}
		b.SetBytes(c.BytesIn() / int64(b.N))
	})
	for _, n := range []int{30, 1000, 16 << 10} {
		b.Run(fmt.Sprintf("write %d", n), func(b *testing.B) {
			c := NewConn(r)
			c.Deflate()
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				c.Write(text[:n])
			}
		})
	}
}

// A turns gives its data in turn, and begins again; decoded, matches never reach far enough back to meet the
// wrong text.
type turns struct {
	*repeated
	at int
}

func (t *turns) Read(p []byte) (int, error) {
	n := copy(p, t.data[t.at:])
	t.at = (t.at + n) % len(t.data)
	return n, nil
}
