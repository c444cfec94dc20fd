package proxy

import (
	"context"
	"sync"
)

// places counts the connections that are open, against the limit of all. Several listeners that find the
// last place free at the same time each take one more connection: the limit is exceeded by less than
// their number.
type places struct {
	mu    sync.Mutex
	freed sync.Cond
	taken int
	max   int
}

func newPlaces(max int) *places {
	p := &places{max: max}
	p.freed.L = &p.mu
	return p
}

// wait waits until a place is free; false when ctx ends first.
func (p *places) wait(ctx context.Context) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.taken < p.max {
		return ctx.Err() == nil
	}
	defer context.AfterFunc(ctx, p.wake)()
	for p.taken >= p.max && ctx.Err() == nil {
		p.freed.Wait()
	}
	return ctx.Err() == nil
}

func (p *places) wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.freed.Broadcast()
}

func (p *places) take() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken++
}

func (p *places) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken--
	p.freed.Broadcast()
}

func (p *places) inUse() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken
}

// resize sets another limit. Connections over a lower one stay.
func (p *places) resize(max int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.max = max
	p.freed.Broadcast()
}
