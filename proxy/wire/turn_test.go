package wire

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestTurn lets several goroutines count under one turn, some of them with a pause within it: each has it
// alone, and none waits for ever.
func TestTurn(t *testing.T) {
	var turn turn
	n := 0
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for i := range 20000 {
				turn.take()
				n++
				if (g+i)%1024 == 0 {
					<-time.After(time.Microsecond)
				}
				turn.give()
			}
		})
	}
	all.Wait()
	if n != 8*20000 {
		t.Errorf("counted %d", n)
	}
}

// TestTurnWaitsDurably pins what makes a turn more than a mutex: in a bubble, time goes on while somebody
// waits for one.
func TestTurnWaitsDurably(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var turn turn
		turn.take()
		begun, got := time.Now(), make(chan time.Duration)
		go func() {
			turn.take()
			got <- time.Since(begun)
			turn.give()
		}()
		time.AfterFunc(time.Hour, turn.give)
		if after := <-got; after != time.Hour {
			t.Errorf("had the turn after %v", after)
		}
	})
}
