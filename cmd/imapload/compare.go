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
	"strings"
	"time"
)

func compareCommand() command {
	return command{
		name:    "compare",
		summary: "imapgate beside other proxies, as one table",
		about: "Starts the backend, imapgate, nginx, Dovecot, haproxy, imapproxy and a Go relay on loopback ports, measures them in\n" +
			"turn and prints one table in Markdown. What is not installed is left out. Each step runs against all servers,\n" +
			"one after the other, and the order is rotated by repetition; the table has the medians. Steps with waiting\n" +
			"sessions run once, each in front of a fresh process. Linux only; run it on a machine that does nothing else,\n" +
			"with two free open files for a session (ulimit -n).",
		example: "  imapload compare -quick -imapgate bin/imapgate\n" +
			"  imapload compare -steps noop,idle -peers imapgate,haproxy -sessions 5000",
		flags: func(fs *flag.FlagSet) action {
			c := &comparison{}
			c.declare(fs)
			return c.run
		},
	}
}

// A comparison is one run of the command, its flags first.
type comparison struct {
	imapgate    string
	quick       bool
	repetitions int
	window      time.Duration
	hold        time.Duration
	sessions    int
	port        int
	steps       string
	peers       string

	chosen  []step
	targets []*target
	leftOut []string // why peers are not there
	table   table
	log     io.Writer
	began   time.Time
}

// What a full and a quick run differ in; flags that are given stand above both.
var (
	fullRun  = comparison{repetitions: 3, window: 1500 * time.Millisecond, hold: 10 * time.Second, sessions: 9900}
	quickRun = comparison{repetitions: 1, window: 400 * time.Millisecond, hold: 3 * time.Second, sessions: 500}
)

func (c *comparison) declare(fs *flag.FlagSet) {
	fs.StringVar(&c.imapgate, "imapgate", "imapgate", "the program that is measured as imapgate")
	fs.BoolVar(&c.quick, "quick", false, "some five minutes in place of thirty, for a first look")
	fs.IntVar(&c.repetitions, "repetitions", 0, "how often each step with busy sessions runs (default 3, quick: 1)")
	fs.DurationVar(&c.window, "window", 0, "how long is measured each time (default 1.5s, quick: 0.4s)")
	fs.DurationVar(&c.hold, "hold", 0, "how long sessions wait before memory is read (default 10s, quick: 3s)")
	fs.IntVar(&c.sessions, "sessions", 0, "sessions that wait (default 9900, quick: 500)")
	fs.IntVar(&c.port, "port", 20100, "the first of the ports to listen on; below those that the system gives away")
	fs.StringVar(&c.steps, "steps", "", "only these steps, with commas between")
	fs.StringVar(&c.peers, "peers", "", "only these servers, with commas between: imapgate, nginx, Dovecot, haproxy, imapproxy, Go relay")
}

// complete sets what no flag has set, and checks what flags have.
func (c *comparison) complete() error {
	usual := fullRun
	if c.quick {
		usual = quickRun
	}
	if c.repetitions == 0 {
		c.repetitions = usual.repetitions
	}
	if c.window == 0 {
		c.window = usual.window
	}
	if c.hold == 0 {
		c.hold = usual.hold
	}
	if c.sessions == 0 {
		c.sessions = usual.sessions
	}
	if c.repetitions < 0 || c.window < 0 || c.hold < 0 || c.sessions < 0 {
		return usageError("numbers and times cannot be negative")
	}
	known := peers("", "")
	for _, name := range c.wanted() {
		if !slices.ContainsFunc(known, func(p peer) bool { return p.name == name }) {
			return usageError(fmt.Sprintf("there is no peer %q", name))
		}
	}
	return c.choose()
}

// wanted are the names of peers that are chosen; nil means all.
func (c *comparison) wanted() (names []string) {
	if c.peers == "" {
		return nil
	}
	for name := range strings.SplitSeq(c.peers, ",") {
		names = append(names, strings.TrimSpace(name))
	}
	return names
}

// choose finds the steps.
func (c *comparison) choose() error {
	if c.steps == "" {
		c.chosen = steps
		return nil
	}
	for name := range strings.SplitSeq(c.steps, ",") {
		s, ok := stepNamed(strings.TrimSpace(name))
		if !ok {
			return usageError(fmt.Sprintf("there is no step %q", name))
		}
		c.chosen = append(c.chosen, s)
	}
	return nil
}

func (c *comparison) run(ctx context.Context, stdout, stderr io.Writer) error {
	c.log, c.began = stderr, time.Now()
	if runtime.GOOS != "linux" {
		return errors.New("processor time and memory are read from /proc, which only Linux has")
	}
	if err := c.complete(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "imapload-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // servers read there as users of their own
		return err
	}
	defer c.stopAll()
	if err := c.startAll(ctx, dir); err != nil {
		return err
	}
	if err := c.measureAll(ctx); err != nil {
		return err
	}
	c.print(stdout)
	return nil
}

// startAll starts the backend and all peers that are there.
func (c *comparison) startAll(ctx context.Context, dir string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	var s *stage
	auth, err := serveAuth(ctx, func() int { return s.common.Backend })
	if err != nil {
		return err
	}
	if s, err = newStage(dir, self, auth, max(c.sessions, 300)+40, c.port); err != nil {
		return err
	}
	if err := s.raise(ctx); err != nil {
		return fmt.Errorf("start the backend: %w", err)
	}
	direct := s.backend
	defer func() { c.targets = append(c.targets, direct) }() // the last column
	wanted := c.wanted()
	for _, p := range peers(c.imapgate, self) {
		if wanted != nil && !slices.Contains(wanted, p.name) {
			continue
		}
		t, err := s.start(ctx, p)
		if t != nil && t.child != nil {
			c.targets = append(c.targets, t)
		}
		if err == nil {
			continue
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		fmt.Fprintf(c.log, "left out: %s: %v\n", p.name, err)
		c.leftOut = append(c.leftOut, fmt.Sprintf("%s: %v", p.name, err))
	}
	return nil
}

func (c *comparison) stopAll() {
	for _, t := range slices.Backward(c.targets) {
		if t.child == nil {
			continue
		}
		if err := t.child.stop(); err != nil {
			fmt.Fprintf(c.log, "%s: %v\n", t.name, err)
		}
	}
}

// measureAll runs all steps in turn.
func (c *comparison) measureAll(ctx context.Context) error {
	for repetition := range c.repetitions {
		for _, s := range c.chosen {
			if s.rest != nil && repetition > 0 {
				continue
			}
			for _, way := range s.connectionKinds() {
				if err := c.measureStep(ctx, s, way, repetition); err != nil {
					return err
				}
			}
			fmt.Fprintf(c.log, "%5.0f s  %s, repetition %d of %d\n", time.Since(c.began).Seconds(), s.name, repetition+1, c.repetitions)
		}
	}
	return nil
}

// measureStep runs one step against all targets, each time beginning with another.
func (c *comparison) measureStep(ctx context.Context, s step, way connection, repetition int) error {
	for i := range c.targets {
		t := c.targets[(i+repetition)%len(c.targets)]
		if way.of(t).address == "" {
			continue
		}
		r, err := c.measureOne(ctx, s, t, way)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil { // a server that fails spoils its own column only
			r = &result{}
			r.failures.add(err)
		}
		if why := r.failures.String(); why != "" {
			fmt.Fprintf(c.log, "! %s, %s, %s: %s\n", t.name, s.name, way.name, why)
		}
		c.table.add(s, way, t.name, r)
	}
	return nil
}

// measureOne runs one step against one target: a fresh process where sessions wait, or where the last
// one has ended by itself.
func (c *comparison) measureOne(ctx context.Context, s step, t *target, way connection) (*result, error) {
	if s.rest != nil || !t.runs() {
		if err := t.restart(ctx); err != nil {
			return nil, err
		}
	}
	return c.load(s, t, way).run(ctx, s)
}

// load makes the load of a step for one target.
func (c *comparison) load(s step, t *target, way connection) *load {
	backend := c.targets[len(c.targets)-1]
	l := &load{
		door: way.of(t), window: c.window, warmUp: c.window / 5, hold: c.hold, sessions: c.sessions,
		message: newMessage(appendSize), server: t.child.pids(), tell: tellBy(backend.plain),
	}
	if t == backend {
		l.server = direct{t.child.pids()}
	}
	if s.sessionLimit > 0 {
		l.sessions = min(l.sessions, s.sessionLimit)
	}
	if !l.door.tls && t.limit > 0 && t.limit < l.sessions {
		l.sessions, l.partial = t.limit, true
	}
	return l
}
