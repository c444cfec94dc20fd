package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/imapgate/imapgate/cmd/internal/config"
	"github.com/imapgate/imapgate/proxy"
)

// A gate is a proxy with all its ports open.
type gate struct {
	server         *proxy.Server
	doors          []*door
	metrics        net.Listener // nil for none
	metricsAddress string       // as configured when metrics was opened
	figures        *figures
	notify         *notifier
	reloads        reloads
	config         *config.Config // what counts; touched by keepNew alone once the gate runs

	log   atomic.Pointer[slog.Logger]
	drain atomic.Int64 // timeouts.drain
}

// openGate opens every port of the configuration, or none: what was open is closed when one fails.
func openGate(ctx context.Context, cfg *config.Config, log *slog.Logger, listen config.ListenFunc) (*gate, error) {
	g := &gate{config: cfg, figures: newFigures(), notify: &notifier{}}
	g.log.Store(log)
	g.tell(cfg.Notes, nil)
	options := g.options(cfg, log)
	server, err := proxy.NewServer(options)
	if err != nil {
		return nil, fmt.Errorf("make the proxy: %w", err)
	}
	g.server = server
	g.drain.Store(int64(options.Timeouts.Drain))
	if err := g.open(ctx, cfg, listen); err != nil {
		g.close()
		return nil, err
	}
	g.figures.show(cfg.Certificates.Pairs())
	g.figures.reloaded(nil)
	return g, nil
}

// options completes what a configuration says.
func (g *gate) options(cfg *config.Config, log *slog.Logger) proxy.Options {
	options := cfg.Options()
	options.Log, options.Version, options.Registry = log, version(), g.figures.registry
	return options
}

// tell logs the notes that were not told before.
func (g *gate) tell(notes, before []string) {
	for _, note := range notes {
		if !slices.Contains(before, note) {
			g.log.Load().Warn(note)
		}
	}
}

func (g *gate) open(ctx context.Context, cfg *config.Config, listen config.ListenFunc) error {
	log := g.log.Load()
	for _, settings := range cfg.Listeners {
		ln, err := settings.Open(ctx, listen)
		if err != nil {
			return explainListen(err)
		}
		d := newDoor(settings, ln.Listener)
		d.give(ln)
		g.doors = append(g.doors, d)
		log.Info("listening", "listener", ln.Name, "address", ln.Addr().String(), "tls", string(ln.TLS))
	}
	g.metricsAddress = cfg.MetricsAddress
	if cfg.MetricsAddress == "" {
		return nil
	}
	ln, err := listen(ctx, "tcp", cfg.MetricsAddress)
	if err != nil {
		return explainListen(fmt.Errorf("metrics: %w", err))
	}
	g.metrics = ln
	log.Info("metrics", "url", "http://"+ln.Addr().String()+"/metrics")
	return nil
}

// explainListen adds what to do about the two usual reasons.
func explainListen(err error) error {
	switch {
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%w; ports below 1024 need root, CAP_NET_BIND_SERVICE or AmbientCapabilities= in systemd", err)
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%w; another process has this port: end it or write another address", err)
	}
	return err
}

// close closes the ports of a gate that does not run.
func (g *gate) close() {
	for _, d := range g.doors {
		d.close()
	}
	if g.metrics != nil {
		g.metrics.Close()
	}
}

// run serves until drain ends or a port fails, then drains: until all sessions are over, timeouts.drain has
// passed, or hard ends. The error says what failed, or that sessions were cut. No port is open afterwards.
func (g *gate) run(drain, hard context.Context) error {
	ctx, cancel := context.WithCancel(context.WithoutCancel(hard))
	defer cancel()
	var tasks sync.WaitGroup
	defer tasks.Wait()
	draining, startDrain := context.WithCancel(drain)
	defer startDrain()
	tasks.Go(func() { g.keepNew(draining) })
	tasks.Go(func() { g.watchdog(ctx) })
	ended, metrics := make(chan error), g.metricsServer()
	running := g.start(ctx, metrics, ended)

	var failed error
	select {
	case <-drain.Done():
	case failed = <-ended:
		running--
	}
	startDrain()
	cut := g.shutdown(hard)
	cancel()
	metrics.Close() // last, so that the drain can be watched
	for range running {
		failed = errors.Join(failed, <-ended)
	}
	if err := errors.Join(failed, cut); err != nil {
		return err
	}
	g.log.Load().Info("ended")
	return nil
}

// start serves every port, and returns how many errors are going to come from ended.
func (g *gate) start(ctx context.Context, metrics *http.Server, ended chan<- error) int {
	for _, d := range g.doors {
		go func() { ended <- g.serve(ctx, d) }()
	}
	if g.metrics == nil {
		return len(g.doors)
	}
	go func() { ended <- g.serveMetrics(metrics) }()
	return len(g.doors) + 1
}

// serve lets listeners serve a door until one ends that no reload has ended.
func (g *gate) serve(ctx context.Context, d *door) error {
	defer d.close()
	for {
		turn := d.turn()
		if err := g.server.Serve(ctx, turn.listener); err != nil {
			return fmt.Errorf("listener %s: %w", d.name, err)
		}
		if d.turn() == turn {
			return nil
		}
	}
}

// watchdog tells the service manager that the process lives, as long as the server answers.
func (g *gate) watchdog(ctx context.Context) {
	g.notify.watch(ctx, func() { g.server.Sessions() }, g.told)
}

// told logs that the service manager could not be told; that is no reason to stop.
func (g *gate) told(err error) {
	if err != nil {
		g.log.Load().Warn("the service manager does not know", "error", err)
	}
}

var errDrainTime = errors.New("timeouts.drain has passed")

func (g *gate) shutdown(hard context.Context) error {
	timeout := time.Duration(g.drain.Load())
	g.log.Load().Info("draining", "sessions", len(g.server.Sessions()), "timeout", timeout)
	g.told(g.notify.stopping(timeout))
	ctx, cancel := context.WithTimeoutCause(hard, timeout, errDrainTime)
	defer cancel()
	err := g.server.Shutdown(ctx)
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("drain: sessions were cut: %w", context.Cause(ctx))
	}
	return err
}

// metricsServer gives no client the means to hold on to a connection.
func (g *gate) metricsServer() *http.Server {
	return &http.Server{
		Handler:           g.server.Handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(g.log.Load().Handler(), slog.LevelWarn),
	}
}

func (g *gate) serveMetrics(server *http.Server) error {
	if err := server.Serve(g.metrics); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("metrics: %w", err)
	}
	return nil
}
