package proxy

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/imapgate/imapgate/proxy/translate"
)

// drainDelay is how long a server that is to be drained still accepts: /readyz says 503 from the first
// moment, so that a balancer in front has the time to send new clients elsewhere.
const drainDelay = 500 * time.Millisecond

// drainPace is the time between two sessions that are told BYE: clients that all come back at once would
// be a storm.
const drainPace = time.Millisecond

// A Server accepts clients, logs them in at their backends and relays.
type Server struct {
	opts     atomic.Pointer[Options] // see Reload
	metrics  *metrics
	registry registry
	places   *places
	lobby    lobby
	lot      lot // of sessions that are silent

	stacks    stacks          // of translations, that sessions share
	marks     translate.Marks // that are to be set again
	foresight foresight
	spares    spares
	shelf     shelf
	reloading sync.Mutex
	addresses tally[netip.Prefix] // of clients, see Limits.PerIP
	users     tally[string]       // that are logged in, by normalised name
	farewells farewells
	packed    atomic.Int64 // sessions with compression, see Limits.Compressed

	draining atomic.Bool        // /readyz says so
	closed   bool               // nothing is accepted any more; under mu
	stop     context.CancelFunc // ends listeners and phases before the relay
	stopping context.Context
	cut      context.CancelFunc // ends everything at once
	cutting  context.Context

	mu    sync.Mutex // held while a connection is added, so that none is added behind Wait
	conns sync.WaitGroup
}

// NewServer checks the options and returns a Server that serves nothing yet. Servers adapt the process's GOGC to
// what is in use, unless the environment sets it.
func NewServer(opts Options) (*Server, error) {
	if err := opts.check(); err != nil {
		return nil, err
	}
	opts = opts.withDefaults()
	s := &Server{
		metrics: newMetrics(opts.Registry, opts.Version),
		places:  newPlaces(opts.Limits.Connections),
	}
	s.opts.Store(&opts)
	adaptCollector()
	countBytes(opts.Registry, &s.registry)
	s.stopping, s.stop = context.WithCancel(context.Background())
	s.cutting, s.cut = context.WithCancel(context.Background())
	return s, nil
}

// Serve accepts clients until the server shuts down or ctx ends, and then returns nil. It closes the
// listener.
func (s *Server) Serve(ctx context.Context, ln *Listener) error {
	if err := ln.check(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.stopping, cancel)()
	defer context.AfterFunc(ctx, func() { ln.Close() })()
	defer ln.Close()
	for pause := time.Duration(0); ; {
		if !s.places.wait(ctx) { // over the limit, new connections wait in the backlog
			return nil
		}
		nc, err := ln.Accept()
		if err == nil {
			pause = 0
			s.start(nc, ln)
			continue
		}
		if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
			return nil
		}
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		s.options().Log.Error("cannot accept a connection; trying again", "listener", ln.Name, "error", err, "in", pause)
		if !sleep(ctx, pause) {
			return nil
		}
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (s *Server) start(nc net.Conn, ln *Listener) {
	s.metrics.connections.WithLabelValues(ln.Name).Inc()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		nc.Close()
		return
	}
	s.places.take()
	s.conns.Add(1)
	go s.serveConn(nc, ln)
}

// Shutdown stops accepting, tells every session BYE as soon as its commands are answered, and waits for
// all to end. When ctx ends first, what is left is cut, and the error is ctx's.
func (s *Server) Shutdown(ctx context.Context) error {
	s.draining.Store(true)
	if s.places.inUse() > 0 {
		sleep(ctx, drainDelay)
	}
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.stop()
	s.lobby.stop()
	s.spares.close()
	s.shelf.close()
	ended := make(chan struct{})
	go s.wait(ended)
	for _, one := range s.registry.all() {
		one.raise(sigDrain)
		if !sleep(ctx, drainPace) {
			break
		}
	}
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
	}
	s.cut()
	s.lobby.end()
	s.kickAll()
	<-ended
	return ctx.Err()
}

func (s *Server) wait(ended chan<- struct{}) {
	s.conns.Wait()
	s.lot.close()
	close(ended)
}

// kickAll cuts every session.
func (s *Server) kickAll() {
	for _, one := range s.registry.all() {
		one.raise(sigKick)
	}
}
