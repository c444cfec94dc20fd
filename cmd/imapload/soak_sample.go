package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A sample is what imapgate uses at one moment.
type sample struct {
	pss, rss, heap    int64 // octets; heap is what Go's heap takes, free parts of its spans included
	files, goroutines int64 // of open files those that are no pipes
	pipes             int64
	sessions          int64 // that it says it has
	cpu               float64
}

// sample reads what imapgate uses now.
func (k *soak) sample(ctx context.Context) (s sample, err error) {
	pids := k.gate.child.pids()
	if !k.gate.runs() {
		return s, fmt.Errorf("imapgate has ended: %s", k.gate.child.lastWords())
	}
	told, err := scrape(ctx, loopback(k.gate.extra))
	if err != nil {
		return s, err
	}
	s.sessions = int64(told["imapgate_sessions"])
	s.goroutines = int64(told["go_goroutines"])
	s.heap = int64(told["go_memstats_heap_inuse_bytes"])
	if s.files, s.pipes, err = openFiles(pids[0]); err != nil {
		return s, err
	}
	if s.cpu, err = pids.cpu(); err != nil {
		return s, err
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pids[0]))
	if err != nil {
		return s, err
	}
	if s.pss, err = rollup(b, "Pss:"); err != nil {
		return s, err
	}
	s.rss, err = rollup(b, "Rss:")
	return s, err
}

// openFiles counts those of a process that are no pipes, and pipes.
func openFiles(pid int) (files, pipes int64, err error) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	open, err := os.ReadDir(dir)
	for _, one := range open {
		if to, err := os.Readlink(filepath.Join(dir, one.Name())); err != nil {
			continue // it was closed just now
		} else if strings.HasPrefix(to, "pipe:") {
			pipes++
		} else {
			files++
		}
	}
	return files, pipes, err
}

// watch takes samples until the run is over, and prints a line for each.
func (k *soak) watch(living context.Context, w io.Writer) error {
	fmt.Fprintln(w, "  min  sessions  came in  commands        MB  wrong  CPU %  PSS MiB  RSS MiB  heap MiB  open files  pipes  goroutines")
	next := k.began
	busy := k.before.cpu
	for {
		next = next.Add(k.every)
		if deadline, ok := living.Deadline(); ok && next.Add(k.settle).After(deadline) || pause(living, time.Until(next)) != nil {
			return nil
		}
		s, err := k.pausedSample(living)
		if living.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if time.Since(k.began) > k.warmUp {
			k.samples = append(k.samples, s)
		}
		share := 100 * (s.cpu - busy) / k.every.Seconds()
		busy = s.cpu
		fmt.Fprintf(w, "%5.1f  %8d  %7d  %8d  %8.0f  %5d  %5.1f  %7.1f  %7.1f  %8.1f  %10d  %5d  %10d\n",
			time.Since(k.began).Minutes(), s.sessions, k.done.sessions.Load(), k.done.commands.Load(), float64(k.done.octets.Load())/1e6,
			k.done.wrong.Load(), share, mebi(s.pss), mebi(s.rss), mebi(s.heap), s.files, s.pipes, s.goroutines)
	}
}

func mebi(octets int64) float64 { return float64(octets) / (1 << 20) }

// pausedSample is a sample of a moment at which all sessions are there and nobody does anything.
func (k *soak) pausedSample(living context.Context) (sample, error) {
	k.turns.Lock()
	defer k.turns.Unlock()
	if err := pause(living, k.settle); err != nil {
		return sample{}, err
	}
	s, err := k.sample(living)
	if err == nil && s.sessions != int64(k.sessions) {
		k.fail("count the sessions", fmt.Errorf("%w: imapgate has %d of %d", errWrong, s.sessions, k.sessions))
	}
	return s, err
}

// quietTime is how long the first sessions of all wait in IDLE: longer than it takes imapgate to see that
// they do, and to make what it needs for such sessions.
const quietTime = 5 * time.Second

// quiet is a sample without sessions, once each kind of them has been there for a while.
func (k *soak) quiet(ctx context.Context) (sample, error) {
	if err := k.visit(ctx); err != nil {
		return sample{}, err
	}
	for waited := time.Duration(0); ; waited += time.Second {
		s, err := k.sample(ctx)
		if err != nil || s.sessions == 0 && waited >= k.settle {
			return s, err
		}
		if waited > patience {
			return s, fmt.Errorf("%d sessions do not end", s.sessions)
		}
		if err := pause(ctx, time.Second); err != nil {
			return s, err
		}
	}
}

// visit has one session at each door do a little and wait in IDLE.
func (k *soak) visit(ctx context.Context) error {
	var all []*client
	defer func() {
		for _, c := range all {
			c.close()
		}
	}()
	for _, d := range []door{k.gate.plain, k.gate.tls, k.gate.secure} {
		c, err := d.open(ctx, smallMailbox, smallBuffer)
		if err != nil {
			return err
		}
		all = append(all, c)
		f := fetch{c: c, m: smallMailbox, first: 1, last: 10, arrived: func(int) {}, stopped: func() bool { return false }}
		if err := f.run(); err != nil {
			return err
		}
		if err := beginIdle(nil, c); err != nil {
			return err
		}
	}
	return pause(ctx, quietTime)
}
