package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// A newsboard says which messages the sessions in IDLE were told of: numbers one behind the other.
type newsboard struct{ begun, ended atomic.Int64 }

// newsInterval is the mean time between two messages.
const newsInterval = 2 * time.Second

func (k *soak) tellNews(living context.Context) {
	k.news.begun.Store(int64(inbox.messages))
	k.news.ended.Store(int64(inbox.messages))
	for pause(living, time.Duration(rand.ExpFloat64()*float64(newsInterval))) == nil {
		if err := k.tellOnce(living); err != nil && living.Err() == nil {
			k.fail("the backend tells of a message", err)
		}
	}
}

func (k *soak) tellOnce(living context.Context) error {
	k.turns.RLock()
	defer k.turns.RUnlock()
	n := k.news.begun.Add(1)
	if err := k.backend.plain.tell(living, int(n)); err != nil {
		return err
	}
	k.news.ended.Store(n)
	return nil
}

// A listener is one session in IDLE. Of what was told from its beginning to its end it must hear all, in
// order and once.
type listener struct {
	c     *client
	begun int64 // the last message that may have been told too early for it
	last  int64 // that it heard of; 0 for none
}

// await waits in IDLE for a time. While it waits it takes no turn.
func (a *actor) await(living context.Context, long time.Duration) error {
	if err := beginIdle(nil, a.c); err != nil {
		return err
	}
	l := &listener{c: a.c, begun: a.k.news.begun.Load()}
	a.k.turns.RUnlock()
	err := l.listen(living, time.Now().Add(long))
	a.k.turns.RLock()
	if err != nil {
		return err
	}
	a.did(2, 0)
	a.c.extend(patience)
	return l.done(a.k.news.ended.Load())
}

// listenAgain is how often a session in IDLE looks whether the run is over.
const listenAgain = time.Second

// listen takes what comes until a moment.
func (l *listener) listen(living context.Context, until time.Time) error {
	for living.Err() == nil && time.Now().Before(until) {
		l.c.extend(min(listenAgain, time.Until(until)))
		if _, err := l.c.in.Peek(1); isTimeout(err) {
			continue
		} else if err != nil {
			return err
		}
		l.c.extend(patience)
		line, err := l.c.line()
		if err != nil {
			return err
		}
		if err := l.hear(line); err != nil {
			return err
		}
	}
	return nil
}

// done ends IDLE. It must have heard of what was told before that.
func (l *listener) done(ended int64) error {
	if err := l.c.send("DONE\r\n"); err != nil {
		return err
	}
	for {
		line, err := l.c.line()
		if err != nil {
			return err
		}
		if string(line) == "i1 OK done" {
			break
		}
		if err := l.hear(line); err != nil {
			return err
		}
	}
	if ended > l.begun && l.last < ended {
		return fmt.Errorf("%w: heard of message %d, %d was told", errWrong, l.last, ended)
	}
	return nil
}

// hear takes one line, which must be the news behind the last.
func (l *listener) hear(line []byte) error {
	var n int64
	if _, err := fmt.Sscanf(string(line), "* %d EXISTS", &n); err != nil {
		return fmt.Errorf("%w in IDLE: %.100q", errAnswer, line)
	}
	if l.last == 0 && n > l.begun+1 || l.last != 0 && n != l.last+1 {
		return fmt.Errorf("%w: told of message %d behind %d", errWrong, n, max(l.last, l.begun))
	}
	l.last = n
	return nil
}
