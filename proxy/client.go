package proxy

import (
	"context"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/imapgate/imapgate/proxy/wire"
)

// A client is a connection to a client from accept to close.
type client struct {
	*arrival // nil behind the login

	srv      *Server
	opts     *Options // of the moment when it was accepted, then of its last login
	ln       *Listener
	id       string // of the session, in every log line about it
	conn     *wire.Conn
	in       *wire.Commands // nil while it is not read, see upWork
	out      *wire.Writer
	toClient *sink          // below out
	addr     netip.AddrPort // the client's; invalid where there is none, as on a Unix socket
	block    netip.Prefix   // it is counted in, see Limits.PerIP; zero where it is not
	start    time.Time
	secure   bool
	phase    prometheus.Gauge // counts it

	// parts are what conn, out and toClient point to: one piece of memory for all that lives as long as
	// the connection, because small pieces among the garbage of logins keep their pages.
	parts struct {
		conn wire.Conn
		out  wire.Writer
		sink sink
	}
}

// An arrival is what is to be known of a client until it has logged in.
type arrival struct {
	door  *door          // of the moment when it was accepted
	local netip.AddrPort // that the client connected to
	front string         // server name that TLS in front of us was asked for, by a PROXY header
	ttl   int            // how many proxies may still follow, see backend.Origin; 0 where the client said nothing
	name  string         // what the client says it is (ID, RFC 2971)

	bads     int  // commands answered BAD before login
	failures int  // logins with wrong credentials
	logins   int  // logins that came to nothing
	told     bool // BYE was said before login
}

func (s *Server) newClient(nc net.Conn, ln *Listener) *client {
	c := &client{arrival: new(arrival), srv: s, opts: s.options(), ln: ln, id: newID(), start: time.Now()}
	c.conn = c.parts.conn.Init(nc)
	c.door = s.foresight.door(ln.Name, s.options)
	c.addr, c.local = addrPort(nc.RemoteAddr()), addrPort(nc.LocalAddr())
	c.in = wire.NewCommands(c.conn)
	c.in.MaxLine = c.opts.Limits.PreauthLine
	c.in.MaxDrain = c.opts.Limits.Literal
	c.toClient = &c.parts.sink
	c.toClient.conn, c.toClient.timeout = c.conn, c.opts.Timeouts.Write
	c.out = c.parts.out.Init(c.toClient)
	return c
}

// addrPort is an address without what only this machine knows of it; invalid where there is none.
func addrPort(a net.Addr) netip.AddrPort {
	var p netip.AddrPort
	if tcp, ok := a.(*net.TCPAddr); ok {
		p = tcp.AddrPort()
	} else if parsed, err := netip.ParseAddrPort(a.String()); err == nil {
		p = parsed
	}
	if !p.IsValid() {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(p.Addr().Unmap().WithZone(""), p.Port())
}

// from is the client's address for people.
func (c *client) from() string {
	if !c.addr.IsValid() {
		return "unix"
	}
	return c.addr.String()
}

// accept finds out who the client is and whether there is a place for it, and secures the connection
// where the listener says so. It runs in the connection's goroutine, never in the accept loop, and all
// of it under one deadline.
func (c *client) accept(ctx context.Context, raw net.Conn) error {
	trusted := c.ln.trusts(c.addr.Addr())
	if trusted || c.ln.TLS == ImplicitTLS {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.opts.Timeouts.Handshake)
		defer cancel()
	}
	if trusted {
		if err := c.introduced(ctx, raw); err != nil {
			return err
		}
	}
	if err := c.admit(); err != nil {
		return err
	}
	if c.ln.TLS != ImplicitTLS {
		return nil
	}
	return c.handshake(ctx)
}

// handshake starts TLS with a client before ctx ends.
func (c *client) handshake(ctx context.Context) error {
	if err := c.conn.Server(ctx, c.ln.TLSConfig); err != nil {
		c.srv.metrics.handshake(c.ln.Name, "", "failed")
		return &Refusal{Reason: "tls", Err: err}
	}
	state, _ := c.conn.TLS()
	c.srv.metrics.handshake(c.ln.Name, tlsVersion(state.Version), "ok")
	c.secure = true
	return nil
}

// mayLogin says whether a password may cross this connection.
func (c *client) mayLogin() bool {
	return c.secure || c.ln.AllowPlaintextLogin || c.ln.Transport == Local
}

// sni is the server name that the client asked for: of us, or of whoever ended TLS in front of us.
func (c *client) sni() string {
	if state, ok := c.conn.TLS(); ok {
		return state.ServerName
	}
	return c.front
}

// capText is the capability list before login.
func (c *client) capText() string {
	switch startTLS := c.ln.TLS == StartTLS && !c.secure; {
	case !startTLS && c.mayLogin():
		return c.door.open
	case !startTLS:
		return c.door.shut
	case c.mayLogin():
		return c.door.openOrTLS
	}
	return c.door.shutOrTLS
}

// send writes one status response and lets it leave.
func (c *client) send(tag string, s wire.Status) error {
	c.out.Begin()
	c.out.Status([]byte(tag), s)
	return c.out.EndFlush()
}

// A sink is where a Writer writes to: a connection whose peer must read within a time.
type sink struct {
	conn    *wire.Conn
	timeout time.Duration
	since   time.Duration // from when on the deadline counts, from epoch on: cheaper to ask for than a time
	armed   bool          // there is a deadline
	over    atomic.Bool
}

// shut interrupts writing for good. Anybody may call it.
func (k *sink) shut() {
	k.over.Store(true)
	k.conn.SetWriteDeadline(longPast)
}

// reopen allows a last word, where writing was not interrupted inside a message.
func (k *sink) reopen(timeout time.Duration) {
	k.over.Store(false)
	k.timeout, k.armed = timeout, false
}

// Write writes in the time that the peer has.
func (k *sink) Write(p []byte) (int, error) {
	k.extend()
	return k.conn.Write(p)
}

// extend moves the deadline only now and then: the peer has at least seven eighths of the time.
func (k *sink) extend() {
	if now := time.Since(epoch); !k.armed || now-k.since > k.timeout/8 {
		k.conn.SetWriteDeadline(time.Now().Add(k.timeout))
		k.armed, k.since = true, now
		if k.over.Load() { // looked at behind the deadline, which shut moves
			k.conn.SetWriteDeadline(longPast)
		}
	}
}
