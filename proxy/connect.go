package proxy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/imapgate/imapgate/proxy/auth"
	"github.com/imapgate/imapgate/proxy/backend"
	"github.com/imapgate/imapgate/routing"
)

// connect chooses a backend and logs in there. A failure is a *Refusal and leaves nothing open.
func (l *login) connect(ctx context.Context) (*session, error) {
	l.opts = l.srv.options() // who logs in after a reload goes where the new table says
	ctx, cancel := context.WithTimeout(ctx, l.opts.Timeouts.Login)
	defer cancel()
	var choice routing.Choice
	req := routing.Request{User: l.creds.User, Listener: l.ln.Name, SNI: l.sni(), Client: l.addr.Addr()}
	if err := l.opts.Table.Choose(req, &choice); err != nil {
		return nil, refuse(err)
	}
	l.srv.metrics.routes.WithLabelValues(choice.Decision.Route, choice.Decision.Pool).Inc()
	s := &session{
		client: l.client, mechanism: l.mechanism,
		user: choice.Decision.User, route: choice.Decision.Route, pool: choice.Decision.Pool,
	}
	release := s.abandon
	defer func() { release() }() // also where something panics
	if err := s.reach(ctx, &choice, l.creds); err != nil {
		return nil, refuse(err)
	}
	// Only now: before, who does not know the password could fill the user's places.
	if !l.srv.users.take(s.user, l.opts.Limits.PerUser) {
		return nil, &Refusal{userLimit, "user_limit", nil}
	}
	s.counted = true
	s.prepare()
	release = func() {}
	return s, nil
}

// abandon gives back what a login that came to nothing has taken.
func (s *session) abandon() {
	if s.b != nil {
		s.b.Net.Abort()
	}
	s.lease.Release()
	s.leaveUser()
}

// leaveUser gives back the user's place, where one is taken.
func (s *session) leaveUser() {
	if s.counted {
		s.srv.users.leave(s.user)
	}
}

// reach tries one backend after the other until one lets the user in, or answers so that no other would
// say anything else.
func (s *session) reach(ctx context.Context, choice *routing.Choice, creds auth.Credentials) error {
	var failed error
	for {
		lease, ok := choice.Next()
		if !ok {
			return s.exhausted(choice, failed)
		}
		if failed != nil {
			s.opts.Log.Warn("backend failed; trying another", "session", s.id, "user", s.user,
				"backend", s.tried[len(s.tried)-1], "next", lease.Backend, "error", failed)
		}
		s.lease = lease
		failed = s.open(ctx, lease, creds)
		if failed == nil {
			return nil
		}
		if s.srv.stopping.Err() != nil {
			return &Refusal{unavailable, "draining", failed}
		}
		s.tried = append(s.tried, lease.Backend)
		if ctx.Err() != nil || !another(failed) {
			return s.after(failed)
		}
	}
}

// exhausted is the error where no backend is left to try.
func (s *session) exhausted(choice *routing.Choice, failed error) error {
	switch {
	case failed != nil:
		return s.after(failed)
	case choice.Full():
		return &Refusal{unavailable, "pool_full", fmt.Errorf("all of %s are full; raise max_sessions or add backends", strings.Join(choice.Decision.Candidates, ", "))}
	}
	return errors.New("the route leads to no backend")
}

// after says which backends were tried, where there were several.
func (s *session) after(err error) error {
	if len(s.tried) < 2 {
		return err
	}
	return fmt.Errorf("tried %s: %w", strings.Join(s.tried, ", "), err)
}

// beforeLogin are the phases in which a backend has not heard of the user yet.
var beforeLogin = map[string]bool{
	"dial": true, "proxy header": true, "tls": true, "greeting": true, "starttls": true, "capability": true,
}

// another reports whether another backend may be tried after a failure: one that never heard of the user,
// one that was gone before it answered the login, and one that says [UNAVAILABLE]. Any other answer is
// final: a wrong password is never tried on five servers.
func another(err error) bool {
	var b *backend.Error
	if !errors.As(err, &b) {
		return false
	}
	return beforeLogin[b.Phase] || !b.Final && (b.Status.Code == "UNAVAILABLE" || b.Kind == backend.Unreachable)
}

// open connects to the backend of a lease and logs in. The credentials are not kept: a session does not
// need them any more.
func (s *session) open(ctx context.Context, lease routing.Lease, creds auth.Credentials) error {
	cfg := s.opts.Backends[lease.Backend]
	if cfg == nil {
		return fmt.Errorf("the routing table names a backend %q that the options do not have", lease.Backend)
	}
	if s.resume(ctx, cfg, creds) {
		return nil
	}
	m := s.srv.metrics
	begin := time.Now()
	b, err := s.logInReady(ctx, lease, creds)
	if b == nil {
		b, err = s.srv.dial(ctx, cfg, s.origin())
		if s.judged(ctx, lease, err); err != nil {
			return err
		}
		err = s.logIn(ctx, b, creds)
	}
	m.loginTime.WithLabelValues(cfg.Name).Observe(time.Since(begin).Seconds())
	if err == nil || s.srv.stopping.Err() == nil { // a login that our own end interrupts says nothing of a backend
		m.logins.WithLabelValues(cfg.Name, s.mechanism, loginResult(err)).Inc()
	}
	if err != nil {
		b.Net.Abort()
		s.makeRoom(cfg, err)
		return err
	}
	s.b = b
	return nil
}

// logIn logs in.
func (s *session) logIn(ctx context.Context, b *backend.Conn, creds auth.Credentials) error {
	if err := b.Login(ctx, creds); err != nil {
		return err
	}
	return s.admitted(ctx, b)
}

// admitted notes what a backend is that has let the user in, and asks servers that are known to say OK too
// early for something that only a user gets whom they serve.
func (s *session) admitted(ctx context.Context, b *backend.Conn) error {
	s.share(b)
	if s.peers.Quirks.Probe == nil {
		return nil
	}
	return b.Probe(ctx, s.peers.Quirks.Probe)
}

// lookUp looks a backend's name up again where that is due, beside the login that has found it so.
func (s *Server) lookUp(cfg *backend.Config) {
	if !cfg.Stale() {
		return
	}
	s.conns.Add(1) // whose login it is, is still counted
	go func() {
		defer s.conns.Done()
		cfg.Refresh(s.stopping)
	}()
}

// judged tells the table whether a backend can be reached. That the client's own time was over, or the
// server's, says nothing of a backend.
func (s *session) judged(ctx context.Context, lease routing.Lease, err error) {
	if err == nil {
		lease.Reached()
		return
	}
	if b, ok := errors.AsType[*backend.Error](err); ok && ctx.Err() == nil && beforeLogin[b.Phase] {
		lease.Unreachable()
		s.srv.shelf.mistrust(s.opts.Backends[lease.Backend])
	}
}

func loginResult(err error) string {
	if b, ok := errors.AsType[*backend.Error](err); ok {
		return string(b.Kind)
	}
	return "ok"
}
