package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// A step is one kind of load. In a busy step a number of connections do the same again and again for a
// while; in an idle one a number of sessions wait.
type step struct {
	name        string
	summary     string
	connections int // of a busy step; of an idle one load.sessions
	start       func(context.Context, *load) (job, error)
	rest        func(*load, *client) error // brings a session to rest
	figures     []figure

	connects     []connection // in which ways; nil for plain and TLS
	sessionLimit int          // the most sessions that wait, where they are expensive to bring about; 0 for any number
}

// A job is the work of one connection.
type job struct {
	turn  func(*tally) error // is repeated
	close func()
}

// A load is one step against one server.
type load struct {
	door     door
	warmUp   time.Duration // before the window
	window   time.Duration // that is measured
	sessions int           // that wait
	hold     time.Duration // that they wait before memory is read
	server   meter
	tell     func(context.Context) error // has the backend tell all sessions in IDLE of a new message; nil: it is not asked to
	message  message                     // that is appended
	partial  bool                        // fewer sessions wait than elsewhere, so that times for all cannot be compared
}

// A result is what came of a load.
type result struct {
	units    int64           // logins, commands, octets or sessions
	elapsed  time.Duration   // the window, or what opening the sessions took
	cpu      float64         // seconds that the server has used, in the window or for opening the sessions
	typical  time.Duration   // what one turn takes: the median
	memory   int64           // octets that the sessions have added
	files    int64           // open files that they have
	partial  bool            // as in the load
	toldCPU  float64         // seconds that the server has used for telling
	told     []time.Duration // from the message to each client that heard of it, the fastest first
	failures failures
}

// A figure is one number of a result: one row of the table.
type figure struct {
	label string
	of    func(*result) float64
	known func(*result) bool
}

func perUnits(label string, units float64) figure {
	return figure{
		label: label,
		of:    func(r *result) float64 { return r.cpu / float64(r.units) * units },
		known: func(r *result) bool { return r.units > 0 },
	}
}

// all reports whether there were as many sessions as elsewhere.
func all(r *result) bool { return r.units > 0 && !r.partial }

func anyUnits(r *result) bool { return r.units > 0 }

var (
	cpuPerLogins   = perUnits("CPU s / 1000 logins", 1e3)
	cpuPerPages    = perUnits("CPU s / 1000 pages", 1e3)
	cpuPerCommands = perUnits("CPU s / 1M commands", 1e6)
	cpuPerGB       = perUnits("CPU s / GB", 1e9)
	milliseconds   = figure{"ms, median", func(r *result) float64 { return float64(r.typical) / 1e6 }, anyUnits}
	kibPerSession  = figure{
		"KiB / session",
		func(r *result) float64 { return float64(r.memory) / 1024 / float64(r.units) },
		func(r *result) bool { return r.units > 0 && r.memory > 0 },
	}
	filesPerSession = figure{
		"open files / session",
		func(r *result) float64 { return float64(r.files) / float64(r.units) },
		func(r *result) bool { return r.units > 0 && r.files > 0 },
	}
	cpuPerTold = figure{
		"CPU s / 1000 sessions told",
		func(r *result) float64 { return r.toldCPU / float64(len(r.told)) * 1e3 }, func(r *result) bool { return len(r.told) > 0 },
	}
	cpuPerSessions = perUnits("CPU s / 1000 sessions opened", 1e3)
	openSeconds    = figure{"s to open all", func(r *result) float64 { return r.elapsed.Seconds() }, all}
	toldTypically  = toldFigure("ms until told, median", 0.5)
	toldMostly     = toldFigure("ms until told, 99th percentile", 0.99)
	toldAll        = toldFigure("ms until the last is told", 1)
)

// toldFigure is when that part of all clients had heard of the message.
func toldFigure(label string, part float64) figure {
	return figure{
		label: label,
		of:    func(r *result) float64 { return float64(r.told[int(part*float64(len(r.told)-1))]) / 1e6 },
		known: func(r *result) bool { return len(r.told) > 0 && all(r) },
	}
}

// pipelined is how many commands are sent at once in the step of that name.
const pipelined = 50

// Buffers of clients.
const (
	smallBuffer = 4 << 10
	bulkBuffer  = 256 << 10
)

// steps are all, in the order of the table.
var steps = []step{
	{name: "login", summary: "connect, LOGIN, LOGOUT, 64 at a time", connections: 64, start: startLogin, figures: []figure{cpuPerLogins}},
	{name: "login-alone", summary: "one client alone, from connect to the answer to LOGIN", connections: 1, start: startLogin, figures: []figure{milliseconds}},
	{name: "webmail", summary: "pages: connect, LOGIN, LIST, SELECT, FETCH of 20 ENVELOPEs, LOGOUT; 4 users at a time", connections: 4, start: startWebmail, figures: []figure{cpuPerPages}, connects: keepingWays},
	{name: "webmail-alone", summary: "pages of one user alone", connections: 1, start: startWebmail, figures: []figure{milliseconds}, connects: keepingWays},
	{name: "noop", summary: "NOOP, one at a time, 16 sessions", connections: 16, start: startNoop(1), figures: []figure{cpuPerCommands}},
	{name: "noop-pipelined", summary: "NOOP, 50 at once, 8 sessions", connections: 8, start: startNoop(pipelined), figures: []figure{cpuPerCommands}},
	{name: "fetch-big", summary: "FETCH of messages of 5 MB, 4 sessions", connections: 4, start: startFetch(bigMailbox), figures: []figure{cpuPerGB}, connects: allWays},
	{name: "fetch-small", summary: "FETCH of messages of 4 KB, 4 sessions", connections: 4, start: startFetch(smallMailbox), figures: []figure{cpuPerGB}},
	{name: "fetch-dense", summary: "FETCH of FLAGS, UID and ENVELOPE of 100,000 messages, 4 sessions", connections: 4, start: startFetch(longMailbox), figures: []figure{cpuPerGB}},
	{name: "append", summary: "APPEND of 1 MB, 4 sessions", connections: 4, start: startAppend, figures: []figure{cpuPerGB}},
	{name: "idle", summary: "sessions in IDLE", rest: beginIdle, figures: []figure{kibPerSession, filesPerSession}, connects: allWays},
	{name: "idle-append", summary: "sessions in IDLE that have appended 1 MB each", rest: appendAndIdle, figures: []figure{kibPerSession}, sessionLimit: 1000},
	{
		name: "crowd", summary: "sessions that all come at once, wait in IDLE and hear of one message", rest: beginIdle, connects: []connection{tlsConnection},
		figures: []figure{openSeconds, cpuPerSessions, kibPerSession, filesPerSession, cpuPerTold, toldTypically, toldMostly, toldAll},
	},
}

func stepNamed(name string) (step, bool) {
	for _, s := range steps {
		if s.name == name {
			return s, true
		}
	}
	return step{}, false
}

// connectionKinds are the ways in which clients connect in this step.
func (s step) connectionKinds() []connection {
	if s.connects != nil {
		return s.connects
	}
	return []connection{plainConnection, tlsConnection}
}

func startLogin(ctx context.Context, l *load) (job, error) {
	turn := func(t *tally) error {
		begin := time.Now()
		c, err := l.door.dial(ctx, smallBuffer)
		if err != nil {
			return err
		}
		defer c.close()
		defer context.AfterFunc(ctx, c.close)()
		if err := c.login(l.door.user); err != nil {
			return err
		}
		t.took(time.Since(begin))
		if err := c.do("l9", "l9 LOGOUT\r\n"); err != nil {
			return fmt.Errorf("logout: %w", err)
		}
		t.units.Add(1)
		return nil
	}
	return job{turn: turn, close: func() {}}, nil
}

// startNoop sends so many commands at once, and waits for all answers.
func startNoop(depth int) func(context.Context, *load) (job, error) {
	var request strings.Builder
	tags := make([]string, depth)
	for i := range tags {
		tags[i] = fmt.Sprintf("n%d", i)
		request.WriteString(tags[i] + " NOOP\r\n")
	}
	return func(ctx context.Context, l *load) (job, error) {
		return l.session(ctx, inbox, smallBuffer, func(c *client, t *tally) error {
			begin := time.Now()
			if err := c.send(request.String()); err != nil {
				return err
			}
			for _, tag := range tags {
				if err := c.wait(tag); err != nil {
					return err
				}
			}
			t.took(time.Since(begin))
			t.units.Add(int64(depth))
			return nil
		})
	}
}

func startFetch(m *mailbox) func(context.Context, *load) (job, error) {
	return func(ctx context.Context, l *load) (job, error) {
		m.checksums() // before anything is measured
		return l.session(ctx, m, bulkBuffer, func(c *client, t *tally) error {
			f := fetch{c: c, m: m, stopped: t.over, arrived: func(n int) { t.units.Add(int64(n)) }}
			return f.run()
		})
	}
}

func startAppend(ctx context.Context, l *load) (job, error) {
	return l.session(ctx, inbox, smallBuffer, func(c *client, t *tally) error {
		begin := time.Now()
		if err := c.upload(l.message); err != nil {
			return err
		}
		t.took(time.Since(begin))
		t.units.Add(int64(l.message.size))
		return nil
	})
}

// session is a job of one session that lasts.
func (l *load) session(ctx context.Context, m *mailbox, buffer int, turn func(*client, *tally) error) (job, error) {
	c, err := l.door.open(ctx, m, buffer)
	if err != nil {
		return job{}, err
	}
	stop := context.AfterFunc(ctx, c.close)
	return job{
		turn: func(t *tally) error {
			c.extend(patience)
			return turn(c, t)
		},
		close: func() { stop(); c.close() },
	}, nil
}
