package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
)

// errSecondSignal is why a drain ends before its time.
var errSecondSignal = errors.New("a second signal came")

// untilSignals returns two contexts. The first SIGINT or SIGTERM, or the end of ctx, ends drain; the second
// signal ends hard, and no other thing does. stop gives the signals back and waits for the goroutine
// behind this.
func untilSignals(ctx context.Context) (drain, hard context.Context, stop func()) {
	drain, startDrain := context.WithCancel(ctx)
	hard, endHard := context.WithCancelCause(context.WithoutCancel(ctx))
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for _, act := range []func(){startDrain, func() { endHard(errSecondSignal) }} {
			select {
			case <-signals:
				act()
			case <-quit:
				return
			}
		}
	}()
	stop = func() {
		signal.Stop(signals)
		close(quit)
		<-done
		startDrain()
		endHard(nil)
	}
	return drain, hard, stop
}

// hangups returns a channel that gets something when SIGHUP came since it was last read. SIGHUP does
// not end the process until stop is called.
func hangups() (came <-chan os.Signal, stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	return signals, func() { signal.Stop(signals) }
}
