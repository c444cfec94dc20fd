package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"
)

// acceptPause is how long accepting waits when there are too many open files.
const acceptPause = 10 * time.Millisecond

// A backend is an IMAP server that is never the bottleneck: it keeps no state but the mailbox that a
// session has selected, sends what was made beforehand, and writes once for all commands that came
// together. It takes any password. It serves measurements and nothing else.
type backend struct {
	mu     sync.Mutex
	idling map[*session]bool // to be told of news
}

func newBackend() *backend { return &backend{idling: make(map[*session]bool)} }

// serve accepts until ctx ends; then all connections are closed and serve returns.
func (b *backend) serve(ctx context.Context, ln net.Listener, conf *tls.Config) error {
	return acceptAll(ctx, ln, func(nc net.Conn) {
		if conf != nil {
			nc = tls.Server(nc, conf)
		}
		s := &session{b: b, nc: nc, in: bufio.NewReaderSize(nc, lineLimit), mailbox: inbox}
		s.run()
	})
}

// acceptAll serves each connection in a goroutine of its own, and waits for all of them when ctx has
// ended, which closes them.
func acceptAll(ctx context.Context, ln net.Listener, serve func(net.Conn)) error {
	var conns sync.WaitGroup
	defer conns.Wait()
	defer context.AfterFunc(ctx, func() { ln.Close() })()
	for {
		nc, err := ln.Accept()
		if ctx.Err() != nil {
			if err == nil {
				nc.Close()
			}
			return nil
		}
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		if err != nil { // too many open files, or a client that has gone already
			if pause(ctx, acceptPause) != nil {
				return nil
			}
			continue
		}
		conns.Go(func() {
			defer nc.Close()
			defer context.AfterFunc(ctx, func() { nc.Close() })()
			serve(nc)
		})
	}
}

// tellAll sends one line to every session in IDLE, and returns how many these were.
func (b *backend) tellAll(line string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	for s := range b.idling {
		s.nc.Write([]byte(line)) // a client that has gone is noticed by its own session
	}
	return len(b.idling)
}

// beginIdle lets a session's client go on to wait. From the moment when it knows, it is told of everything;
// until endIdle nobody else writes to it.
func (b *backend) beginIdle(s *session) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	s.sayf("+ idling")
	if err := s.flush(); err != nil {
		return err
	}
	b.idling[s] = true
	return nil
}

func (b *backend) endIdle(s *session) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.idling, s)
}
