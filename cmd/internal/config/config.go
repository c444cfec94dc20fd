package config

import (
	"crypto/tls"
	"io"
	"log/slog"

	"github.com/imapgate/imapgate/proxy"
	"github.com/imapgate/imapgate/tlsutil"
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
	// Certificates are all that the file names, for listeners and for backends. The TLSConfig of Listeners
	// is this one's.
	Certificates *tlsutil.Reloader
	// Users are the users_files, each once.
	Users []*UsersFile
	// Rereads say what became of the users_files in a Reload; nil after Load.
	Rereads []Reread

	options   proxy.Options
	serverTLS *tls.Config // nil without a certificate
	policies  *policies
	file      string
	keys      *file
	record    *record
}

// Options returns what the proxy runs with. Log, Registry and Version are the caller's to fill in.
func (c *Config) Options() proxy.Options { return c.options }

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
