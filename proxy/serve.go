package proxy

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"runtime/debug"
	"strings"
	"time"
)

// serveConn carries a client's connection from accept to its login, behind which it is the session's. Where
// it comes to none, it ends here.
func (s *Server) serveConn(nc net.Conn, ln *Listener) {
	c := s.newClient(nc, ln)
	defer c.recovered()
	c.enter("preauth")
	err := c.accept(s.stopping, nc)
	if err == nil {
		err = c.serve(s.stopping)
	}
	if err == nil {
		return
	}
	s.logEnd(c, err)
	if c.told {
		linger(c.conn)
	}
	c.release()
}

// recovered keeps one connection's failure from being everybody's.
func (c *client) recovered() {
	if v := recover(); v != nil {
		c.conn.Abort()
		c.srv.logPanic(c, v)
		c.release()
	}
}

// enter counts the client into a phase, and out of the one before.
func (c *client) enter(phase string) {
	if c.phase != nil {
		c.phase.Dec()
	}
	c.phase = c.srv.metrics.sessions.WithLabelValues(c.ln.Name, phase)
	c.phase.Inc()
}

// release gives back all that a connection takes. It is called once: before login by serveConn, behind it by
// the session.
func (c *client) release() {
	c.phase.Dec()
	c.conn.Close()
	c.srv.addresses.leave(c.block)
	c.srv.places.leave()
	c.srv.conns.Done()
}

func (s *Server) logPanic(c *client, v any) {
	s.options().Log.Error("internal error; the session was ended", "session", c.id, "error", v, "stack", string(debug.Stack()))
}

// serve carries a client from the greeting to its login; nil says that a session goes on with it. Meanwhile
// the server's end interrupts it.
func (c *client) serve(ctx context.Context) error {
	c.srv.lobby.enter(c)
	defer c.srv.lobby.leave(c)
	if err := c.greet(); err != nil {
		return err
	}
	for {
		l, err := c.preauth(ctx)
		if err != nil {
			return err
		}
		sess, err := l.connect(ctx)
		if err == nil {
			c.srv.lobby.leave(c)
			return sess.begin(l.tag)
		}
		r := refuse(err)
		c.srv.logRefusal(l, r)
		if err := l.refused(ctx, r); err != nil {
			return err
		}
	}
}

// begin tells the client that it is logged in and relays for it, on goroutines of the session's own, whose
// stacks no handshake has made large. After an error the session has ended, and the client has not.
func (s *session) begin(tag string) error {
	s.enter("relay")
	s.metrics.sessions.Inc()
	s.conn.SetReadDeadline(time.Time{})
	s.srv.registry.add(s) // before the client can know that there is a session
	if err := s.welcome(tag); err != nil {
		s.srv.registry.remove(s)
		s.giveBack()
		return err
	}
	if s.srv.stopping.Err() != nil { // Shutdown has looked at the registry already
		s.raise(sigDrain)
	}
	if s.srv.cutting.Err() != nil {
		s.raise(sigKick)
	}
	if s.reuse == nil || !s.reuse.again {
		s.srv.restock(s.b.Config)
	}
	s.reading.Add(1)
	s.arrival = nil
	go s.runDown()
	go s.runUp()
	return nil
}

// giveBack gives back what a session takes besides the client's connection.
func (s *session) giveBack() {
	s.metrics.sessions.Dec()
	s.unpacked()
	s.lease.Release()
	s.leaveUser()
	s.closeBackend()
}

// release ends a session whose goroutines have ended.
func (s *session) release() {
	s.srv.registry.remove(s)
	s.srv.lot.leave(&s.up)
	s.srv.lot.leave(&s.down)
	s.giveBack()
	s.client.release()
}

// recovered is that of the client, with all that the session has.
func (s *session) recovered() {
	if v := recover(); v != nil {
		s.conn.Abort()
		s.srv.logPanic(s.client, v)
		s.release()
	}
}

// finished counts and logs a session: the one line that says who, from where, to where and why it ended.
func (s *session) finished(e *ending) {
	up, down := s.conn.BytesIn(), s.conn.BytesOut()
	attrs := append(make([]slog.Attr, 0, 20), // all that there can be: it is made once
		slog.String("session", s.id), slog.String("user", s.user), slog.String("client", s.from()),
		slog.String("listener", s.ln.Name), slog.String("backend", s.b.Config.Name), slog.String("route", s.route),
		slog.String("mechanism", s.mechanism), slog.String("tls", s.tlsText()),
		slog.Duration("duration", time.Since(s.start).Round(time.Millisecond)),
		slog.Int64("bytes_up", up), slog.Int64("bytes_down", down),
		slog.Int64("commands", s.ledger.counted()), slog.String("reason", e.reason))
	if s.pool != "" {
		attrs = append(attrs, slog.String("pool", s.pool))
	}
	if len(s.tried) > 0 {
		attrs = append(attrs, slog.String("tried", strings.Join(s.tried, ",")))
	}
	if s.reuse != nil && s.reuse.again {
		attrs = append(attrs, slog.Bool("reused", true))
	}
	if in, out, ok := s.conn.Packed(); ok {
		attrs = append(attrs, slog.Group("compressed", "up", in, "down", out))
	}
	if names := s.quirkNames(); names != "" {
		attrs = append(attrs, slog.String("quirks", names))
	}
	if id := s.ledger.clientName(); id != "" {
		attrs = append(attrs, slog.String("client_id", id))
	}
	level := slog.LevelInfo
	if e.err != nil && !isOrdinary(e) {
		attrs = append(attrs, slog.Any("error", e.err))
		level = slog.LevelWarn
	}
	s.opts.Log.LogAttrs(context.Background(), level, "session ended", attrs...)
}

// isOrdinary reports endings that happen every day: the word in reason says it all.
func isOrdinary(e *ending) bool {
	switch e.reason {
	case "logout", "client_left", "drained", "idle", "kicked":
		return true
	}
	return false
}

func (c *client) tlsText() string {
	if state, ok := c.conn.TLS(); ok {
		return tlsVersion(state.Version)
	}
	return "none"
}

// logRefusal says why a login failed: to the operator all of it.
func (s *Server) logRefusal(l *login, r *Refusal) {
	s.options().Log.Warn("login refused", "session", l.id, "user", clean(l.opts.Table.Normalise(l.creds.User)), "client", l.from(), "listener", l.ln.Name,
		"mechanism", l.mechanism, "tls", l.tlsText(), "reason", r.Reason, "error", r.Err)
}

// logEnd logs the end of a connection that never logged in. Scanners come by the thousand, so most of
// these are for debugging only. A PROXY header that is wrong is a machine of the operator's.
func (s *Server) logEnd(c *client, err error) {
	if err == nil || errors.Is(err, errLogout) {
		return
	}
	reason := "failed"
	var r *Refusal
	if errors.As(err, &r) {
		reason = r.Reason
	}
	if reason != "client_left" { // that is the client's refusal, and every port scan is one
		s.metrics.refusals.WithLabelValues(reason).Inc()
	}
	level := slog.LevelDebug
	if reason == "proxy_header" { // no stranger did that
		level = slog.LevelWarn
	}
	c.opts.Log.Log(context.Background(), level, "connection ended before login", "session", c.id, "client", c.from(), "listener", c.ln.Name, "reason", reason, "error", err)
}
