package proxy

import (
	"maps"
	"sync"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/backend"
	"github.com/imapgate/imapgate/proxy/translate"
)

// maxStacks bounds how many stacks are kept. Backends that announce something else to each user would
// make more of them than are worth keeping.
const maxStacks = 256

// stacks are the layers of translations, and what else follows from what a backend says of itself: sessions
// share them.
type stacks struct {
	mu  sync.Mutex
	all map[stackKey]*common
}

// A stackKey is all that a stack follows from.
type stackKey struct {
	opts                     *Options
	listener, backend, route string
	server                   string // what it said of itself
}

// common is what sessions have in common. It is never changed.
type common struct {
	stack *translate.Stack
	peers translate.Peers
	caps  imap.CapSet // that the backend announced
}

// find returns what a session has in common with others, or is the first to have.
func (k *stacks) find(listener, route string, opts *Options, p *translate.Peers, b *backend.Conn) *common {
	key := stackKey{opts, listener, b.Config.Name, route, p.Text()}
	k.mu.Lock()
	defer k.mu.Unlock()
	if c := k.all[key]; c != nil {
		return c
	}
	if k.all == nil || len(k.all) >= maxStacks {
		k.all = make(map[stackKey]*common)
	}
	c := &common{stack: translate.NewStack(*p, translate.All()), peers: *p, caps: b.Caps}
	k.all[key] = c
	return c
}

// share lets the session hold what it has in common with others in place of its own.
func (s *session) share() {
	c := s.srv.stacks.find(s.ln.Name, s.decision.Route, s.opts, s.peers, s.b)
	s.stack, s.peers = c.stack, &c.peers
	if maps.Equal(s.b.Caps, c.caps) {
		s.b.Caps = c.caps
	}
}

// Peers is what the sides of a session can do, before any layer, with a backend that says this of itself. Without
// a listener or a route their policies do not count.
func (o *Options) Peers(listener, backend, route string, server translate.Server) translate.Peers {
	policy := o.policy(listener, backend, route)
	quirks := translate.FindQuirks(policy.Quirks, server)
	caps := quirks.Visible(server.Caps)
	return translate.Peers{Backend: caps, Real: caps, Policy: policy, Append: o.Limits.Append, Quirks: quirks}
}
