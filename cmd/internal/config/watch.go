package config

import (
	"context"
	"sync"
	"time"

	"github.com/imapgate/imapgate/routing/lookup/usersfile"
	"github.com/imapgate/imapgate/tlsutil"
)

// A Reread is one reading of a file that the configuration names, after the first.
type Reread struct {
	// Exactly one of these is not nil.
	Users       *UsersFile
	Certificate *tlsutil.Pair
	// Result is a word for metrics where Users is not nil.
	Result usersfile.Result
	// Err says why the old content stays in use; nil when the new one is in use.
	Err error
}

// Watch looks every [tlsutil.PollInterval] whether a certificate or a users_file has changed and reads it
// anew, until ctx ends. report is called from one goroutine at a time. A certificate or a table whose new
// content cannot be used is kept.
func (c *Config) Watch(ctx context.Context, report func(Reread)) {
	var mu sync.Mutex
	tell := func(r Reread) {
		mu.Lock()
		defer mu.Unlock()
		report(r)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.Certificates.Watch(ctx, func(r tlsutil.Reload) { tell(Reread{Certificate: r.Pair, Err: r.Err}) })
	}()
	c.watchUsers(ctx, tell)
	<-done
}

func (c *Config) watchUsers(ctx context.Context, report func(Reread)) {
	ticks := time.NewTicker(tlsutil.PollInterval)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
			for _, u := range c.Users {
				if o, news := u.Poll(); news {
					report(Reread{Users: u, Result: o.Result, Err: o.Err})
				}
			}
		}
	}
}

// Reload loads the file of c anew, to take the place of c. Its errors are those of [Load]; c is as it was
// then. A users_file that cannot be read, or whose content is not acceptable, is no error: it keeps the
// content that it has in c, and Rereads says so.
//
// The routing table has the state of c's. Call [Config.TakeOver] when the new configuration is in use.
func (c *Config) Reload() (*Config, error) { return load(c.file, descriptorLimit(), c) }

// TakeOver makes the listeners that were opened with old present the certificates of c, and c to present
// them in its further life, so that clients can resume their TLS sessions. It cannot fail.
func (c *Config) TakeOver(old *Config) {
	if old.serverTLS == nil {
		return
	}
	old.Certificates.Adopt(c.Certificates)
	c.Certificates, c.serverTLS = old.Certificates, old.serverTLS
	for i := range c.Listeners {
		if c.Listeners[i].TLSConfig != nil {
			c.Listeners[i].TLSConfig = c.serverTLS
		}
	}
}
