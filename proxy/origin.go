package proxy

import (
	"strings"

	"github.com/imapgate/imapgate/proxy/backend"
	"github.com/imapgate/imapgate/proxy/wire"
)

// origin is what a backend may be told of the client.
func (c *client) origin() backend.Origin {
	return backend.Origin{Client: c.addr, Local: c.local, Session: c.id, TLS: c.secure, SNI: c.sni(), TTL: c.ttl}
}

// heardTTL takes x-proxy-ttl out of a client's ID, the one of its x- keys that is looked at: another proxy
// in front of us sends it, and it ends a loop. Of several values the lowest counts, also of one that was
// said before TLS.
func (c *client) heardTTL(id []wire.Token) {
	for i := 1; i+1 < len(id); i += 2 {
		if !strings.EqualFold(id[i].Value(), "x-proxy-ttl") {
			continue
		}
		if n := backend.ParseTTL(id[i+1].Value()); n > 0 && (c.ttl == 0 || n < c.ttl) {
			c.ttl = n
		}
	}
}
