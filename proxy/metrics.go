package proxy

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/imapgate/imapgate/proxy/translate"
)

// metrics are the figures of one Server. No label holds a user or an address; command names come from
// the command table.
type metrics struct {
	connections  *prometheus.CounterVec
	sessions     *prometheus.GaugeVec
	refusals     *prometheus.CounterVec
	handshakes   *prometheus.CounterVec
	logins       *prometheus.CounterVec
	loginTime    *prometheus.HistogramVec
	connectTime  *prometheus.HistogramVec
	perBackend   *prometheus.GaugeVec
	commands     *prometheus.CounterVec
	commandTime  *commandTimes
	inFlight     *prometheus.GaugeVec
	translations *prometheus.CounterVec
	filtered     *prometheus.CounterVec
	routes       *prometheus.CounterVec
	violations   *prometheus.CounterVec
	reuses       *prometheus.CounterVec
	spares       *prometheus.GaugeVec
	ready        *prometheus.CounterVec
	build        *prometheus.GaugeVec

	backends sync.Map // name -> *backendMetrics
}

func newMetrics(reg prometheus.Registerer, version string) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "imapgate_" + name, Help: help}, labels)
		reg.MustRegister(v)
		return v
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "imapgate_" + name, Help: help}, labels)
		reg.MustRegister(v)
		return v
	}
	histogram := func(name, help string, labels ...string) *prometheus.HistogramVec {
		v := prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "imapgate_" + name, Help: help,
			Buckets:                     durationBounds[:],
			NativeHistogramBucketFactor: 1.2, NativeHistogramMaxBucketNumber: 60,
			NativeHistogramMinResetDuration: time.Hour,
		}, labels)
		reg.MustRegister(v)
		return v
	}
	m := &metrics{
		connections:  counter("connections_total", "Connections accepted from clients.", "listener"),
		sessions:     gauge("sessions", "Open client connections by phase: preauth, relay.", "listener", "phase"),
		refusals:     counter("refusals_total", "Connections and logins that were refused, and why.", "reason"),
		handshakes:   counter("tls_handshakes_total", "TLS handshakes with clients.", "listener", "version", "result"),
		logins:       counter("logins_total", "Logins answered by backends.", "backend", "mechanism", "result"),
		loginTime:    histogram("login_duration_seconds", "Time to connect to a backend and log in there, also where that fails.", "backend"),
		connectTime:  histogram("backend_connect_duration_seconds", "Time to connect to a backend: dial, TLS, greeting.", "backend", "result"),
		perBackend:   gauge("backend_sessions", "Sessions that are logged in at a backend.", "backend"),
		commands:     counter("commands_total", "Client commands by how they were answered.", "command", "backend", "result"),
		commandTime:  newCommandTimes("imapgate_command_duration_seconds", "Time from a command's first line to its tagged answer; IDLE is left out."),
		inFlight:     gauge("commands_in_flight", "Commands that were sent to a backend and not answered yet.", "backend"),
		translations: counter("translations_total", "Commands answered by a translation.", "translation", "result"),
		filtered:     counter("capability_filtered_total", "Commands of clients that used a capability which they were not offered, by its name.", "capability"),
		routes:       counter("route_decisions_total", "Routing decisions; pool is empty where a route names a backend.", "route", "pool"),
		violations:   counter("protocol_violations_total", "What backends did against the protocol.", "backend", "kind"),
		reuses:       counter("backend_reuse_total", "Connections to a backend that a session has left, or that waited, and what became of them.", "backend", "result"),
		spares:       gauge("backend_spare_connections", "Connections to a backend that are logged in and wait for their user.", "backend"),
		ready:        counter("backend_ready_total", "Connections to a backend that were made ahead of logins, and what became of them.", "backend", "result"),
		build:        gauge("build_info", "Always 1; the version is in the label.", "version"),
	}
	reg.MustRegister(m.commandTime)
	m.build.WithLabelValues(version).Set(1)
	return m
}

// countBytes registers bytes_total, which is read from the sessions when somebody asks: nothing is
// counted twice, and a session that lasts for days is seen while it lasts.
func countBytes(reg prometheus.Registerer, r *registry) {
	for direction, read := range map[string]func() int64{"up": r.bytesUp, "down": r.bytesDown} {
		reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "imapgate_bytes_total", Help: "Octets carried for logged-in clients above TLS: up is towards backends.",
			ConstLabels: prometheus.Labels{"direction": direction},
		}, func() float64 { return float64(read()) }))
	}
}

func (m *metrics) handshake(listener, version, result string) {
	m.handshakes.WithLabelValues(listener, version, result).Inc()
}

// A backendMetrics holds the handles of one backend. They are resolved once, never per message.
type backendMetrics struct {
	m        *metrics
	name     string
	inFlight prometheus.Gauge
	sessions prometheus.Gauge
	commands []atomic.Pointer[commandMetrics] // by the command's index; 0 is other
}

type commandMetrics struct {
	ok, no, bad, lost prometheus.Counter
	time              *durations
}

// resultLost is the result of a command whose answer never came.
const resultLost = "lost"

func (m *metrics) backend(name string) *backendMetrics {
	if b, ok := m.backends.Load(name); ok {
		return b.(*backendMetrics)
	}
	b, _ := m.backends.LoadOrStore(name, &backendMetrics{
		m: m, name: name,
		inFlight: m.inFlight.WithLabelValues(name),
		sessions: m.perBackend.WithLabelValues(name),
		commands: make([]atomic.Pointer[commandMetrics], translate.Rows()+1),
	})
	return b.(*backendMetrics)
}

// other stands for commands that pass without being in the command table.
var other = &translate.Command{Label: translate.OtherLabel}

func (b *backendMetrics) command(cmd *translate.Command) *commandMetrics {
	if c := b.commands[cmd.Index].Load(); c != nil {
		return c
	}
	count := func(result string) prometheus.Counter {
		return b.m.commands.WithLabelValues(cmd.Label, b.name, result)
	}
	c := &commandMetrics{
		ok: count("ok"), no: count("no"), bad: count("bad"), lost: count(resultLost),
		time: b.m.commandTime.with(cmd.Label, b.name),
	}
	b.commands[cmd.Index].Store(c) // whoever comes at the same time has the same handles
	return c
}

// answered counts one answer.
func (b *backendMetrics) answered(e *entry, typ string, now time.Duration) {
	if e.kind == passed {
		b.inFlight.Dec()
	}
	b.count(e, typ, now, 1)
}

// answeredAll counts the answers to commands that passed: as one what came and went together.
func (b *backendMetrics) answeredAll(all []*entry, now time.Duration) {
	b.inFlight.Sub(float64(len(all)))
	for len(all) > 0 {
		e, n := all[0], 1
		for n < len(all) && all[n].cmd == e.cmd && all[n].start == e.start && all[n].result == e.result {
			n++
		}
		b.count(e, e.result, now, n)
		all = all[n:]
	}
}

// count counts n answers like that to e. IDLE's duration is the user's patience, not a backend's.
func (b *backendMetrics) count(e *entry, typ string, now time.Duration, n int) {
	c := b.command(e.cmd)
	result := c.lost
	switch typ {
	case "OK":
		result = c.ok
	case "NO":
		result = c.no
	case "BAD":
		result = c.bad
	}
	result.Add(float64(n))
	if result != c.lost && e.cmd.Name != "IDLE" {
		c.time.observe(now-e.start, uint64(n))
	}
}

func (m *metrics) translated(name, result string) {
	m.translations.WithLabelValues(name, strings.ToLower(result)).Inc()
}
