package config

import (
	"crypto/tls"
	"net"
	"net/netip"
	"time"

	"github.com/imapgate/imapgate/proxy/backend"
	"github.com/imapgate/imapgate/tlsutil"
)

func (l *loader) backends() map[string]*backend.Config {
	out := make(map[string]*backend.Config, len(l.f.Backends))
	for _, name := range sortedKeys(l.f.Backends) {
		b := l.f.Backends[name]
		out[name] = &backend.Config{
			Name:            name,
			Address:         b.Address,
			TLS:             backend.Mode(b.TLS),
			TLSConfig:       l.clientTLS("backends."+name, b),
			EagerLiterals:   b.EagerLiterals,
			SourceAddresses: addresses(b.SourceAddresses),
			ProxyProtocol:   backend.ProxyHeader(b.ProxyProtocol),
			ForwardID:       backend.ForwardOff,
			Reuse: backend.Reuse{
				Idle:        time.Duration(b.Reuse.Idle),
				Life:        time.Duration(b.Reuse.Life),
				Connections: int(b.Reuse.Connections),
				PerUser:     int(b.Reuse.PerUser),
			},
			Ready:   int(b.Ready),
			Connect: time.Duration(l.f.Timeouts.Connect),
		}
		if b.ForwardID {
			out[name].ForwardID = backend.ForwardDovecot
		}
	}
	return out
}

func addresses(list []ipAddress) (out []netip.Addr) {
	for _, a := range list {
		out = append(out, netip.Addr(a))
	}
	return out
}

// clientTLS returns nil for a backend without TLS, and for one whose keys are at fault.
func (l *loader) clientTLS(key string, b backendBlock) *tls.Config {
	host, _, err := net.SplitHostPort(b.Address)
	if b.TLS == "none" || err != nil || host == "" {
		return nil
	}
	client := tlsutil.Client{ServerName: host, Pin: b.TLSVerify.PinSHA256, MinVersion: tlsVersion(b.MinVersion)}
	if b.TLSVerify.ServerName != "" {
		client.ServerName = b.TLSVerify.ServerName
	}
	if b.TLSVerify.InsecureSkip {
		client.Verification = tlsutil.InsecureSkip
		l.note("the certificate of the backend %s is not verified (insecure_skip)", key[len("backends."):])
	}
	for _, name := range b.OldCiphers {
		if id, err := tlsutil.OldCipher(name); err == nil {
			client.OldCiphers = append(client.OldCiphers, id)
		}
	}
	l.clientFiles(key, b, &client)
	config, err := client.Config()
	if err != nil {
		l.add(key+".tls_verify.pin_sha256", "%s; %s prints it", err,
			"openssl x509 -in CERT -noout -pubkey | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64")
	}
	return config
}

// clientFiles reads what a backend's TLS needs from files.
func (l *loader) clientFiles(key string, b backendBlock, client *tlsutil.Client) {
	if ca := b.TLSVerify.CAFile; ca != "" {
		roots, err := tlsutil.LoadRoots(l.path(ca))
		if err != nil {
			l.add(key+".tls_verify.ca_file", "%s; %s", err, adviceOnFile(err, "give it the path of a PEM file with the authority's certificate"))
		}
		client.Roots = roots
	}
	if key += ".client_cert"; l.written(key) {
		if client.Certificate = l.pair(key, b.ClientCert); client.Certificate != nil {
			l.pairs = append(l.pairs, client.Certificate)
		}
	}
}
