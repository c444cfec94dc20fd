package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// failureLimit is how often a job may fail before it is given up.
const failureLimit = 10

// farewell is how long jobs have to come to an end.
const farewell = 5 * time.Second

// failures counts errors by their text.
type failures struct {
	mu  sync.Mutex
	all map[string]int
}

func (f *failures) add(err error) {
	why := err.Error()
	// Addresses would make every text another one.
	if _, behind, ok := strings.Cut(why, "->"); ok {
		if _, reason, ok := strings.Cut(behind, ": "); ok {
			why = reason
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.all == nil {
		f.all = make(map[string]int)
	}
	f.all[why]++
}

// String is empty where nothing failed.
func (f *failures) String() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []string
	for _, why := range slices.Sorted(maps.Keys(f.all)) {
		all = append(all, fmt.Sprintf("%d x %s", f.all[why], why))
	}
	if more := len(all) - 3; more > 0 {
		all = append(all[:3], fmt.Sprintf("and %d other kinds", more))
	}
	return strings.Join(all, "; ")
}

// A tally is what one job has done.
type tally struct {
	units atomic.Int64
	phase *atomic.Int32
	turns []time.Duration // of those that ended in the window
}

// The phases of a busy step.
const (
	warming int32 = iota
	measuring
	ending
)

func (t *tally) took(d time.Duration) {
	if t.phase.Load() == measuring {
		t.turns = append(t.turns, d)
	}
}

func (t *tally) over() bool { return t.phase.Load() == ending }

// busy runs a busy step: all connections are opened, and what is done and used between two moments of
// full load is measured.
func (l *load) busy(ctx context.Context, s step) (*result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := &result{}
	jobs := l.startAll(ctx, s, r)
	if len(jobs) == 0 {
		return r, ctx.Err()
	}
	var phase atomic.Int32
	var running sync.WaitGroup
	tallies := make([]*tally, len(jobs))
	for i, j := range jobs {
		t := &tally{phase: &phase}
		tallies[i] = t
		running.Go(func() { l.repeat(ctx, s, j, t, r) })
	}
	err := l.measure(ctx, tallies, &phase, r)
	phase.Store(ending)
	late := time.AfterFunc(farewell, func() {
		r.failures.add(errors.New("a connection did not come to an end"))
		cancel()
	})
	running.Wait()
	late.Stop()
	r.typical = median(tallies)
	return r, err
}

// measure waits until the window is over.
func (l *load) measure(ctx context.Context, tallies []*tally, phase *atomic.Int32, r *result) error {
	if err := pause(ctx, l.warmUp); err != nil {
		return err
	}
	used, err := l.server.cpu()
	if err != nil {
		return err
	}
	done := total(tallies)
	begin := time.Now()
	phase.Store(measuring)
	if err := pause(ctx, l.window); err != nil {
		return err
	}
	// In the same order as before the window, so that work and time are off by the same.
	usedThen, err := l.server.cpu()
	r.cpu = usedThen - used
	r.units = total(tallies) - done
	r.elapsed = time.Since(begin)
	return err
}

func total(tallies []*tally) (n int64) {
	for _, t := range tallies {
		n += t.units.Load()
	}
	return n
}

// median is that of all turns.
func median(tallies []*tally) time.Duration {
	var all []time.Duration
	for _, t := range tallies {
		all = append(all, t.turns...)
	}
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[len(all)/2]
}

func (l *load) startAll(ctx context.Context, s step, r *result) []job {
	jobs := make([]job, s.connections)
	var wg sync.WaitGroup
	for i := range jobs {
		wg.Go(func() {
			j, err := s.start(ctx, l)
			if err != nil {
				r.failures.add(err)
			}
			jobs[i] = j
		})
	}
	wg.Wait()
	return slices.DeleteFunc(jobs, func(j job) bool { return j.turn == nil })
}

// repeat does a job until the end; where it fails, it is begun anew.
func (l *load) repeat(ctx context.Context, s step, j job, t *tally, r *result) {
	for failed := 0; !t.over(); {
		err := j.turn(t)
		if err == nil {
			continue
		}
		j.close()
		j.close = func() {}
		if errors.Is(err, errStopped) {
			return
		}
		r.failures.add(err)
		if failed++; failed == failureLimit {
			return
		}
		again, err := s.start(ctx, l)
		if err != nil {
			r.failures.add(err)
			return
		}
		j = again
	}
	j.close()
}

// pause waits, and returns the error of a ctx that ends meanwhile.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
