package proxy

import (
	"sync"

	"github.com/imapgate/imapgate/proxy/translate"
)

// maxStacks bounds how many stacks are kept. Backends that announce something else to each user would
// make more of them than are worth keeping.
const maxStacks = 256

// stacks are the layers of translations that sessions share.
type stacks struct {
	mu  sync.Mutex
	all map[stackKey]*translate.Stack
}

// A stackKey is all that a stack follows from.
type stackKey struct {
	opts                     *Options
	listener, backend, route string
	server                   string // what it said of itself
}

// find returns the stack of a session, which may be that of others too.
func (k *stacks) find(listener, backend, route string, opts *Options, p translate.Peers) *translate.Stack {
	key := stackKey{opts, listener, backend, route, p.Text()}
	k.mu.Lock()
	defer k.mu.Unlock()
	if s := k.all[key]; s != nil {
		return s
	}
	if k.all == nil || len(k.all) >= maxStacks {
		k.all = make(map[stackKey]*translate.Stack)
	}
	s := translate.NewStack(p, translate.All())
	k.all[key] = s
	return s
}

// Peers is what the sides of a session can do, before any layer, with a backend that says this of itself. Without
// a listener or a route their policies do not count.
func (o *Options) Peers(listener, backend, route string, server translate.Server) translate.Peers {
	policy := o.policy(listener, backend, route)
	quirks := translate.FindQuirks(policy.Quirks, server)
	caps := quirks.Visible(server.Caps)
	return translate.Peers{Backend: caps, Real: caps, Policy: policy, Append: o.Limits.Append, Quirks: quirks}
}
