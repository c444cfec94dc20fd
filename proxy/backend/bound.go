package backend

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/imapgate/imapgate/proxy/wire"
)

// Within returns a context for [Config.Open] that has a deadline in d, unless it has an earlier one. It costs no
// timer, as one of context.WithTimeout does, for it does not end by itself: Open sets the deadlines of what it reads
// and writes by it.
func Within(ctx context.Context, d time.Duration) context.Context {
	at := time.Now().Add(d)
	if earlier, ok := ctx.Deadline(); ok && !at.Before(earlier) {
		return ctx
	}
	return bound{ctx, at}
}

// A bound is a context that somebody else keeps.
type bound struct {
	context.Context
	at time.Time
}

// Deadline implements context.Context.
func (c bound) Deadline() (time.Time, bool) { return c.at, true }

// kept returns a context that ends by itself at the deadline, for what does not look at deadlines, and for what
// makes other contexts of it, which would not look at it either.
func kept(ctx context.Context) (context.Context, context.CancelFunc) {
	if b, ok := ctx.(bound); ok {
		return context.WithDeadline(b.Context, b.at)
	}
	return ctx, func() {}
}

// over is why ctx has ended, or has to; nil where it has not.
func over(ctx context.Context) error {
	if b, ok := ctx.(bound); ok && ctx.Err() == nil && !time.Now().Before(b.at) {
		return context.DeadlineExceeded
	}
	return ctx.Err()
}

// An interruption ends what is read and written on a connection, once and not too late.
type interruption struct {
	mu  sync.Mutex
	net *wire.Conn // nil when it is too late
}

func (i *interruption) strike() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.net != nil {
		past := time.Unix(1, 0)
		i.net.SetReadDeadline(past)
		i.net.SetWriteDeadline(past)
	}
}

func (i *interruption) end() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.net = nil
}

// during runs f, and interrupts its reads and writes when ctx ends.
func (b *Conn) during(ctx context.Context, f func(context.Context) error) error {
	var at time.Time
	if c, ok := ctx.(bound); ok {
		at = c.at
		b.Net.SetReadDeadline(at)
		b.Net.SetWriteDeadline(at)
	}
	i := &interruption{net: b.Net}
	stop := context.AfterFunc(ctx, i.strike)
	err := f(ctx)
	ended := !stop()
	if ended {
		i.end()
		if err == nil {
			err = b.Config.fail(Unreachable, "login", ctx.Err())
		}
	}
	if ended || !at.IsZero() {
		b.Net.SetReadDeadline(time.Time{})
		b.Net.SetWriteDeadline(time.Time{})
	}
	if err != nil {
		tellEnd(ctx, err)
	}
	return err
}

// tellEnd says in an error that ctx has ended, unless the backend has answered.
func tellEnd(ctx context.Context, err error) {
	end := over(ctx)
	if e, ok := errors.AsType[*Error](err); ok && end != nil && e.Status.Type == "" {
		e.Err = fmt.Errorf("%w (%w)", end, e.Err)
	}
}
