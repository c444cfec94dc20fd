package proxy

import (
	"errors"
	"fmt"

	"github.com/imapgate/imapgate/proxy/translate"
)

// Reload gives the server other options. What can fail is tried first: after an error nothing has
// changed.
//
// Sessions that are logged in keep the limits, timeouts and policy that they have; a client that is not
// keeps them until its login, and then goes where the new table says. The table must be made with the
// [routing.State] of the one before. Registry and Version stay what they were: Registry may be nil, and
// must not be another one. A nil Log leaves the log as it is. With fewer connections allowed than are
// open, those stay and no new ones are accepted until enough have gone.
func (s *Server) Reload(opts Options) error {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	old := s.options()
	switch {
	case opts.Registry != nil && opts.Registry != old.Registry:
		return errors.New("reload: the registry of metrics cannot change while the server runs; leave it nil")
	case opts.Table != nil && opts.Table.State() != old.Table.State():
		return errors.New("reload: the new routing table does not know the sessions of the old one; make it with the old one's State")
	}
	if err := opts.check(); err != nil {
		return fmt.Errorf("reload: %w", err)
	}
	opts.Registry, opts.Version = old.Registry, old.Version
	if opts.Log == nil {
		opts.Log = old.Log
	}
	opts = opts.withDefaults()
	s.opts.Store(&opts)
	s.foresight.reload(s.options)
	s.stacks.reload()
	s.spares.reload(&opts)
	s.shelf.reload(&opts)
	s.places.resize(opts.Limits.Connections)
	return nil
}

// options are the server's at this moment. Who needs several of them for one thing calls it once.
func (s *Server) options() *Options { return s.opts.Load() }

// check returns the first thing that is wrong with the options.
func (o *Options) check() error {
	if o.Table == nil || len(o.Backends) == 0 {
		return errors.New("a server needs a routing table and at least one backend")
	}
	for name, b := range o.Backends {
		if b.TLS != "none" && b.TLSConfig == nil {
			return fmt.Errorf("backend %s: tls is %q but there is no TLS configuration", name, b.TLS)
		}
		if err := b.Check(); err != nil {
			return fmt.Errorf("backend %s: %w", name, err)
		}
	}
	return nil
}

func (ln *Listener) check() error {
	if ln.TLS != NoTLS && ln.TLSConfig == nil {
		return fmt.Errorf("listener %s: tls is %q but there is no certificate", ln.Name, ln.TLS)
	}
	return nil
}

// policy is what holds for one session.
func (o *Options) policy(listener, backend, route string) translate.Policy {
	if o.Policies == nil {
		return o.Policy
	}
	return o.Policies(listener, backend, route)
}
