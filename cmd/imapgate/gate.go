package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/imapgate/imapgate/cmd/internal/config"
	"github.com/imapgate/imapgate/proxy"
)

// A gate is a proxy with all its ports open.
type gate struct {
	log       *slog.Logger
	drain     time.Duration
	server    *proxy.Server
	listeners []*proxy.Listener
	metrics   net.Listener // nil for none
}

// openGate opens every port of the configuration, or none: what was open is closed when one fails.
func openGate(ctx context.Context, cfg *config.Config, log *slog.Logger, listen config.ListenFunc) (*gate, error) {
	for _, note := range cfg.Notes {
		log.Warn(note)
	}
	options := cfg.Options()
	options.Log, options.Version, options.Registry = log, version(), newRegistry(cfg)
	server, err := proxy.NewServer(options)
	if err != nil {
		return nil, fmt.Errorf("make the proxy: %w", err)
	}
	g := &gate{log: log, drain: options.Timeouts.Drain, server: server}
	if err := g.open(ctx, cfg, listen); err != nil {
		g.close()
		return nil, err
	}
	return g, nil
}

func (g *gate) open(ctx context.Context, cfg *config.Config, listen config.ListenFunc) error {
	for _, door := range cfg.Listeners {
		ln, err := door.Open(ctx, listen)
		if err != nil {
			return explainListen(err)
		}
		g.listeners = append(g.listeners, ln)
		g.log.Info("listening", "listener", ln.Name, "address", ln.Addr().String(), "tls", string(ln.TLS))
	}
	if cfg.MetricsAddress == "" {
		return nil
	}
	ln, err := listen(ctx, "tcp", cfg.MetricsAddress)
	if err != nil {
		return explainListen(fmt.Errorf("metrics: %w", err))
	}
	g.metrics = ln
	g.log.Info("metrics", "url", "http://"+ln.Addr().String()+"/metrics")
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
	for _, ln := range g.listeners {
		ln.Close()
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
	ended, metrics := make(chan error), g.metricsServer()
	running := len(g.listeners)
	for _, ln := range g.listeners {
		go func() { ended <- g.serve(ctx, ln) }()
	}
	if g.metrics != nil {
		running++
		go func() { ended <- g.serveMetrics(metrics) }()
	}

	var failed error
	select {
	case <-drain.Done():
	case failed = <-ended:
		running--
	}
	cut := g.shutdown(hard)
	cancel()
	metrics.Close() // last, so that the drain can be watched
	for range running {
		failed = errors.Join(failed, <-ended)
	}
	if err := errors.Join(failed, cut); err != nil {
		return err
	}
	g.log.Info("ended")
	return nil
}

func (g *gate) serve(ctx context.Context, ln *proxy.Listener) error {
	if err := g.server.Serve(ctx, ln); err != nil {
		return fmt.Errorf("listener %s: %w", ln.Name, err)
	}
	return nil
}

var errDrainTime = errors.New("timeouts.drain has passed")

func (g *gate) shutdown(hard context.Context) error {
	g.log.Info("draining", "sessions", len(g.server.Sessions()), "timeout", g.drain)
	ctx, cancel := context.WithTimeoutCause(hard, g.drain, errDrainTime)
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
		ErrorLog:          slog.NewLogLogger(g.log.Handler(), slog.LevelWarn),
	}
}

func (g *gate) serveMetrics(server *http.Server) error {
	if err := server.Serve(g.metrics); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("metrics: %w", err)
	}
	return nil
}
