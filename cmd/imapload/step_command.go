package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// appendSize is the size of messages that are appended.
const appendSize = 1 << 20

// stepCommand runs one step against one server.
func stepCommand(s step) command {
	return command{
		name:    s.name,
		summary: s.summary,
		about: "Runs one step against a server behind which is the backend of \"imapload backend\": " + s.summary + ".\n" +
			"Prints what was done and what the processes of -pid have used for it.",
		example: fmt.Sprintf("  imapload backend &\n  imapload %s -address 127.0.0.1:20000 -pid $!", s.name),
		flags: func(fs *flag.FlagSet) action {
			o := stepOptions{step: s}
			o.declare(fs)
			return o.run
		},
	}
}

// stepOptions are the flags of a step.
type stepOptions struct {
	step step
	load load
	pids string
	news string
}

func (o *stepOptions) declare(fs *flag.FlagSet) {
	l := &o.load
	fs.StringVar(&l.door.address, "address", "", "the server, as host:port")
	fs.BoolVar(&l.door.tls, "tls", false, "the connection begins with TLS; any certificate will do")
	fs.StringVar(&l.door.user, "user", "user", "what user names begin with; a number follows, and the password is pass")
	fs.StringVar(&o.pids, "pid", "", "process ids of the server, with commas; their children are counted too")
	if o.step.rest != nil {
		fs.IntVar(&l.sessions, "sessions", 1000, "sessions that are opened")
		fs.DurationVar(&l.hold, "hold", 3*time.Second, "how long they wait before memory is read")
		fs.StringVar(&o.news, "backend", "", "the backend's plain address, to tell all sessions of a message; empty: none is told")
		return
	}
	fs.DurationVar(&l.window, "window", 3*time.Second, "how long is measured")
	fs.DurationVar(&l.warmUp, "warm-up", 300*time.Millisecond, "how long the load runs before that")
}

func (o *stepOptions) run(ctx context.Context, stdout, _ io.Writer) error {
	if o.load.door.address == "" {
		return usageError("-address is missing")
	}
	roots, err := parsePIDs(o.pids)
	if err != nil {
		return err
	}
	o.load.server = roots
	o.load.message = newMessage(appendSize)
	if o.news != "" {
		o.load.tell = tellBy(door{address: o.news, user: "user"})
	}
	r, err := o.load.run(ctx, o.step)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%s: %d units in %v\n", o.step.name, r.units, r.elapsed.Round(time.Millisecond))
	for _, f := range o.step.figures {
		if f.known(r) {
			fmt.Fprintf(stdout, "%s: %s\n", f.label, number3(f.of(r)))
		}
	}
	if why := r.failures.String(); why != "" {
		return fmt.Errorf("failures: %s", why)
	}
	return nil
}

// parsePIDs reads process ids with commas between.
func parsePIDs(s string) (p processes, err error) {
	for field := range strings.SplitSeq(s, ",") {
		if s == "" {
			break
		}
		pid, err := strconv.Atoi(field)
		if err != nil || pid <= 0 {
			return nil, usageError(fmt.Sprintf("-pid: %q is no process id", field))
		}
		p = append(p, pid)
	}
	return p, nil
}

// number3 writes a number with about three digits that mean something.
func number3(v float64) string {
	switch {
	case v >= 100 || v <= -100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10 || v <= -10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case v >= 1 || v <= -1:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return strconv.FormatFloat(v, 'f', 3, 64)
}
