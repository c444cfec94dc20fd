package main

import (
	"crypto/tls"
	"crypto/x509"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/imapgate/imapgate/cmd/internal/config"
)

// newRegistry returns a registry with what the process tells of itself and when certificates end.
func newRegistry(cfg *config.Config) *prometheus.Registry {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	ends := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "imapgate_certificate_not_after_timestamp_seconds",
		Help: "When a certificate that is shown to clients ends, in seconds since 1970.",
	}, []string{"name"})
	reg.MustRegister(ends)
	for _, ln := range cfg.Listeners {
		if ln.TLSConfig == nil {
			continue
		}
		for _, cert := range ln.TLSConfig.Certificates {
			if leaf := leafOf(cert); leaf != nil {
				ends.WithLabelValues(nameOf(leaf)).Set(float64(leaf.NotAfter.Unix()))
			}
		}
	}
	return reg
}

func leafOf(cert tls.Certificate) *x509.Certificate {
	if cert.Leaf != nil {
		return cert.Leaf
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		return nil
	}
	return leaf
}

// nameOf is the name that a client would look for.
func nameOf(leaf *x509.Certificate) string {
	if len(leaf.DNSNames) > 0 {
		return leaf.DNSNames[0]
	}
	return leaf.Subject.CommonName
}
