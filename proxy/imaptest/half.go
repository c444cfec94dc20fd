package imaptest

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// A half is one direction of a Pipe. Everything blocks on its condition variable, which
// [testing/synctest] counts as durably blocked.
type half struct {
	mu     sync.Mutex
	cond   *sync.Cond
	buf    []byte
	limit  int
	closed struct{ reader, writer bool } // by the Close of the end that reads or writes
	end    error                         // what a Read gets behind buf: io.EOF or a reset; nil while more may come
	broken error                         // what a Write gets because the reading end is gone
	busy   bool                          // a Write is under way: others wait, so that no two mix
	read   deadline
	write  deadline
	notify func() // is to be called when there is something to read; nil for nobody
}

type deadline struct {
	timer *time.Timer
	past  bool
}

func newHalf(limit int) *half {
	h := &half{limit: limit}
	h.cond = sync.NewCond(&h.mu)
	return h
}

func reset(op string) error { return os.NewSyscallError(op, syscall.ECONNRESET) }

// Read looks at the deadline before the data, as TCP connections do.
func (h *half) Read(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch {
		case h.closed.reader:
			return 0, net.ErrClosed
		case h.read.past:
			return 0, os.ErrDeadlineExceeded
		case len(p) == 0:
			return 0, nil
		case len(h.buf) > 0:
			n := copy(p, h.buf)
			h.buf = h.buf[n:]
			h.cond.Broadcast()
			return n, nil
		case h.end != nil:
			return 0, h.end
		}
		h.cond.Wait()
	}
}

// notifyReadable calls f, on a goroutine of its own, once Read would not wait for another reason than its
// deadline.
func (h *half) notifyReadable(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.notify = f
	h.tell()
}

// tell calls who is to be notified. The lock is held.
func (h *half) tell() {
	if h.notify != nil && (len(h.buf) > 0 || h.end != nil || h.closed.reader) {
		go h.notify()
		h.notify = nil
	}
}

func (h *half) Write(p []byte) (n int, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for h.busy && h.writeErr() == nil {
		h.cond.Wait()
	}
	if err := h.writeErr(); err != nil {
		return 0, err
	}
	h.busy = true
	defer func() {
		h.busy = false
		h.cond.Broadcast()
	}()
	for {
		n += h.put(p[n:])
		if n == len(p) {
			return n, nil
		}
		h.cond.Wait()
		if err := h.writeErr(); err != nil {
			return n, err
		}
	}
}

func (h *half) put(p []byte) int {
	n := min(len(p), h.limit-len(h.buf))
	if n > 0 {
		h.buf = append(h.buf, p[:n]...)
		h.cond.Broadcast()
		h.tell()
	}
	return n
}

func (h *half) writeErr() error {
	switch {
	case h.closed.writer:
		return net.ErrClosed
	case h.write.past:
		return os.ErrDeadlineExceeded
	case h.broken != nil:
		return h.broken
	case h.end != nil:
		return os.NewSyscallError("write", syscall.EPIPE)
	}
	return nil
}

// take returns what is buffered and, where nothing can come behind it, why.
func (h *half) take() ([]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed.reader {
		return nil, net.ErrClosed
	}
	b := h.buf
	h.buf = nil
	h.cond.Broadcast()
	return b, h.end
}

func (h *half) buffered() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.buf)
}

// finish is the writer's last word: what is buffered can still be read, then end.
func (h *half) finish(end error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.end == nil || end != io.EOF {
		h.end = end
	}
	h.cond.Broadcast()
	h.tell()
}

// closeReader throws away what is buffered; the other end's writes get broken from now on.
func (h *half) closeReader(broken error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed.reader, h.buf = true, nil
	if h.broken == nil {
		h.broken = broken
	}
	h.read.stop()
	h.cond.Broadcast()
	h.tell()
}

func (h *half) closeWriter() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed.writer = true
	h.write.stop()
	h.cond.Broadcast()
}

func (h *half) isClosed() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.closed.reader
}

// setDeadline moves d, which is h's read or write deadline. A deadline in the past interrupts at once;
// a later one, or none, makes the connection usable again.
func (h *half) setDeadline(d *deadline, t time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	d.stop()
	d.past = !t.IsZero() && !t.After(time.Now())
	if !t.IsZero() && !d.past {
		var timer *time.Timer
		timer = time.AfterFunc(time.Until(t), func() { h.expire(d, &timer) })
		d.timer = timer
	}
	h.cond.Broadcast()
}

// expire ignores a timer that was replaced while it fired.
func (h *half) expire(d *deadline, timer **time.Timer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if d.timer == *timer {
		d.past = true
		h.cond.Broadcast()
	}
}

func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}
