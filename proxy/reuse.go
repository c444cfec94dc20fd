package proxy

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/imapgate/imapgate/proxy/auth"
	"github.com/imapgate/imapgate/proxy/backend"
	"github.com/imapgate/imapgate/proxy/translate"
	"github.com/imapgate/imapgate/proxy/wire"
)

// signOfLife is how long a connection that has waited has for its answer to NOOP, before a new one is made.
const signOfLife = 2 * time.Second

// A reuse is what a session knows of whether its backend connection may serve another one: see spares. Nil is
// never; its methods that note something may be called all the same.
type reuse struct {
	key   spareKey
	since time.Time // when the connection was logged in; never renewed
	again bool      // it has served another session before

	// traced says that something was done which UNSELECT does not undo, or that could not be judged.
	traced atomic.Bool
	inside bool // down: the backend has a mailbox selected

	mu   sync.Mutex
	gone bool // the connection is the session's no more
}

// privileged reports a user name by which somebody else than the user may log in: Dovecot's user*master.
func privileged(user string) bool { return strings.Contains(user, "*") }

// resume logs a client in on a connection that its user has left; false where there is none that lives.
func (s *session) resume(ctx context.Context, cfg *backend.Config, creds auth.Credentials) bool {
	s.reuse = nil
	if !cfg.Reuse.On() || privileged(creds.User) || s.ttl == 1 { // that must not pass another proxy
		return false
	}
	s.reuse = &reuse{key: s.srv.spares.key(cfg, creds), since: time.Now()}
	sp := s.srv.spares.take(s.reuse.key)
	if sp == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, signOfLife)
	defer cancel()
	b := sp.b.Renew()
	err := b.Alive(ctx)
	if err == nil {
		err = s.admitted(ctx, b)
	}
	if err != nil {
		b.Net.Abort()
		sp.m.count(dead)
		s.srv.spares.mistrust(cfg, sp.user) // they went the same way
		return false
	}
	sp.m.count(reused)
	s.b, s.reuse.since, s.reuse.again = b, sp.since, true
	return true
}

// makeRoom ends what waits for a user whom the backend does not let in for a limit of his: it counts there.
func (s *session) makeRoom(cfg *backend.Config, err error) {
	if e, ok := errors.AsType[*backend.Error](err); ok && e.Kind == backend.Limited {
		s.srv.spares.mistrust(cfg, s.user)
	}
}

// keep lets the backend connection wait for the user's next session, where nothing of this one would show
// there. It is false where it is still the session's.
func (s *session) keep(e *ending) bool {
	if s.reuse == nil || e.reason != "logout" {
		return false
	}
	m := s.srv.metrics.reuse(s.b.Config.Name)
	f := s.leftover()
	if f == kept {
		f = s.handOver(m)
	}
	if f != unwanted {
		m.count(f)
	}
	return f == kept
}

// leftover says whether the session has left the connection as it was after the login. What remains of the
// mailbox is left here.
func (s *session) leftover() fate {
	p := &s.pending
	p.mu.Lock()
	settled := !p.over && len(p.queue)+len(p.staging.entries) == 0 && p.grant == noGrant
	p.mu.Unlock()
	switch r := s.reuse; {
	case !settled || s.partial != nil || s.byed != "" || !s.b.Idle() || s.b.Out.Err() != nil:
		return unwanted
	case s.up.get()&sigKick != 0:
		return dropped
	case r.traced.Load():
		return traced
	case r.inside && !s.peers.Real.Has(imap.CapUnselect): // CLOSE would expunge
		return stuck
	}
	return kept
}

// handOver leaves the mailbox and gives the connection away. Where the mailbox cannot be left, the connection
// is closed.
func (s *session) handOver(m *reuseMetrics) fate {
	r, cfg := s.reuse, s.b.Config
	s.b.Last = s.pending.last
	sp := &spare{lull: lull{b: s.b.Renew(), done: make(chan struct{})}, key: r.key, user: s.user, since: r.since, m: m}
	if r.inside {
		ctx, cancel := context.WithTimeout(context.Background(), goodbyeTime)
		defer cancel()
		if err := sp.b.Unselect(ctx); err != nil {
			sp.b.Net.Abort()
			return stuck
		}
	}
	left := min(cfg.Reuse.Idle, cfg.Reuse.Life-time.Since(r.since))
	if left <= 0 {
		return expired
	}
	return s.give(sp, time.Now().Add(left))
}

// give is where the connection changes hands: who wants to interrupt the session's end of it waits, or comes
// too late.
func (s *session) give(sp *spare, until time.Time) fate {
	r := s.reuse
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.up.get()&sigKick != 0 {
		return dropped
	}
	sp.b.Net.SetWriteDeadline(time.Time{})
	sp.b.Net.SetReadDeadline(until)
	current := func() bool { return s.srv.options().Backends[sp.b.Config.Name] == sp.b.Config }
	f := s.srv.spares.add(sp, current)
	if r.gone = f == kept; r.gone {
		s.b.Forsake()
		srv := s.srv     // not the session, which is garbage soon
		srv.conns.Add(1) // it is still counted
		go func() {
			defer srv.conns.Done()
			srv.spares.watch(srv.cutting, sp)
		}()
	}
	return f
}

// ours runs f unless the connection is the session's no more.
func (r *reuse) ours(f func()) {
	if r == nil {
		f()
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.gone {
		f()
	}
}

// closeBackend closes the backend connection where it is still the session's.
func (s *session) closeBackend() { s.reuse.ours(func() { s.b.Net.Abort() }) }

func (r *reuse) spoil() {
	if r != nil {
		r.traced.Store(true)
	}
}

// sends notes a command that goes to the backend.
func (r *reuse) sends(name string) {
	if cmd, known := translate.Lookup(name); !known || !cmd.Traceless {
		r.spoil()
	}
}

// tells notes arguments that go to the backend. Words are looked for wherever they stand and however they are
// written: whoever searches for one loses no more than the connection.
func (r *reuse) tells(cmd *translate.Command, args []wire.Token) {
	for i := range args {
		switch t := &args[i]; {
		case t.Kind == wire.Open && cmd.Mailbox, // CONDSTORE, QRESYNC and what else SELECT takes
			t.Kind == wire.Literal && t.Text == nil && cmd.Data == 0, // nobody reads it
			slices.ContainsFunc(lasting, func(word []byte) bool { return bytes.EqualFold(word, t.Text) }):
			r.spoil()
			return
		}
	}
}

// lasting are the words in arguments that do something to the connection: they enable CONDSTORE (RFC 7162
// section 3.1), let a search go on (RFC 5267 section 4.3) or keep its result (RFC 5182).
var lasting = bytes.Fields([]byte("MODSEQ HIGHESTMODSEQ CHANGEDSINCE UNCHANGEDSINCE CONDSTORE QRESYNC VANISHED UPDATE CONTEXT SAVE"))

// answered notes the backend's answer to a command.
func (r *reuse) answered(cmd *translate.Command, opening bool, typ string) {
	switch {
	case typ == "BAD", // it has understood something else than was meant
		typ != "OK" && cmd.Data > 0, // it may not have read all of the message
		typ != "OK" && opening:      // what is selected now is its business
		r.spoil()
	case typ == "OK" && opening:
		r.inside = true
	case typ == "OK" && cmd.Mailbox: // CLOSE, UNSELECT
		r.inside = false
	}
}

// reuseMetrics are the figures of one backend whose connections are kept.
type reuseMetrics struct {
	waiting prometheus.Gauge
	results *prometheus.CounterVec
}

func (m *metrics) reuse(backend string) *reuseMetrics {
	return &reuseMetrics{m.spares.WithLabelValues(backend), m.reuses.MustCurryWith(prometheus.Labels{"backend": backend})}
}

func (m *reuseMetrics) count(f fate) { m.results.WithLabelValues(string(f)).Inc() }
