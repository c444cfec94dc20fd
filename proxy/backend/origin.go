package backend

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/wire"
)

// An Origin is where a client's connection comes from, as a backend may be told. Its zero value is a
// connection of our own, such as a probe.
type Origin struct {
	Client  netip.AddrPort // the client's address; not valid where it has none, as on a unix socket
	Local   netip.AddrPort // the address that the client connected to
	Session string         // id of the session
	TLS     bool           // the client's connection is secure
	SNI     string         // the name that the client asked for by TLS, or ""
	// TTL is how many proxies may still follow, ourselves included, as ParseTTL read it from the client's
	// ID; 0 where the client said nothing of it.
	TTL int
}

// Forward says whether a backend is told by ID (RFC 2971) where the client comes from.
type Forward string

// The ways to tell. The zero value is ForwardOff.
const (
	ForwardOff Forward = "off"
	// ForwardDovecot sends Dovecot's fields before the login, where the backend announces ID. A Dovecot
	// believes them from its login_trusted_networks only.
	ForwardDovecot Forward = "dovecot"
)

// maxTTL is what the first proxy on the way says, as Dovecot does.
const maxTTL = 7

// ErrLoop says that a login has passed so many proxies that they must lead to each other.
var ErrLoop = errors.New("x-proxy-ttl is used up: proxies lead to each other; look where the backend's address leads")

// ParseTTL reads the value of x-proxy-ttl in a client's ID: at least 1 where it is a number, 0 where it is
// none. Anybody may send it, so it serves only to find loops: of several values the lowest positive one
// counts, and one above our own changes nothing.
func ParseTTL(value string) int {
	n, err := strconv.ParseUint(value, 10, 32)
	if err != nil {
		return 0
	}
	return int(min(max(n, 1), maxTTL+1))
}

// next is the TTL for the backend. ErrLoop says that there may be no further hop.
func (o *Origin) next() (int, error) {
	switch {
	case o.TTL == 0:
		return maxTTL, nil
	case o.TTL <= 1:
		return 0, ErrLoop
	}
	return min(o.TTL-1, maxTTL), nil
}

// id returns the fields for the backend as the argument of ID, fewer than 1024 octets in all, which is
// what Dovecot takes. A value that is not known or that is odd is left out with its key.
func (o *Origin) id() []wire.Token {
	var list []wire.Token
	add := func(key, value string) {
		if plain(value) {
			list = append(list, wire.String(key), wire.String(value))
		}
	}
	add("x-session-id", o.Session)
	if o.Client.IsValid() {
		add("x-originating-ip", bare(o.Client.Addr()).String())
		add("x-originating-port", strconv.Itoa(int(o.Client.Port())))
	}
	if o.Local.IsValid() {
		add("x-connected-ip", bare(o.Local.Addr()).String())
		add("x-connected-port", strconv.Itoa(int(o.Local.Port())))
	}
	add("x-connected-name", strings.ToLower(o.SNI))
	add("x-proxy-ttl", strconv.Itoa(o.TTL))
	if o.TLS {
		add("x-client-transport", "TLS")
	} else {
		add("x-client-transport", "insecure")
	}
	return wire.List(list...)
}

// plain reports whether a value can stand in quotes as it is and is no longer than a DNS name may be.
func plain(value string) bool {
	odd := func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }
	return value != "" && len(value) <= 253 && !strings.ContainsFunc(value, odd)
}

// bare is an address as another machine can read it.
func bare(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// forward leaves ID in the Writer, for the login command to take it along: it costs no round trip. That
// is safe because the login does not hang on the answer, which comes first, and because servers that lose
// what is sent behind a command lose it behind LOGIN or AUTHENTICATE, where they change processes, and we
// send nothing behind these. Before TLS nothing is told.
func (b *Conn) forward() error {
	if b.Config.ForwardID != ForwardDovecot || !b.Caps.Has(imap.CapID) {
		return nil
	}
	b.idTag = string(b.nextTag())
	b.Out.Begin()
	b.Out.Head([]byte(b.idTag), "ID")
	b.Out.Tokens(b.origin.id())
	b.Out.CRLF()
	return b.Out.End()
}

// forwarded takes the answer to ID. Whatever it says, the user gets his mail. Capabilities that were
// announced up to here are not yet the user's.
func (b *Conn) forwarded() error {
	b.idTag = ""
	b.relearned = false
	return b.skip("id")
}
