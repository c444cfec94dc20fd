package main

import (
	"crypto/x509"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/imapgate/imapgate/tlsutil"
)

// figures are what the process tells of itself beside what the proxy tells.
type figures struct {
	registry     *prometheus.Registry
	certificates *prometheus.GaugeVec
	reloadOK     prometheus.Gauge
	reloadTime   prometheus.Gauge
	tables       *prometheus.CounterVec
}

func newFigures() *figures {
	f := &figures{
		registry: prometheus.NewRegistry(),
		certificates: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "imapgate_certificate_not_after_timestamp_seconds",
			Help: "When a certificate for clients or backends ends, in seconds since 1970.",
		}, []string{"name"}),
		reloadOK: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "imapgate_config_last_reload_successful",
			Help: "1 when the last configuration that was read is in use, 0 when it was at fault and the one before is.",
		}),
		reloadTime: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "imapgate_config_last_reload_success_timestamp_seconds",
			Help: "When the configuration in use was read, in seconds since 1970.",
		}),
		tables: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "imapgate_table_reloads_total",
			Help: "Files of users and certificates that were read again, by result: ok or failed (the old content stays in use).",
		}, []string{"table", "result"}),
	}
	f.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		f.certificates, f.reloadOK, f.reloadTime, f.tables)
	return f
}

// reloaded counts the reading of a configuration.
func (f *figures) reloaded(err error) {
	if err != nil {
		f.reloadOK.Set(0)
		return
	}
	f.reloadOK.Set(1)
	f.reloadTime.SetToCurrentTime()
}

// table counts the reading of one file.
func (f *figures) table(name string, err error) {
	result := "ok"
	if err != nil {
		result = "failed"
	}
	f.tables.WithLabelValues(name, result).Inc()
}

// show replaces the certificates that are told about. Of several for one name the first to end counts.
func (f *figures) show(pairs []*tlsutil.Pair) {
	ends := map[string]time.Time{}
	for _, pair := range pairs {
		leaf := pair.Certificate().Leaf
		if end, ok := ends[nameOf(leaf)]; !ok || leaf.NotAfter.Before(end) {
			ends[nameOf(leaf)] = leaf.NotAfter
		}
	}
	f.certificates.Reset()
	for name, end := range ends {
		f.certificates.WithLabelValues(name).Set(float64(end.Unix()))
	}
}

// nameOf is the name that a client would look for.
func nameOf(leaf *x509.Certificate) string {
	if len(leaf.DNSNames) > 0 {
		return leaf.DNSNames[0]
	}
	return leaf.Subject.CommonName
}
