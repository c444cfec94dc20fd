package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"
)

// Behind the run imapgate has some time to give all back. New sessions come meanwhile, since what lies in
// pools is given back when memory is collected, and without work that is seldom.
const (
	giveBack  = 2 * time.Minute
	comers    = 50 // sessions between two looks
	lookAfter = 200 * time.Millisecond
)

// leftBehind is what imapgate uses when all sessions have gone: as much as before, or the last of many looks.
func (k *soak) leftBehind(ctx context.Context) (sample, error) {
	for late := time.Now().Add(giveBack); ; {
		s, err := k.sample(ctx)
		if err != nil || !s.above(k.before) || time.Now().After(late) {
			return s, err
		}
		for range comers {
			c, err := k.gate.tls.open(ctx, inbox, smallBuffer)
			if err != nil {
				return s, err
			}
			c.close()
		}
		if err := pause(ctx, lookAfter); err != nil {
			return s, err
		}
	}
}

// sparePipes is how many descriptors of pipes imapgate may keep for the next message that it has the kernel
// move.
const sparePipes = 8

// above reports whether there is more of what must go with the sessions.
func (s sample) above(before sample) bool {
	return s.pipes > before.pipes+sparePipes || s.sessions > before.sessions || s.files > before.files || s.goroutines > before.goroutines
}

// A trend is one row of the verdict.
type trend struct {
	name  string
	of    func(sample) float64
	bound bool // it may not grow by more than the flag says
}

var trends = []trend{
	{"PSS, MiB", func(s sample) float64 { return mebi(s.pss) }, true},
	{"RSS, MiB", func(s sample) float64 { return mebi(s.rss) }, false},
	{"heap, MiB", func(s sample) float64 { return mebi(s.heap) }, false},
	{"open files", func(s sample) float64 { return float64(s.files) }, true},
	{"pipes", func(s sample) float64 { return float64(s.pipes) }, false},
	{"goroutines", func(s sample) float64 { return float64(s.goroutines) }, true},
}

// judge prints the verdict, and returns an error that says what is wrong.
func (k *soak) judge(w io.Writer, after sample) error {
	var wrong []string
	if n := k.done.wrong.Load(); n > 0 {
		wrong = append(wrong, fmt.Sprintf("%d answers were wrong: %s", n, &k.failures))
	}
	fmt.Fprintf(w, "\n%d sessions at a time, %d in all, %d commands, %.1f GB, %v;\nmedian (and lowest) of the first and the last quarter behind a warm-up of %v:\n\n",
		k.sessions, k.done.sessions.Load(), k.done.commands.Load(), float64(k.done.octets.Load())/1e9, k.duration, k.warmUp)
	fmt.Fprint(w, "| imapgate | no session before | first quarter | last quarter | growth | no session behind |\n|---|---:|---:|---:|---:|---:|\n")
	for _, t := range trends {
		first, last := t.quarters(k.samples)
		typical, least := grown(first.median, last.median), grown(first.lowest, last.lowest)
		fmt.Fprintf(w, "| %s | %.5g | %v | %v | %+.1f %% (%+.1f %%) | %.5g |\n", t.name, t.of(k.before), first, last, typical, least, t.of(after))
		if growth := min(typical, least); !(growth <= k.growth) && t.bound { // nor may it be unknown
			wrong = append(wrong, fmt.Sprintf("%s grew by %.1f %%", t.name, growth))
		}
	}
	if after.above(k.before) {
		wrong = append(wrong, fmt.Sprintf("%d sessions, %d open files, %d pipes and %d goroutines are left where there were %d, %d, %d and %d before",
			after.sessions, after.files, after.pipes, after.goroutines, k.before.sessions, k.before.files, k.before.pipes, k.before.goroutines))
	}
	if wrong != nil {
		return errors.New(strings.Join(wrong, "; "))
	}
	fmt.Fprintln(w, "\nNothing grew, nothing was left, and every answer was right.")
	return nil
}

// A quarter is what the samples of one quarter are like. Memory goes up and down between two collections, so
// its median changes by chance in a short run. What is leaked is there in the lowest sample too.
type quarter struct{ median, lowest float64 }

func (q quarter) String() string { return fmt.Sprintf("%.5g (%.5g)", q.median, q.lowest) }

// grown is by how many percent.
func grown(from, to float64) float64 {
	if from == to && from == 0 {
		return 0
	}
	return 100 * (to/from - 1)
}

// quarters are the first and the last of the samples.
func (t trend) quarters(all []sample) (first, last quarter) {
	if len(all) == 0 {
		return quarter{math.NaN(), math.NaN()}, quarter{math.NaN(), math.NaN()}
	}
	values := make([]float64, len(all))
	for i, s := range all {
		values[i] = t.of(s)
	}
	n := max(1, len(all)/4)
	return quarterOf(values[:n]), quarterOf(values[len(values)-n:])
}

func quarterOf(values []float64) quarter { return quarter{medianOf(values), slices.Min(values)} }
