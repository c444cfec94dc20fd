package proxy

import (
	"crypto/tls"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/imapgate/imapgate/proxy/backend"
	"github.com/imapgate/imapgate/proxy/translate"
	"github.com/imapgate/imapgate/routing"
)

// Options are what a Server runs with. They are never changed once a Server has them; [Server.Reload]
// gives it others.
type Options struct {
	// Backends by name, as the routing table names them.
	Backends map[string]*backend.Config
	// Table says who goes where.
	Table *routing.Table
	// Policy decides what is translated, offered and passed.
	Policy translate.Policy
	// Policies takes Policy's place where it is not nil: it returns what holds for one session. Before
	// login backend and route are empty. Any number of goroutines call it.
	Policies func(listener, backend, route string) translate.Policy
	// Goals are where logins can lead, by the listener's name. Where they are known, clients are told before
	// login what all those backends have; else only what the proxy itself keeps.
	Goals map[string][]Goal

	Limits   Limits
	Timeouts Timeouts

	// Log gets one line for each session and one for each trouble; nil discards.
	Log *slog.Logger
	// Registry gets the metrics; nil keeps them to the server.
	Registry *prometheus.Registry
	// Version is told in ID and in build_info.
	Version string
}

// A Goal is where a login can lead: a backend, by a route.
type Goal struct{ Backend, Route string }

// A Listener is one door for clients.
type Listener struct {
	Name string
	net.Listener
	// TLS says when the connection becomes secure.
	TLS TLSMode
	// TLSConfig is needed unless TLS is NoTLS.
	TLSConfig *tls.Config
	// AllowPlaintextLogin accepts passwords on connections without TLS. It weakens security.
	AllowPlaintextLogin bool
	// ProxyProtocol are the networks whose connections begin with a PROXY header of version 1 or 2,
	// before TLS; it says who the client is. On a Unix socket every peer sends one. A peer from elsewhere
	// is a client itself: of it, no header is expected or believed. Nil: no header from anybody.
	ProxyProtocol []netip.Prefix
	// Transport says what the connections run over.
	Transport Transport
}

// Transport says what a listener's connections run over.
type Transport string

// The transports of a listener.
const (
	Open  Transport = ""      // a network: nothing but TLS makes it secure
	Local Transport = "local" // a Unix socket: passwords are taken without TLS, and its peers have no address
)

// TLSMode says how a listener's connections become secure.
type TLSMode string

// The TLS modes of a listener.
const (
	StartTLS    TLSMode = "starttls" // plain first, then STARTTLS (RFC 3501 section 6.2.1)
	ImplicitTLS TLSMode = "implicit" // TLS from the first byte (RFC 8314 section 3)
	NoTLS       TLSMode = "none"     // never
)

// Limits bound what one peer may cost. Zero fields have the default in their comment.
type Limits struct {
	Connections int   // client connections in all; 20000
	PerIP       int   // connections of one address, or of one IPv6 /64; 100, negative for no limit
	PerUser     int   // sessions of one user; 50, negative for no limit
	PreauthLine int   // octets of a command line before login; 16 KiB
	Line        int   // octets of a command line after login, literals not counted; 64 KiB
	Literal     int64 // octets of an argument literal; 64 KiB
	Append      int64 // octets of message data in APPEND and REPLACE; 0 for unlimited
	Compressed  int   // sessions with compression, of which each takes about 41 KB; 1000, negative for no limit

	// Exempt are networks whose addresses PerIP does not count; nil is 127.0.0.0/8. Unix sockets have none
	// and are never counted.
	Exempt []netip.Prefix
}

// Timeouts bound how long one peer may take. Zero fields have the default in their comment.
type Timeouts struct {
	Handshake time.Duration // TLS handshake of a client; 10s
	Preauth   time.Duration // from the greeting to the login command's end; 60s
	Connect   time.Duration // dial, TLS and greeting of one backend; 10s
	Login     time.Duration // all of connect and the backend's login together; 30s
	Response  time.Duration // silence of a peer that owes the rest of a message or an answer; 5m
	Idle      time.Duration // a client that sends no command; 31m (RFC 3501 section 5.4)
	Write     time.Duration // a peer that does not read; 60s
	Park      time.Duration // silence after which a session gives up its goroutines, as it does at once in IDLE; 500ms, negative for never
	Drain     time.Duration // from the order to drain to the hard end; 5m
}
