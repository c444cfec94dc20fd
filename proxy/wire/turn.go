package wire

import (
	"sync"
	"sync/atomic"
)

// A turn is a lock that somebody may have to wait for as long as a peer does not read. Whoever waits waits
// for a channel, which a synctest bubble takes for waiting, as it does not a mutex; whoever need not wait
// touches none.
type turn struct {
	state atomic.Int32
	once  sync.Once
	wake  chan struct{} // holds one, which wakes one of those that wait; nil before anybody did
}

// The states of a turn.
const (
	turnFree int32 = iota
	turnTaken
	turnWanted // taken, and somebody may wait
)

func (t *turn) take() {
	if t.state.CompareAndSwap(turnFree, turnTaken) {
		return
	}
	for t.state.Swap(turnWanted) != turnFree {
		<-t.waking()
	}
}

func (t *turn) give() {
	if t.state.Swap(turnFree) == turnWanted {
		select {
		case t.waking() <- struct{}{}:
		default: // one that is there already wakes somebody, who says that there may be others
		}
	}
}

func (t *turn) waking() chan struct{} {
	t.once.Do(func() { t.wake = make(chan struct{}, 1) })
	return t.wake
}
