package config

import (
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/imapgate/imapgate/proxy"
	"github.com/imapgate/imapgate/proxy/backend"
	"github.com/imapgate/imapgate/proxy/translate"
	"github.com/imapgate/imapgate/routing"
	"github.com/imapgate/imapgate/tlsutil"
)

// config checks the keys and builds everything that they describe, and reports all faults of both.
func (l *loader) config() (*Config, error) {
	if l.faulty("") {
		return nil, l.err() // no key could be read: what is missing is not known
	}
	l.check()
	options := proxy.Options{
		Backends: l.backends(),
		Table:    l.table(),
		Policy:   l.policy(),
		Limits:   l.limits(),
		Timeouts: l.timeouts(),
	}
	c := &Config{
		Listeners:      l.listeners(l.serverTLS()),
		MetricsAddress: l.f.Metrics.Address,
		Log:            l.log(),
		Notes:          l.notes,
		options:        options,
	}
	if err := l.err(); err != nil {
		return nil, err
	}
	return c, nil
}

// path resolves a path of the file.
func (l *loader) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(l.dir, name)
}

func (l *loader) listeners(config *tls.Config) []Listener {
	out := make([]Listener, len(l.f.Listeners))
	for i, ln := range l.f.Listeners {
		out[i] = Listener{
			Name:                ln.Name,
			Address:             ln.Address,
			TLS:                 proxy.TLSMode(ln.TLS),
			AllowPlaintextLogin: ln.AllowPlaintextLogin,
		}
		if out[i].TLS != proxy.NoTLS {
			out[i].TLSConfig = config
		}
	}
	return out
}

// serverTLS returns nil when there is no certificate.
func (l *loader) serverTLS() *tls.Config {
	server := tlsutil.Server{MinVersion: tls.VersionTLS12}
	if l.f.TLS.MinVersion == "1.3" {
		server.MinVersion = tls.VersionTLS13
	}
	for i, files := range l.f.TLS.Certificates {
		key := fmt.Sprintf("tls.certificates[%d]", i)
		if cert, ok := l.certificate(key, files); ok {
			server.Certificates = append(server.Certificates, cert)
		}
	}
	if len(server.Certificates) == 0 {
		return nil
	}
	config, err := server.Config()
	if err != nil {
		l.add("tls", "%s; look at the keys below tls", err)
	}
	return config
}

func (l *loader) certificate(key string, files certificate) (tls.Certificate, bool) {
	if files.Cert == "" {
		l.add(key+".cert", "there is no certificate; write the path of a PEM file with the certificate and its chain")
	}
	if files.Key == "" {
		l.add(key+".key", "there is no key; write the path of a PEM file with the certificate's private key")
	}
	if files.Cert == "" || files.Key == "" {
		return tls.Certificate{}, false
	}
	cert, err := tlsutil.LoadCertificate(l.path(files.Cert), l.path(files.Key))
	if err != nil {
		l.add(key, "%s; give cert and key the paths of a PEM certificate and its own key", err)
		return cert, false
	}
	if end := cert.Leaf.NotAfter; time.Now().After(end) {
		l.note("the certificate %s has expired on %s", files.Cert, end.Format(time.DateOnly))
	}
	return cert, true
}

func (l *loader) backends() map[string]*backend.Config {
	out := make(map[string]*backend.Config, len(l.f.Backends))
	for _, name := range slices.Sorted(maps.Keys(l.f.Backends)) {
		b := l.f.Backends[name]
		out[name] = &backend.Config{
			Name:          name,
			Address:       b.Address,
			TLS:           backend.Mode(b.TLS),
			TLSConfig:     l.clientTLS("backends."+name, b),
			EagerLiterals: b.EagerLiterals,
			Connect:       time.Duration(l.f.Timeouts.Connect),
		}
	}
	return out
}

// clientTLS returns nil for a backend without TLS, and for one whose keys are at fault.
func (l *loader) clientTLS(key string, b backendBlock) *tls.Config {
	host, _, err := net.SplitHostPort(b.Address)
	if b.TLS == "none" || err != nil || host == "" {
		return nil
	}
	client := tlsutil.Client{ServerName: host, Pin: b.TLSVerify.PinSHA256}
	if b.TLSVerify.ServerName != "" {
		client.ServerName = b.TLSVerify.ServerName
	}
	if b.TLSVerify.InsecureSkip {
		client.Verification = tlsutil.InsecureSkip
		l.note("the certificate of the backend %s is not verified (insecure_skip)", key[len("backends."):])
	}
	if ca := b.TLSVerify.CAFile; ca != "" {
		if client.Roots, err = tlsutil.LoadRoots(l.path(ca)); err != nil {
			l.add(key+".tls_verify.ca_file", "%s; give it the path of a PEM file with the authority's certificate", err)
		}
	}
	config, err := client.Config()
	if err != nil {
		l.add(key+".tls_verify.pin_sha256", "%s; %s prints it", err,
			"openssl x509 -in CERT -noout -pubkey | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64")
	}
	return config
}

// table returns nil when the routes are at fault.
func (l *loader) table() *routing.Table {
	config := routing.Config{Backends: slices.Sorted(maps.Keys(l.f.Backends))}
	for i, r := range l.f.Routes {
		config.Routes = append(config.Routes, routing.Route{
			Name:    fmt.Sprintf("routes[%d]", i),
			User:    r.Match.User,
			Backend: r.Backend,
		})
	}
	table, err := routing.NewTable(config)
	if err != nil {
		l.addMistakes(err)
	}
	return table
}

// addMistakes adds what the routing table found, one fault for each mistake.
func (l *loader) addMistakes(err error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, err := range joined.Unwrap() {
			l.addMistakes(err)
		}
		return
	}
	mistake := (*routing.Mistake)(nil)
	if !errors.As(err, &mistake) {
		l.add("routes", "%s; look at match and backend of the routes", err)
		return
	}
	key, isUser := strings.CutSuffix(mistake.Key, ".user")
	if isUser {
		key += ".match.user"
	}
	l.add(key, "%s", mistake.Text)
}

func (l *loader) policy() translate.Policy {
	p := translate.DefaultPolicy()
	p.XGWMove = translate.XGWMove(l.f.Policy.XGWMove)
	p.Move = translate.Move(l.f.Policy.Move)
	p.PassCommands = l.f.Policy.PassCommands
	return p
}

func (l *loader) limits() proxy.Limits {
	return proxy.Limits{
		Connections: l.f.Limits.Connections,
		PreauthLine: int(l.f.Limits.PreauthLine),
		Line:        int(l.f.Limits.Line),
		Literal:     int64(l.f.Limits.Literal),
		Append:      int64(l.f.Limits.Append),
	}
}

func (l *loader) timeouts() proxy.Timeouts {
	t := l.f.Timeouts
	return proxy.Timeouts{
		Handshake: time.Duration(t.Handshake),
		Preauth:   time.Duration(t.Preauth),
		Connect:   time.Duration(t.Connect),
		Login:     time.Duration(t.Login),
		Response:  time.Duration(t.Response),
		Idle:      time.Duration(t.Idle),
		Write:     time.Duration(t.Write),
		Drain:     time.Duration(t.Drain),
	}
}

func (l *loader) log() Log {
	out := Log{Format: l.f.Log.Format}
	if err := out.Level.UnmarshalText([]byte(l.f.Log.Level)); err != nil {
		l.add("log.level", "%s; write one of debug, info, warn, error", err)
	}
	return out
}
