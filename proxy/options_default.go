package proxy

import (
	"log/slog"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// defaultPark is the default of Timeouts.Park. A test makes it the shortest there is.
var defaultPark = 500 * time.Millisecond

// withDefaults returns o with every zero field that has a default set to it.
func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Registry == nil {
		o.Registry = prometheus.NewRegistry()
	}
	if o.Version == "" {
		o.Version = "unknown"
	}
	or(&o.Limits.Connections, 20000)
	or(&o.Limits.PerIP, 100)
	or(&o.Limits.PerUser, 50)
	if o.Limits.Exempt == nil {
		o.Limits.Exempt = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	}
	or(&o.Limits.PreauthLine, 16<<10)
	or(&o.Limits.Line, 64<<10)
	or(&o.Limits.Literal, 64<<10)
	or(&o.Limits.Compressed, 1000)
	or(&o.Timeouts.Handshake, 10*time.Second)
	or(&o.Timeouts.Preauth, 60*time.Second)
	or(&o.Timeouts.Connect, 10*time.Second)
	or(&o.Timeouts.Login, 30*time.Second)
	or(&o.Timeouts.Response, 5*time.Minute)
	or(&o.Timeouts.Idle, 31*time.Minute)
	or(&o.Timeouts.Write, 60*time.Second)
	or(&o.Timeouts.Park, defaultPark)
	or(&o.Timeouts.Drain, 5*time.Minute)
	return o
}

func or[T int | int64 | time.Duration](v *T, preset T) {
	if *v == 0 {
		*v = preset
	}
}
