package backend

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// A context of Within says the earlier of two deadlines, and what is derived of it by kept ends then.
func TestWithin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		parent, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if Within(parent, 10*time.Second) != parent || Within(parent, time.Minute) != parent {
			t.Error("an earlier deadline does not hold")
		}
		ctx := Within(Within(parent, 5*time.Second), 3*time.Second)
		if at, ok := ctx.Deadline(); !ok || at.Sub(began) != 3*time.Second {
			t.Errorf("the deadline is in %v", at.Sub(began))
		}
		own, stop := kept(ctx)
		defer stop()
		if over(ctx) != nil {
			t.Error("over at once")
		}
		<-own.Done()
		if d := time.Since(began); d != 3*time.Second || over(ctx) != context.DeadlineExceeded || ctx.Err() != nil {
			t.Errorf("ended after %v: %v, %v", d, over(ctx), ctx.Err())
		}
		cancel()
		if over(ctx) != context.Canceled || ctx.Err() != context.Canceled {
			t.Errorf("cancelled: %v", over(ctx))
		}
	})
}

// An interruption that comes too late touches nothing: the connection is somebody else's.
func TestInterruptionTooLate(t *testing.T) {
	i := &interruption{}
	i.end()
	i.strike()
}
