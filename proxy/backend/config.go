package backend

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

// A Mode says how a connection to a backend becomes secure.
type Mode string

// The TLS modes of a backend.
const (
	None     Mode = "none"     // never; passwords cross the network in clear text
	StartTLS Mode = "starttls" // by STARTTLS, and not at all without it
	Implicit Mode = "implicit" // TLS from the first byte
)

// A Config says how one backend is reached. It is never changed once it is in use.
type Config struct {
	Name    string // as the configuration calls it
	Address string // host:port
	TLS     Mode
	// TLSConfig is needed unless TLS is None. It carries the server's name and the roots.
	TLSConfig *tls.Config
	// EagerLiterals lets the proxy grant clients' literals by itself; a refusal then comes after the upload.
	EagerLiterals bool
	// SourceAddresses are used in turn to connect from; empty means that the system chooses. One of them
	// has some 28,000 ports towards one backend.
	SourceAddresses []netip.Addr
	// ProxyProtocol and ForwardID tell the backend where the client comes from. Both are off by default.
	ProxyProtocol ProxyHeader
	ForwardID     Forward
	// Reuse keeps connections for a user's next session. It is off by default.
	Reuse Reuse
	// Ready is how many connections are kept open ahead of logins, at most MaxReady. 0 is none.
	Ready int
	// Dial connects; nil means TCP from the SourceAddresses. Tests put memory in its place.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Lookup resolves the name in the Address; nil means the system's resolver, or with Dial that nothing is
	// resolved.
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	// Connect bounds dial, TLS and greeting together; 0 means 10s.
	Connect time.Duration

	turn   atomic.Uint32 // among the SourceAddresses
	book   book          // of the name in the Address
	memory memory        // of what the backend says of itself
}

func (c *Config) connectTimeout() time.Duration {
	if c.Connect > 0 {
		return c.Connect
	}
	return 10 * time.Second
}
