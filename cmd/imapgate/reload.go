package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/imapgate/imapgate/cmd/internal/config"
)

// reloads say when a gate reads its configuration again, and where it then logs to. The zero value never does.
type reloads struct {
	orders <-chan os.Signal
	file   string // for the log
	logTo  io.Writer
}

// keepNew reads the configuration again whenever it is ordered to, and files that it names when they change,
// until ctx ends.
func (g *gate) keepNew(ctx context.Context) {
	for {
		stop := g.watch(ctx, g.config)
		select {
		case <-ctx.Done():
			stop()
			return
		case <-g.reloads.orders:
			stop()
			g.told(g.notify.reloading())
			err := g.reload()
			g.figures.reloaded(err)
			g.tellReload(err)
			g.told(g.notify.ready(g.status()))
		}
	}
}

// watch reads files of the configuration when they change, until stop is called; then nothing is read any
// more.
func (g *gate) watch(ctx context.Context, cfg *config.Config) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		cfg.Watch(ctx, func(r config.Reread) {
			g.reread(r)
			g.figures.show(cfg.Certificates.Pairs())
		})
	}()
	return func() {
		cancel()
		<-done
	}
}

// reread tells what became of a file that was read again.
func (g *gate) reread(r config.Reread) {
	log, table := g.log.Load(), "certificates"
	if r.Users != nil {
		table = r.Users.Name
	}
	g.figures.table(table, r.Err)
	switch {
	case r.Err != nil:
		log.Error("a file was not taken over", "table", table, "error", r.Err)
	case r.Users != nil:
		log.Info("users were read again", "table", table, "entries", r.Users.Len())
	default:
		leaf := r.Certificate.Certificate().Leaf
		log.Info("a certificate was read again", "file", r.Certificate.CertFile, "name", nameOf(leaf), "until", leaf.NotAfter)
	}
}

// tellReload logs what became of a reload, each mistake in a line of its own.
func (g *gate) tellReload(err error) {
	log := g.log.Load()
	if err == nil {
		log.Info("reloaded", "config", g.reloads.file)
		return
	}
	faults := config.Faults(nil)
	if !errors.As(err, &faults) {
		log.Error("not reloaded; the configuration stays as it was", "error", err)
		return
	}
	for _, fault := range faults {
		log.Error("mistake in the configuration", "error", fault)
	}
	log.Error("not reloaded; the configuration stays as it was", "mistakes", len(faults))
}

// reload lets the configuration count for what comes from now on. After an error nothing has changed.
func (g *gate) reload() error {
	cfg, err := g.config.Reload()
	if err != nil {
		return err
	}
	log := cfg.Log.Logger(g.reloads.logTo)
	options := g.options(cfg, log)
	if err := g.server.Reload(options); err != nil {
		return err
	}
	cfg.TakeOver(g.config)
	old := g.config
	g.config = cfg
	g.log.Store(log)
	g.drain.Store(int64(options.Timeouts.Drain))
	g.tell(cfg.Notes, old.Notes)
	g.exchange()
	for _, r := range cfg.Rereads {
		g.reread(r)
	}
	g.figures.show(cfg.Certificates.Pairs())
	return nil
}

// exchange gives the open ports the listeners of the new configuration, and tells what only a restart can do.
// Settings are meant for one address: on a port that is not theirs they could open a way in that nobody
// wrote, so a port without settings of its own keeps the last ones that it had.
func (g *gate) exchange() {
	log := g.log.Load()
	left := map[string]*door{}
	for _, d := range g.doors {
		left[d.name] = d
	}
	for _, settings := range g.config.Listeners {
		d := left[settings.Name]
		if d == nil {
			log.Warn("a new listener needs a restart", "listener", settings.Name, "address", settings.Address)
			continue
		}
		delete(left, settings.Name)
		if d.address != settings.Address || d.mode != settings.Mode {
			log.Warn("another address or mode of a listener needs a restart; until then its port keeps its settings", "listener", d.name, "address", d.address, "new_address", settings.Address)
			continue
		}
		d.give(settings.On(d.port))
	}
	for name, d := range left {
		log.Warn("a listener that was removed stays open until a restart", "listener", name, "address", d.address)
	}
	if g.metricsAddress != g.config.MetricsAddress {
		log.Warn("another address for metrics needs a restart", "address", g.metricsAddress, "new_address", g.config.MetricsAddress)
	}
}

// status is one line about the gate for the service manager.
func (g *gate) status() string {
	return fmt.Sprintf("Serving %d listeners", len(g.doors))
}
