package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"time"
)

// An act is one thing that sessions of a soak do.
type act struct {
	name   string
	weight int // how often, beside the others
	do     func(living context.Context, a *actor) error
	leaves bool // the session is over behind it
}

const idleWeight = 20

// acts are all. Their answers are checked as those of the steps.
var acts = []act{
	{name: "NOOP", weight: 25, do: noop},
	{name: "50 NOOP at once", weight: 8, do: manyNoops},
	{name: "different commands at once", weight: 8, do: mixture},
	{name: "fetch of small messages", weight: 12, do: fetchSome(smallMailbox, 50)},
	{name: "fetch of a big message", weight: 2, do: fetchSome(bigMailbox, 1)},
	{name: "fetch of flags and envelopes", weight: 6, do: fetchSome(longMailbox, 1000)},
	{name: "APPEND", weight: 6, do: appendOne},
	{name: "unknown command", weight: 2, do: nonsense},
	{name: "IDLE", weight: idleWeight, do: waitLong},
	{name: "LOGOUT", weight: 6, do: logOut, leaves: true},
	{name: "vanishing", weight: 3, do: vanish, leaves: true},
	{name: "vanishing in IDLE", weight: 2, do: vanishIdle, leaves: true},
	{name: "vanishing in a FETCH", weight: 2, do: vanishFetching, leaves: true},
	{name: "vanishing in an APPEND", weight: 2, do: vanishAppending, leaves: true},
	{name: "a reset", weight: 2, do: reset, leaves: true},
}

func weights(all []act) (sum int) {
	for _, one := range all {
		sum += one.weight
	}
	return sum
}

// pick chooses by weight.
func pick(all []act) act {
	at := rand.IntN(weights(all))
	for _, one := range all {
		if at -= one.weight; at < 0 {
			return one
		}
	}
	return act{}
}

func noop(_ context.Context, a *actor) error {
	a.did(1, 0)
	return a.c.do("n1", "n1 NOOP\r\n")
}

func manyNoops(_ context.Context, a *actor) error {
	a.did(pipelined, 0)
	if err := a.c.send(strings.Repeat("n1 NOOP\r\n", pipelined)); err != nil {
		return err
	}
	for range pipelined {
		if err := a.c.wait("n1"); err != nil {
			return err
		}
	}
	return nil
}

// mixture sends commands with and without literals in one piece, and expects their answers in order.
func mixture(_ context.Context, a *actor) error {
	if err := a.enter(smallMailbox); err != nil {
		return err
	}
	m := a.k.messages[rand.IntN(2)]
	f := a.some(20)
	request := append([]byte("n1 NOOP\r\n"+f.command()), fmt.Sprintf("a1 APPEND INBOX {%d+}\r\n", m.size)...)
	request = append(append(request, m.octets...), "n2 NOOP\r\n"...)
	if _, err := a.c.nc.Write(request); err != nil {
		return err
	}
	a.did(4, m.size)
	if err := a.c.wait("n1"); err != nil {
		return err
	}
	if err := f.take(); err != nil {
		return err
	}
	if err := a.c.uploaded(m); err != nil {
		return err
	}
	return a.c.wait("n2")
}

// some is a fetch of up to that many messages, somewhere in the mailbox.
func (a *actor) some(most int) *fetch {
	n := 1 + rand.IntN(most)
	first := 1 + rand.IntN(a.m.messages-n+1)
	return &fetch{
		c: a.c, m: a.m, first: first, last: first + n - 1,
		arrived: func(octets int) { a.did(0, octets) }, stopped: func() bool { return false },
	}
}

func fetchSome(m *mailbox, most int) func(context.Context, *actor) error {
	return func(_ context.Context, a *actor) error {
		if err := a.enter(m); err != nil {
			return err
		}
		a.did(1, 0)
		return a.some(most).run()
	}
}

func appendOne(_ context.Context, a *actor) error {
	m := a.k.messages[rand.IntN(len(a.k.messages))]
	a.did(1, m.size)
	return a.c.upload(m)
}

// nonsense is refused.
func nonsense(_ context.Context, a *actor) error {
	a.did(1, 0)
	if err := a.c.send("z1 XYZZY\r\n"); err != nil {
		return err
	}
	line, err := a.c.line()
	if err == nil && !bytes.HasPrefix(line, []byte("z1 BAD")) {
		err = fmt.Errorf("%w: %.100q", errAnswer, line)
	}
	return err
}

func waitLong(living context.Context, a *actor) error {
	return a.await(living, time.Duration(rand.ExpFloat64()*float64(a.k.idleTime)))
}

// idleTime is how long an IDLE must last in the mean, so that half of all sessions are in IDLE.
func idleTime(sessions, rate int) time.Duration {
	share := float64(idleWeight) / float64(weights(acts))
	return time.Duration(float64(sessions) / (2 * share * float64(rate)) * float64(time.Second))
}

func logOut(_ context.Context, a *actor) error {
	a.c.extend(patience)
	a.did(1, 0)
	if err := a.c.do("l9", "l9 LOGOUT\r\n"); err != nil {
		return err
	}
	if _, err := a.c.line(); !errors.Is(err, errClosed) {
		return fmt.Errorf("%w behind LOGOUT: %v", errAnswer, err)
	}
	return nil
}

func vanish(context.Context, *actor) error { return nil }

func vanishIdle(_ context.Context, a *actor) error { return beginIdle(nil, a.c) }

// vanishFetching leaves in the middle of a big message.
func vanishFetching(_ context.Context, a *actor) error {
	if err := a.enter(bigMailbox); err != nil {
		return err
	}
	if err := a.c.send(a.some(3).command()); err != nil {
		return err
	}
	_, err := io.CopyN(io.Discard, a.c.in, 1+rand.Int64N(300_000))
	return err
}

// vanishAppending leaves in the middle of a message.
func vanishAppending(_ context.Context, a *actor) error {
	m := a.k.messages[len(a.k.messages)-1]
	if err := a.c.send(fmt.Sprintf("a1 APPEND INBOX {%d}\r\n", m.size)); err != nil {
		return err
	}
	if err := a.c.proceed(); err != nil {
		return err
	}
	_, err := a.c.nc.Write(m.octets[:rand.IntN(m.size)])
	return err
}

// reset leaves without a farewell of TCP, in the middle of a command.
func reset(_ context.Context, a *actor) error {
	if err := a.c.send("n1 NO"); err != nil {
		return err
	}
	if t, ok := a.c.tcp.(*net.TCPConn); ok {
		return t.SetLinger(0)
	}
	return nil
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}
