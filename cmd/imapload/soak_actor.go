package main

import (
	"context"
	"math/rand/v2"
	"time"
)

// An actor is one of the sessions of a soak, and what follows it when it has left.
type actor struct {
	k       *soak
	c       *client // nil when it has left
	m       *mailbox
	release func() bool // no longer closes c when the run is broken off
}

func (k *soak) newActor() *actor { return &actor{k: k} }

// live takes turns until the run's time is over, and then leaves in good order. When ctx ends it just goes.
func (a *actor) live(ctx, living context.Context) {
	for a.act(ctx, living, pick(acts)) {
		select {
		case <-a.k.pace:
		case <-living.Done():
		}
	}
	if a.c == nil {
		return
	}
	if err := logOut(living, a); err != nil && ctx.Err() == nil {
		a.k.fail("leave at the end", err)
	}
	a.leave()
}

// act takes one turn, and reports whether there will be another. Whoever has no session opens one, also
// behind an act that ends it: so all are there whenever nobody takes a turn.
func (a *actor) act(ctx, living context.Context, one act) bool {
	a.k.turns.RLock()
	defer a.k.turns.RUnlock()
	if living.Err() != nil {
		return false
	}
	if a.c != nil {
		a.c.extend(patience)
		err := one.do(living, a)
		if err != nil && ctx.Err() == nil {
			a.k.fail(one.name, err)
		}
		if err != nil || one.leaves {
			a.leave()
		}
	}
	for a.c == nil && living.Err() == nil {
		if err := a.come(ctx); err != nil {
			if ctx.Err() == nil {
				a.k.fail("log in", err)
			}
			pause(living, time.Second)
		}
	}
	return living.Err() == nil
}

// come opens a session at one of the doors.
func (a *actor) come(ctx context.Context) error {
	t := a.k.gate
	doors := []door{t.plain, t.tls, t.tls, t.secure}
	d := doors[rand.IntN(len(doors))]
	c, err := d.open(ctx, inbox, smallBuffer)
	if err != nil {
		return err
	}
	a.c, a.m = c, inbox
	a.release = context.AfterFunc(ctx, c.close)
	a.k.done.sessions.Add(1)
	a.k.done.commands.Add(2)
	return nil
}

// leave closes the connection.
func (a *actor) leave() {
	a.release()
	a.c.close()
	a.c = nil
}

// enter selects a mailbox where it is not selected.
func (a *actor) enter(m *mailbox) error {
	if a.m == m {
		return nil
	}
	a.m = m
	a.did(1, 0)
	return a.c.do("s1", "s1 SELECT "+m.name+"\r\n")
}

// did counts.
func (a *actor) did(commands, octets int) {
	a.k.done.commands.Add(int64(commands))
	a.k.done.octets.Add(int64(octets))
}
