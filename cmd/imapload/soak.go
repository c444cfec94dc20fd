package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

func soakCommand() command {
	return command{
		name:    "soak",
		summary: "mixed load on imapgate for a long time, and whether it grows",
		about: "Starts the backend and imapgate on loopback ports and has a constant number of sessions do what clients do:\n" +
			"they come by TLS or without, select, fetch, append, send commands one by one and many at once, wait in IDLE and\n" +
			"are told of messages, and leave by LOGOUT or just vanish, also in the middle of a message; each that left is\n" +
			"followed by a new one. Every answer is checked. Now and then all pause for a moment and a line is printed with\n" +
			"what imapgate uses then. It fails when an answer was wrong, when the last quarter of these lines\n" +
			"stands above the first by more than -growth (without those of the warm-up), or when something is left once all\n" +
			"sessions have gone. Linux only.",
		example: "  imapload soak -imapgate bin/imapgate\n  imapload soak -duration 2m -sessions 3000 -rate 100",
		flags: func(fs *flag.FlagSet) action {
			k := &soak{}
			k.declare(fs)
			return k.run
		},
	}
}

// A soak is one run of the command, its flags first.
type soak struct {
	imapgate string
	duration time.Duration
	every    time.Duration
	settle   time.Duration
	warmUp   time.Duration
	sessions int
	rate     int
	growth   float64
	port     int

	log      io.Writer
	gate     *target
	backend  *target
	began    time.Time
	idleTime time.Duration
	pace     chan struct{} // one for each turn that may be taken
	// turns is held for reading by whoever takes a turn, and for writing while all pause.
	turns    sync.RWMutex
	news     newsboard
	done     counts
	messages []message // to append
	failures failures
	printed  atomic.Int64 // failures that were printed as they came
	before   sample       // without a session
	samples  []sample
}

// counts are what all sessions have done.
type counts struct{ sessions, commands, octets, wrong atomic.Int64 }

// printedFailures bounds what a long run prints of what fails.
const printedFailures = 50

// samplesWanted is how many samples the verdict wants: a short run takes them more often.
const samplesWanted = 12

func (k *soak) declare(fs *flag.FlagSet) {
	fs.StringVar(&k.imapgate, "imapgate", "imapgate", "the program that is tried")
	fs.DurationVar(&k.duration, "duration", time.Hour, "how long")
	fs.DurationVar(&k.every, "every", time.Minute, "how often a line is printed; a short run prints at least twelve")
	fs.DurationVar(&k.settle, "settle", 10*time.Second, "how long all pause before that, but for no more than half of the time")
	fs.DurationVar(&k.warmUp, "warm-up", 0, "how long the load runs before lines count for the verdict (default a fifth of -duration)")
	fs.IntVar(&k.sessions, "sessions", 1000, "sessions at a time")
	fs.IntVar(&k.rate, "rate", 150, "what all of them do in a second; 150 take about a quarter of a processor, backend and clients included")
	fs.Float64Var(&k.growth, "growth", 10, "by how many percent memory, open files and goroutines may grow from the first quarter to the last")
	fs.IntVar(&k.port, "port", 22100, "the first of the ports to listen on; below those that the system gives away")
}

func (k *soak) complete() error {
	if k.duration <= 0 || k.every <= 0 || k.settle < 0 || k.warmUp < 0 || k.sessions <= 0 || k.rate <= 0 || k.growth < 0 {
		return usageError("numbers and times must be above zero")
	}
	if k.warmUp == 0 {
		k.warmUp = k.duration / 5
	}
	k.every = min(k.every, k.duration/samplesWanted)
	k.settle = min(k.settle, k.every/2)
	k.pace = make(chan struct{})
	k.idleTime = idleTime(k.sessions, k.rate)
	k.messages = []message{newMessage(310), newMessage(5000), newMessage(100_000), newMessage(appendSize)}
	return nil
}

func (k *soak) run(ctx context.Context, stdout, stderr io.Writer) error {
	k.log = stderr
	if runtime.GOOS != "linux" {
		return errors.New("what imapgate uses is read from /proc, which only Linux has")
	}
	if err := k.complete(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "imapload-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := k.start(ctx, dir); err != nil {
		return err
	}
	defer k.backend.child.stop()
	defer k.gate.child.stop()
	if k.before, err = k.quiet(ctx); err != nil {
		return fmt.Errorf("before the load: %w", err)
	}
	if err := k.live(ctx, stdout); err != nil {
		return err
	}
	after, err := k.leftBehind(ctx)
	if err != nil {
		return err
	}
	return k.judge(stdout, after)
}

// start starts the backend and imapgate.
func (k *soak) start(ctx context.Context, dir string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	s, err := newStage(dir, self, "", k.sessions+100, k.port)
	if err != nil {
		return err
	}
	if err := s.raise(ctx); err != nil {
		return fmt.Errorf("start the backend: %w", err)
	}
	k.backend = s.backend
	all := peers(k.imapgate, self)
	t, err := s.start(ctx, all[slices.IndexFunc(all, func(p peer) bool { return p.name == "imapgate" })])
	if err != nil {
		k.backend.child.stop()
		return fmt.Errorf("start imapgate: %w", err)
	}
	k.gate = t
	return nil
}

// live has the sessions come, takes samples, and has them leave.
func (k *soak) live(ctx context.Context, stdout io.Writer) error {
	k.began = time.Now()
	living, end := context.WithTimeout(ctx, k.duration)
	defer end()
	var work sync.WaitGroup
	work.Go(func() { k.beat(living) })
	work.Go(func() { k.tellNews(living) })
	for range k.sessions {
		work.Go(func() { k.newActor().live(ctx, living) })
	}
	err := k.watch(living, stdout)
	if err != nil {
		end()
	}
	work.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// beat gives out turns. A turn that nobody is free to take is not made up for.
func (k *soak) beat(living context.Context) {
	beat := time.NewTicker(time.Second / time.Duration(k.rate))
	defer beat.Stop()
	for {
		select {
		case <-beat.C:
		case <-living.Done():
			return
		}
		select {
		case k.pace <- struct{}{}:
		case <-living.Done():
			return
		}
	}
}

// fail counts an answer that was wrong or did not come.
func (k *soak) fail(doing string, err error) {
	k.done.wrong.Add(1)
	k.failures.add(fmt.Errorf("%s: %w", doing, err))
	if k.printed.Add(1) <= printedFailures {
		fmt.Fprintf(k.log, "%6.0f s  %s: %v\n", time.Since(k.began).Seconds(), doing, err)
	}
}
