package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// pageCommands are what a webmail says between its login and its LOGOUT to show a list of messages. Every line of
// the answers begins with a star.
var pageCommands = []struct{ tag, line string }{
	{"w2", `w2 LIST "" "*"` + "\r\n"},
	{"w3", "w3 SELECT long\r\n"},
	{"w4", "w4 FETCH 1:20 (FLAGS UID ENVELOPE)\r\n"},
	{"w5", "w5 LOGOUT\r\n"},
}

// readers counts those who read mail: each is a user, who comes again and again.
var readers atomic.Uint32

// startWebmail shows pages to one user, each on a connection of its own.
func startWebmail(ctx context.Context, l *load) (job, error) {
	login := fmt.Sprintf("w1 LOGIN %s%d pass\r\n", l.door.user, readers.Add(1)%1_000_000)
	turn := func(t *tally) error {
		begin := time.Now()
		c, err := l.door.dial(ctx, smallBuffer)
		if err != nil {
			return err
		}
		defer c.close()
		defer context.AfterFunc(ctx, c.close)()
		if err := c.do("w1", login); err != nil {
			return fmt.Errorf("login: %w", err)
		}
		for _, cmd := range pageCommands {
			if err := c.do(cmd.tag, cmd.line); err != nil {
				return err
			}
		}
		t.took(time.Since(begin))
		t.units.Add(1)
		return nil
	}
	return job{turn: turn, close: func() {}}, nil
}
