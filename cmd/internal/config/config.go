package config

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"

	"github.com/imapgate/imapgate/proxy"
)

// A Config is a sound configuration.
type Config struct {
	// Listeners are the doors to open, in the order of the file.
	Listeners []Listener
	// MetricsAddress is host:port of the metrics server; empty for none.
	MetricsAddress string
	// Log says how the process logs.
	Log Log
	// Notes are for the operator to read at the start: what was adapted, and what is allowed but odd.
	Notes []string

	options proxy.Options
}

// Options returns what the proxy runs with. Log, Registry and Version are the caller's to fill in.
func (c *Config) Options() proxy.Options { return c.options }

// A Listener is a door that is not open yet.
type Listener struct {
	Name                string
	Address             string // host:port; an empty host is every address of the machine
	TLS                 proxy.TLSMode
	TLSConfig           *tls.Config // nil with proxy.NoTLS
	AllowPlaintextLogin bool
}

// A ListenFunc opens a port, as [net.ListenConfig] does.
type ListenFunc func(ctx context.Context, network, address string) (net.Listener, error)

// Open opens the port. The error names the listener.
func (l Listener) Open(ctx context.Context, listen ListenFunc) (*proxy.Listener, error) {
	ln, err := listen(ctx, "tcp", l.Address)
	if err != nil {
		return nil, fmt.Errorf("listener %s: %w", l.Name, err)
	}
	return &proxy.Listener{
		Name:                l.Name,
		Listener:            ln,
		TLS:                 l.TLS,
		TLSConfig:           l.TLSConfig,
		AllowPlaintextLogin: l.AllowPlaintextLogin,
	}, nil
}

// Log says what is logged and in which form.
type Log struct {
	Level  slog.Level
	Format string // text or json
}

// Logger returns a logger that writes to w.
func (l Log) Logger(w io.Writer) *slog.Logger {
	o := &slog.HandlerOptions{Level: l.Level}
	if l.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}
