package proxy

import (
	"strings"
	"sync"
	"sync/atomic"

	"github.com/imapgate/imapgate/proxy/backend"
	"github.com/imapgate/imapgate/proxy/translate"
)

const (
	// maxStacks bounds how many stacks are kept. Backends that announce something else to each user would
	// make more of them than are worth keeping.
	maxStacks = 256
	// maxStackCaps bounds the octets of the capabilities of one that is kept.
	maxStackCaps = 8 << 10
)

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
	caps                     string // backend.Announcement.Text
	quirks                   string
}

// common is what sessions have in common. It is never changed.
type common struct {
	stack   *translate.Stack
	peers   translate.Peers
	dialect *translate.Dialect
	// announcement is the backend's, of several that say the same.
	announcement *backend.Announcement
}

// find returns what a session has in common with others, or is the first to have. It is kept where the session's
// options are still those of the server.
func (k *stacks) find(listener, route string, opts *Options, b *backend.Conn, server *atomic.Pointer[Options]) *common {
	said := translate.Server{Greeting: b.Greeting, Caps: b.Caps}
	policy := opts.policy(listener, b.Config.Name, route)
	quirks := translate.FindQuirks(policy.Quirks, said)
	key := stackKey{opts, listener, b.Config.Name, route, b.Text, strings.Join(quirks.Names, " ")}
	k.mu.Lock()
	defer k.mu.Unlock()
	if c := k.all[key]; c != nil {
		return c
	}
	peers := opts.peers(policy, quirks, said)
	stack := translate.NewStack(peers, translate.All())
	c := &common{stack, peers, newDialect(stack, &peers), b.Announcement}
	if len(b.Text) > maxStackCaps || opts != server.Load() {
		return c
	}
	if k.all == nil || len(k.all) >= maxStacks {
		k.all = make(map[stackKey]*common)
	}
	k.all[key] = c
	return c
}

// reload forgets what follows from options that no session logs in with any more: they would be kept with it.
func (k *stacks) reload() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.all = nil
}

// share lets the session hold what it has in common with others in place of its own.
func (s *session) share(b *backend.Conn) {
	c := s.srv.stacks.find(s.ln.Name, s.route, s.opts, b, &s.srv.opts)
	s.stack, s.peers, s.dialect, b.Announcement = c.stack, &c.peers, c.dialect, c.announcement
}

// Peers is what the sides of a session can do, before any layer, with a backend that says this of itself. Without
// a listener or a route their policies do not count.
func (o *Options) Peers(listener, backend, route string, server translate.Server) translate.Peers {
	policy := o.policy(listener, backend, route)
	return o.peers(policy, translate.FindQuirks(policy.Quirks, server), server)
}

func (o *Options) peers(policy translate.Policy, quirks translate.Quirks, server translate.Server) translate.Peers {
	caps := quirks.Visible(server.Caps)
	return translate.Peers{Backend: caps, Real: caps, Policy: policy, Append: o.Limits.Append, Quirks: quirks}
}
