package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// openers is how many sessions are opened at a time.
	openers = 64
	// first is how many sessions are there before memory is first read, where no more than half are: what a
	// server takes once for all is not counted as a session's.
	first = 16
)

// beginIdle brings a session to rest.
func beginIdle(_ *load, c *client) error {
	if err := c.send("i1 IDLE\r\n"); err != nil {
		return err
	}
	return c.proceed()
}

func appendAndIdle(l *load, c *client) error {
	if err := c.upload(l.message); err != nil {
		return err
	}
	return beginIdle(l, c)
}

// waiting runs a step of waiting sessions: how long it takes to open them, what they add to the
// server's memory, and how long it takes until all have heard of a new message. In the end every session
// must still answer.
func (l *load) waiting(ctx context.Context, s step) (*result, error) {
	r := &result{partial: l.partial}
	var all []*client
	defer func() {
		for _, c := range all {
			c.close()
		}
	}()
	early := min(first, l.sessions/2)
	all = l.openAll(ctx, s, early, r)
	if err := pause(ctx, l.hold); err != nil {
		return r, err
	}
	more, err := l.crowd(ctx, s, l.sessions-early, r)
	all = append(all, more...)
	if err != nil {
		return r, err
	}
	if l.tell != nil {
		r.told = l.tellAll(ctx, all, r)
	}
	each(all, func(c *client) {
		c.extend(patience)
		if err := c.do("i1", "DONE\r\n"); err != nil {
			r.failures.add(fmt.Errorf("a session that waited: %w", err))
		}
	})
	return r, ctx.Err()
}

// crowd opens the n sessions that count, and sees what they have cost once they have waited for a while.
func (l *load) crowd(ctx context.Context, s step, n int, r *result) ([]*client, error) {
	before, err := readUse(l.server)
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	opened := l.openAll(ctx, s, n, r)
	r.elapsed = time.Since(begin)
	r.units = int64(len(opened))
	used, err := l.server.cpu()
	if err != nil {
		return opened, err
	}
	if err := pause(ctx, l.hold); err != nil {
		return opened, err
	}
	after, err := readUse(l.server)
	r.cpu, r.memory, r.files = used-before.cpu, after.memory-before.memory, after.files-before.files
	return opened, err
}

// A use is what a server uses at one moment.
type use struct {
	cpu           float64
	memory, files int64
}

func readUse(m meter) (u use, err error) {
	if u.memory, err = m.memory(); err != nil {
		return u, err
	}
	if u.files, err = m.files(); err != nil {
		return u, err
	}
	u.cpu, err = m.cpu() // last, so that reading the others is not counted
	return u, err
}

// openAll opens sessions and returns those that wait.
func (l *load) openAll(ctx context.Context, s step, n int, r *result) []*client {
	var next, failed atomic.Int64
	var mu sync.Mutex
	var all []*client
	var wg sync.WaitGroup
	for range openers {
		wg.Go(func() {
			for next.Add(1) <= int64(n) && failed.Load() < failureLimit && ctx.Err() == nil {
				c, err := l.openOne(ctx, s)
				if err != nil {
					failed.Add(1)
					r.failures.add(err)
					continue
				}
				mu.Lock()
				all = append(all, c)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return all
}

func (l *load) openOne(ctx context.Context, s step) (*client, error) {
	c, err := l.door.open(ctx, inbox, smallBuffer)
	if err != nil {
		return nil, err
	}
	if err := s.rest(l, c); err != nil {
		c.close()
		return nil, err
	}
	c.extend(l.hold + 10*patience)
	return c, nil
}

// tellAll has the backend tell all sessions of a message, and returns how long it took until each client
// had heard, the fastest first. All clients listen before that.
func (l *load) tellAll(ctx context.Context, all []*client, r *result) []time.Duration {
	var listening sync.WaitGroup
	listening.Add(len(all))
	heard := make(chan time.Time, len(all))
	var listeners sync.WaitGroup
	listeners.Go(func() {
		each(all, func(c *client) {
			c.extend(patience)
			listening.Done()
			if err := c.hear(" EXISTS"); err != nil {
				r.failures.add(fmt.Errorf("hear of a message: %w", err))
				return
			}
			heard <- time.Now()
		})
	})
	listening.Wait()
	used, err := l.server.cpu()
	begin := time.Now()
	if err := errors.Join(err, l.tell(ctx)); err != nil {
		r.failures.add(fmt.Errorf("tell the sessions: %w", err))
	}
	listeners.Wait()
	close(heard)
	if usedThen, err := l.server.cpu(); err == nil {
		r.toldCPU = usedThen - used
	}
	var took []time.Duration
	for when := range heard {
		took = append(took, when.Sub(begin))
	}
	slices.Sort(took)
	return took
}

// hear reads up to a line with that end.
func (c *client) hear(end string) error {
	for {
		line, err := c.line()
		if err != nil || bytes.HasSuffix(line, []byte(end)) {
			return err
		}
	}
}

// each does something for all clients at once.
func each(all []*client, do func(*client)) {
	var wg sync.WaitGroup
	for _, c := range all {
		wg.Go(func() { do(c) })
	}
	wg.Wait()
}

// tellBy returns a function that has the backend at an address tell all sessions.
func tellBy(d door) func(context.Context) error {
	return func(ctx context.Context) error { return d.tell(ctx, inbox.messages+1) }
}

// tell has the backend at a door tell all sessions how many messages there are.
func (d door) tell(ctx context.Context, messages int) error {
	c, err := d.dial(ctx, smallBuffer)
	if err != nil {
		return err
	}
	defer c.close()
	return c.do("x1", fmt.Sprintf("x1 %s %d\r\n", newsCommand, messages))
}

// run runs one step.
func (l *load) run(ctx context.Context, s step) (*result, error) {
	if s.rest != nil {
		return l.waiting(ctx, s)
	}
	return l.busy(ctx, s)
}
