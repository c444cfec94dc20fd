package imaptest

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bubble runs f in a synctest bubble with both ends of a Pipe, which it closes.
func bubble(t *testing.T, f func(t *testing.T, a, b *Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		a, b := PipeSize(16)
		defer a.Close()
		defer b.Close()
		f(t, a, b)
	})
}

func want(t *testing.T, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("error %v, want %v", err, target)
	}
}

func TestPipeCarriesBothWays(t *testing.T) {
	a, b := Pipe()
	data := bytes.Repeat([]byte("0123456789"), 100_000)
	var work sync.WaitGroup
	for _, c := range []*Conn{a, b} {
		work.Go(func() {
			if _, err := c.Write(data); err != nil {
				t.Error(err)
			}
			c.CloseWrite()
		})
		work.Go(func() {
			if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, data) {
				t.Errorf("read %d bytes, error %v", len(got), err)
			}
		})
	}
	work.Wait()
}

func TestPipeBackPressure(t *testing.T) {
	bubble(t, func(t *testing.T, a, b *Conn) {
		done := make(chan int, 1)
		go func() {
			n, _ := a.Write(make([]byte, 40))
			done <- n
		}()
		for range 2 {
			synctest.Wait()
			if b.Buffered() != 16 || len(done) != 0 {
				t.Fatalf("%d bytes buffered, write finished: %t", b.Buffered(), len(done) > 0)
			}
			io.ReadFull(b, make([]byte, 16))
		}
		if n := <-done; n != 40 {
			t.Errorf("wrote %d bytes", n)
		}
	})
}

func TestPipeWritesDoNotMix(t *testing.T) {
	bubble(t, func(t *testing.T, a, b *Conn) {
		for _, s := range []string{"a", "b", "c"} {
			go a.Write(bytes.Repeat([]byte(s), 50))
		}
		got := make([]byte, 150)
		io.ReadFull(b, got)
		for i := 0; i < 150; i += 50 {
			if !bytes.Equal(got[i:i+50], bytes.Repeat(got[i:i+1], 50)) {
				t.Fatalf("writes are mixed: %s", got)
			}
		}
	})
}

func TestPipeReadDeadline(t *testing.T) {
	bubble(t, func(t *testing.T, a, b *Conn) {
		start := time.Now()
		a.SetReadDeadline(start.Add(time.Minute))
		go func() {
			<-time.After(30 * time.Second)
			a.SetReadDeadline(start.Add(time.Hour)) // moved while Read is blocked
		}()
		_, err := a.Read(make([]byte, 1))
		want(t, err, os.ErrDeadlineExceeded)
		if ne, ok := err.(net.Error); !ok || !ne.Timeout() {
			t.Errorf("%v is not a timeout", err)
		}
		if d := time.Since(start); d != time.Hour {
			t.Errorf("interrupted after %v", d)
		}
		b.Write([]byte("x"))
		if _, err = a.Read(make([]byte, 1)); err == nil {
			t.Error("an expired deadline does not win over data")
		}
		a.SetReadDeadline(time.Time{})
		if n, err := a.Read(make([]byte, 1)); n != 1 || err != nil {
			t.Errorf("not readable after the deadline was removed: %v", err)
		}
	})
}

func TestPipePastDeadlineInterruptsAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, a, b *Conn) {
		errs := make(chan error, 2)
		go func() {
			_, err := a.Read(make([]byte, 1))
			errs <- err
			_, err = a.Write(make([]byte, 100))
			errs <- err
		}()
		for range 2 {
			synctest.Wait()
			a.SetDeadline(time.Unix(1, 0))
			want(t, <-errs, os.ErrDeadlineExceeded)
			a.SetReadDeadline(time.Time{})
		}
	})
}

func TestPipeWriteDeadlineSaysHowMuch(t *testing.T) {
	bubble(t, func(t *testing.T, a, b *Conn) {
		a.SetWriteDeadline(time.Now().Add(time.Second))
		n, err := a.Write(make([]byte, 20))
		want(t, err, os.ErrDeadlineExceeded)
		if n != 16 {
			t.Errorf("wrote %d bytes, want 16", n)
		}
	})
}

func TestPipeHalfClose(t *testing.T) {
	bubble(t, func(t *testing.T, a, b *Conn) {
		a.Write([]byte("bye"))
		a.CloseWrite()
		if got, err := io.ReadAll(b); string(got) != "bye" || err != nil {
			t.Errorf("read %q, %v", got, err)
		}
		_, err := a.Write([]byte("x"))
		want(t, err, syscall.EPIPE)
		b.Write([]byte("answer"))
		b.Close()
		if got, err := io.ReadAll(a); string(got) != "answer" || err != nil {
			t.Errorf("read %q, %v", got, err)
		}
	})
}

func TestPipeClose(t *testing.T) {
	bubble(t, func(t *testing.T, a, b *Conn) {
		errs := make(chan error, 1)
		go func() {
			_, err := a.Read(make([]byte, 1))
			errs <- err
		}()
		synctest.Wait()
		a.Close()
		want(t, <-errs, net.ErrClosed)
		_, err := b.Write([]byte("x"))
		want(t, err, syscall.EPIPE)
		_, err = b.Read(make([]byte, 1))
		want(t, err, io.EOF)
		want(t, a.Close(), net.ErrClosed)
		want(t, a.SetDeadline(time.Now()), net.ErrClosed)
	})
}

func TestPipeAbort(t *testing.T) {
	bubble(t, func(t *testing.T, a, b *Conn) {
		a.Write([]byte("last"))
		a.Abort()
		got := make([]byte, 10)
		if n, err := b.Read(got); string(got[:n]) != "last" || err != nil {
			t.Errorf("read %q, %v", got[:n], err)
		}
		_, err := b.Read(got)
		want(t, err, syscall.ECONNRESET)
		_, err = b.Write(got)
		want(t, err, syscall.ECONNRESET)
	})
}

func TestPipeTake(t *testing.T) {
	bubble(t, func(t *testing.T, a, b *Conn) {
		go a.Write(make([]byte, 20))
		for _, n := range []int{16, 4, 0} {
			synctest.Wait()
			if got, err := b.Take(); len(got) != n || err != nil {
				t.Errorf("took %d bytes, want %d: %v", len(got), n, err)
			}
		}
		a.CloseWrite()
		_, err := b.Take()
		want(t, err, io.EOF)
	})
}

func TestPipeAddresses(t *testing.T) {
	a, b := Pipe()
	near, far := loopback(1), loopback(2)
	a.SetAddrs(near, far)
	if b.LocalAddr() != net.Addr(far) || b.RemoteAddr() != net.Addr(near) || a.LocalAddr() != net.Addr(near) {
		t.Errorf("b is %v, its peer %v", b.LocalAddr(), b.RemoteAddr())
	}
}

func TestListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := Listen()
		near, _ := l.Dial()
		far, err := l.Accept()
		if err != nil || far.RemoteAddr().String() != near.LocalAddr().String() {
			t.Fatalf("accepted %v: %v", far, err)
		}
		waiting, _ := l.DialContext(t.Context(), "tcp", "imap.example.org:143")
		l.Close()
		_, err = waiting.Read(make([]byte, 1))
		want(t, err, syscall.ECONNRESET)
		_, err = l.Accept()
		want(t, err, net.ErrClosed)
		_, err = l.Dial()
		want(t, err, syscall.ECONNREFUSED)
		_, err = Network{"other:143": l}.DialContext(t.Context(), "tcp", "a:143")
		want(t, err, syscall.ECONNREFUSED)
	})
}
