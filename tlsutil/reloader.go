package tlsutil

import (
	"context"
	"crypto/tls"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// PollInterval is how often Watch looks at the files. It looks instead of being told by the kernel, which
// works on every file system and through symbolic links that are exchanged as a whole.
const PollInterval = 5 * time.Second

// A Reloader presents certificates to clients and keeps them as new as their files. The configuration that
// it gives out stays the same for its life, so that clients can resume their sessions across a change.
type Reloader struct {
	mu      sync.Mutex // held while files are read and current is exchanged
	current atomic.Pointer[presented]
}

// presented is what counts at one moment. It never changes.
type presented struct {
	server, others []*Pair
	minVersion     uint16
	config         *tls.Config
}

// NewReloader makes a Reloader that presents the pairs of server to clients, chosen by the name that the
// client asks for; the first is the default. minVersion is as in Server. It also keeps others new, which
// are used elsewhere, as in Client. Server may be empty, and then Config is not usable.
func NewReloader(minVersion uint16, server, others []*Pair) *Reloader {
	r := &Reloader{}
	r.current.Store(newPresented(minVersion, server, others))
	return r
}

func newPresented(minVersion uint16, server, others []*Pair) *presented {
	p := &presented{server: server, others: others, minVersion: minVersion}
	o := Server{MinVersion: minVersion}
	for _, pair := range server {
		o.Certificates = append(o.Certificates, *pair.Certificate())
	}
	p.config, _ = o.Config() // its only error is that there is no certificate
	return p
}

// Config returns the configuration for connections from clients. It is the same as that of Server, but each
// handshake uses what is newest.
//
// Its session tickets are sealed with keys that belong to the Config returned, so call it once and share
// the result among listeners.
func (r *Reloader) Config() (*tls.Config, error) {
	now := r.current.Load()
	if now.config == nil {
		return nil, ErrNoCertificate
	}
	c := now.config.Clone()
	c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		if now := r.current.Load(); now.config != nil {
			return now.config, nil
		}
		return nil, ErrNoCertificate
	}
	return c, nil
}

// Pairs returns what is presented to clients, and behind it the others.
func (r *Reloader) Pairs() []*Pair {
	now := r.current.Load()
	return slices.Concat(now.server, now.others)
}

// Adopt makes everything that next presents and keeps new this Reloader's own, as after a new
// configuration. It cannot fail, as next has read its files already. Do not use next afterwards.
//
// Where next has nothing to present, what was presented stays, and is kept new: ports that are still open
// would fail every handshake without it.
func (r *Reloader) Adopt(next *Reloader) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now, then := r.current.Load(), next.current.Load()
	if len(then.server) == 0 && len(now.server) > 0 {
		then = newPresented(now.minVersion, now.server, then.others)
	}
	r.current.Store(then)
}

// Reload reads all files anew, changed or not, and tells what became of each pair. A pair that cannot be
// read keeps its old certificate.
func (r *Reloader) Reload() []Reload { return r.reload((*Pair).reload) }

func (r *Reloader) reload(read func(*Pair) (Reload, bool)) (all []Reload) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now, fresh := r.current.Load(), false
	for _, p := range slices.Concat(now.server, now.others) {
		result, looked := read(p)
		if !looked {
			continue
		}
		all = append(all, result)
		fresh = fresh || result.Err == nil
	}
	if fresh {
		r.current.Store(newPresented(now.minVersion, now.server, now.others))
	}
	return all
}

// Watch looks at the files every PollInterval until ctx ends, and reads those pairs that have changed.
// Each reading is reported once, whether it succeeded or not: a broken file is not reported again until
// it changes.
func (r *Reloader) Watch(ctx context.Context, report func(Reload)) {
	ticks := time.NewTicker(PollInterval)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
			for _, result := range r.reload((*Pair).reloadChanged) {
				report(result)
			}
		}
	}
}

// A Reload is what became of one reading of a pair.
type Reload struct {
	Pair *Pair
	// Err says why the old certificate stays in use; it names the file. Nil when the new one is in use.
	Err error
}

// errStays is added to why a pair could not be read anew.
var errStays = errors.New("the certificate read before stays in use")
