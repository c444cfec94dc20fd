package imaptest

import (
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

const hello = "* OK hello\r\n"

func TestInjuryOfReads(t *testing.T) {
	for at := range len(hello) + 1 {
		for harm, want := range map[Harm]error{Cut: syscall.ECONNRESET, HalfClose: io.EOF, Stall: os.ErrDeadlineExceeded} {
			bubble(t, func(t *testing.T, a, b *Conn) { injuredRead(t, b, Injure(a, Injury{Reads, int64(at), harm}), want) })
		}
	}
}

func injuredRead(t *testing.T, peer *Conn, c net.Conn, target error) {
	go peer.Write([]byte(hello))
	c.SetDeadline(time.Now().Add(time.Minute))
	at := c.(*injured).injury.At
	got := make([]byte, at)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != hello[:at] {
		t.Fatalf("read %q: %v", got, err)
	}
	_, err := c.Read(make([]byte, 1))
	want(t, err, target)
	if target == syscall.ECONNRESET {
		_, err = peer.Write([]byte("x"))
		want(t, err, target)
	}
}

func TestInjuryOfWrites(t *testing.T) {
	for at := range len(hello) {
		for harm, want := range map[Harm]error{Cut: syscall.ECONNRESET, HalfClose: syscall.EPIPE, Stall: os.ErrDeadlineExceeded} {
			bubble(t, func(t *testing.T, a, b *Conn) { injuredWrite(t, b, Injure(a, Injury{Writes, int64(at), harm}), want) })
		}
	}
}

func injuredWrite(t *testing.T, peer *Conn, c net.Conn, target error) {
	c.SetDeadline(time.Now().Add(time.Minute))
	at := c.(*injured).injury.At
	n, err := c.Write([]byte(hello))
	want(t, err, target)
	got, end := peer.Take()
	if n != int(at) || string(got) != hello[:at] {
		t.Errorf("wrote %d, the peer has %q, want %d bytes", n, got, at)
	}
	switch target {
	case syscall.ECONNRESET:
		want(t, end, syscall.ECONNRESET)
	case syscall.EPIPE:
		want(t, end, io.EOF)
	default:
		want(t, end, nil)
	}
}

func TestInjuryCutsBehindTheLastByte(t *testing.T) {
	bubble(t, func(t *testing.T, a, b *Conn) {
		c := Injure(a, Injury{Writes, int64(len(hello)), Cut})
		if n, err := c.Write([]byte(hello)); n != len(hello) {
			t.Errorf("wrote %d: %v", n, err)
		}
		_, err := b.Take()
		want(t, err, syscall.ECONNRESET)
	})
}

func TestInjurySplits(t *testing.T) {
	bubble(t, func(t *testing.T, a, b *Conn) {
		b.Write([]byte(hello))
		b.CloseWrite()
		c := Injure(a, Injury{Reads, 4, Split})
		if n, _ := c.Read(make([]byte, 16)); n != 4 {
			t.Errorf("the first Read has %d bytes, want 4", n)
		}
		if n, _ := c.Read(make([]byte, 16)); n != len(hello)-4 {
			t.Errorf("the second Read has %d bytes", n)
		}
	})
	bubble(t, func(t *testing.T, a, b *Conn) {
		b.Write([]byte(hello))
		b.CloseWrite()
		c := Injure(a, Injury{Side: Reads, Kind: Drip})
		if n, _ := c.Read(make([]byte, 16)); n != 1 {
			t.Errorf("a Read has %d bytes, want 1", n)
		}
		if err := iotest.TestReader(c, []byte(hello[1:])); err != nil {
			t.Error(err)
		}
	})
}

func TestInjuryStallEndsWithClose(t *testing.T) {
	bubble(t, func(t *testing.T, a, b *Conn) {
		c := Injure(a, Injury{Side: Reads, Kind: Stall})
		errs := make(chan error)
		go func() {
			_, err := c.Read(make([]byte, 1))
			errs <- err
		}()
		synctest.Wait()
		c.Close()
		want(t, <-errs, net.ErrClosed)
	})
}
