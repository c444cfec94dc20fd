package proxy

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

const crowdSize = 200

// TestParkedCrowd opens many sessions, which cost no goroutine while they are silent, wakes them from both
// sides, and ends them in every way. Nothing is left behind.
func TestParkedCrowd(t *testing.T) {
	loopback(t).Close() // the runtime has its own descriptors
	files := openFiles(t)
	registry := prometheus.NewRegistry()
	c := newCrowd(t, func(o *Options) {
		o.Registry = registry
		o.Limits.PerIP, o.Limits.Exempt = crowdSize, []netip.Prefix{} // they are counted
	})
	idlers := runtime.NumGoroutine()
	guests := make([]*guest, crowdSize)
	c.each(func(i int) (err error) {
		guests[i], err = c.guest(fmt.Sprint("u", i), nil)
		if err == nil && i/10%2 == 0 {
			err = guests[i].rest()
		}
		return err
	})
	c.silent(idlers)
	for range 2 {
		c.each(func(i int) error { return guests[i].wake(c.host(guests[i].user)) })
		c.silent(idlers)
	}
	ids := make(map[string]string)
	for _, one := range c.srv.Sessions() {
		ids[one.User] = one.ID
	}
	c.each(func(i int) error { return c.part(i%10, guests[i], ids[guests[i].user]) })
	over := make(chan struct{})
	go func() { defer close(over); c.end() }()
	c.each(func(i int) error {
		if i%10 > 5 {
			return guests[i].bye()
		}
		return nil
	})
	<-over
	for _, g := range guests {
		g.raw.Close()
	}
	c.nothing(registry)
	c.close()
	c.until("all descriptors are closed", func() bool { return openFiles(t) <= files })
}

// each does something with every session, all at once.
func (c *crowd) each(do func(i int) error) {
	c.t.Helper()
	errs := make([]error, crowdSize)
	var all sync.WaitGroup
	for i := range crowdSize {
		all.Go(func() { errs[i] = do(i) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		c.t.Fatal(err)
	}
}

// silent waits until no session has a goroutine besides that of the backend.
func (c *crowd) silent(idlers int) {
	c.t.Helper()
	c.parked(2 * crowdSize)
	most := idlers + crowdSize + 10
	c.until(fmt.Sprint("no more goroutines than ", most), func() bool { return runtime.NumGoroutine() <= most })
}

// part ends a session, or leaves it to the server's end.
func (c *crowd) part(how int, g *guest, id string) error {
	h := c.host(g.user)
	switch how {
	case 0:
		c.srv.Kick(id)
		return g.bye()
	case 1: // it vanishes
		g.raw.SetLinger(0)
		return g.raw.Close()
	case 2:
		return g.raw.Close()
	case 3:
		return g.leave()
	case 4: // the backend vanishes
		h.raw.SetLinger(0)
		h.raw.Close()
		return g.bye()
	case 5:
		h.raw.Close()
		return g.bye()
	case 6:
		c.srv.Pause(id)
	case 7:
		h.push()
	}
	return nil
}

// leave ends the client's direction, and hears what is owed.
func (g *guest) leave() error {
	tag := g.idle
	if tag == "" {
		tag = g.say("NOOP")
	}
	if err := g.conn.CloseWrite(); err != nil {
		return err
	}
	if err := g.hear(tag + " OK"); err != nil {
		return err
	}
	return g.over()
}

// nothing wants all accounts of a server that has ended to be even.
func (c *crowd) nothing(registry *prometheus.Registry) {
	c.t.Helper()
	s := c.srv
	s.users.mu.Lock()
	defer s.users.mu.Unlock()
	s.addresses.mu.Lock()
	defer s.addresses.mu.Unlock()
	s.lot.mu.Lock()
	defer s.lot.mu.Unlock()
	watched := 0
	for _, one := range s.lot.poller.watching {
		if one != nil {
			watched++
		}
	}
	if n := s.places.inUse() + len(s.registry.all()) + len(s.users.open) + len(s.addresses.open) + len(s.lot.due) + watched; n > 0 {
		c.t.Errorf("left behind: %d places, %d sessions, %d users, %d addresses, %d parked, %d watched",
			s.places.inUse(), len(s.registry.all()), len(s.users.open), len(s.addresses.open), len(s.lot.due), watched)
	}
	families, err := registry.Gather()
	if err != nil {
		c.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.Metric {
			switch f.GetName() {
			case "imapgate_sessions", "imapgate_backend_sessions", "imapgate_commands_in_flight":
				if m.GetGauge().GetValue() != 0 {
					c.t.Errorf("%s is %v", f.GetName(), m)
				}
			}
		}
	}
}
