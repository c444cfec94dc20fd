package config

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"github.com/imapgate/imapgate/proxy"
	"github.com/imapgate/imapgate/tlsutil"
)

// config checks the keys and builds everything that they describe, and reports all faults of both.
func (l *loader) config() (*Config, error) {
	if l.faulty("") {
		return nil, l.err() // no key could be read: what is missing is not known
	}
	l.check()
	merging := l.policies()
	options := proxy.Options{
		Backends: l.backends(),
		Table:    l.table(),
		Policy:   merging.top,
		Policies: merging.merged,
		Goals:    l.f.goals(),
		Limits:   l.limits(),
		Timeouts: l.timeouts(),
	}
	certificates := l.certificates()
	serverTLS, _ := certificates.Config() // its only error is that there is none, and then no listener needs one
	c := &Config{
		Listeners:      l.listeners(serverTLS),
		MetricsAddress: l.f.Metrics.Address,
		Log:            l.log(),
		Notes:          l.notes,
		Certificates:   certificates,
		Users:          l.usersFiles(),
		Rereads:        l.rereads,
		options:        options,
		serverTLS:      serverTLS,
		policies:       merging,
		file:           l.file,
		keys:           l.f,
		record:         l.record,
	}
	if err := l.err(); err != nil {
		return nil, err
	}
	return c, nil
}

// path resolves a path of the file.
func (l *loader) path(name string) string {
	if filepath.IsAbs(name) {
		return filepath.Clean(name)
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
			Mode:                fs.FileMode(ln.Mode),
		}
		if path, ok := strings.CutPrefix(ln.Address, "unix:"); ok {
			out[i].Address = "unix:" + l.path(path)
		}
		if l.written(fmt.Sprintf("listeners[%d].proxy_protocol", i)) {
			out[i].ProxyProtocol = append([]netip.Prefix{}, prefixes(ln.ProxyProtocol.Trusted)...)
		}
		if out[i].TLS != proxy.NoTLS {
			out[i].TLSConfig = config
		}
	}
	return out
}

// certificates returns what listeners present, and keeps the backends' new as well.
func (l *loader) certificates() *tlsutil.Reloader {
	var server []*tlsutil.Pair
	for i, files := range l.f.TLS.Certificates {
		key := fmt.Sprintf("tls.certificates[%d]", i)
		if pair := l.pair(key, files); pair != nil {
			server = append(server, pair)
		}
	}
	return tlsutil.NewReloader(tlsVersion(l.f.TLS.MinVersion), server, l.pairs)
}

func tlsVersion(name string) uint16 {
	switch name {
	case "1.0":
		return tls.VersionTLS10
	case "1.1":
		return tls.VersionTLS11
	case "1.3":
		return tls.VersionTLS13
	}
	return tls.VersionTLS12
}

// pair returns nil when the files are at fault.
func (l *loader) pair(key string, files certificate) *tlsutil.Pair {
	if l.faultyWithin(key) {
		return nil
	}
	if files.Cert == "" {
		l.add(key+".cert", "there is no certificate; write the path of a PEM file with the certificate and its chain")
	}
	if files.Key == "" {
		l.add(key+".key", "there is no key; write the path of a PEM file with the certificate's private key")
	}
	if files.Cert == "" || files.Key == "" {
		return nil
	}
	pair, err := tlsutil.LoadPair(l.path(files.Cert), l.path(files.Key))
	if err != nil {
		l.add(key, "%s; %s", err, adviceOnFile(err, "give cert and key the paths of a PEM certificate and its own key"))
		return nil
	}
	if end := pair.Certificate().Leaf.NotAfter; time.Now().After(end) {
		l.note("the certificate %s has expired on %s", files.Cert, end.Format(time.DateOnly))
	}
	return pair
}

// adviceOnFile returns what to do about a file: otherwise is for all but one that may not be read.
func adviceOnFile(err error, otherwise string) string {
	if errors.Is(err, fs.ErrPermission) {
		return "make it, and the folders above it, readable for the user that runs imapgate, as by chgrp imapgate FILE and chmod 640 FILE"
	}
	return otherwise
}

func (l *loader) limits() proxy.Limits {
	return proxy.Limits{
		Connections: l.f.Limits.Connections,
		PerIP:       orNone(l.f.Limits.ConnectionsPerIP),
		PerUser:     orNone(l.f.Limits.SessionsPerUser),
		Exempt:      append([]netip.Prefix{}, prefixes(l.f.Limits.ConnectionsExempt)...),
		PreauthLine: int(l.f.Limits.PreauthLine),
		Line:        int(l.f.Limits.Line),
		Literal:     int64(l.f.Limits.Literal),
		Append:      int64(l.f.Limits.Append),
		Compressed:  orNone(l.f.Limits.Compressed),
	}
}

// orNone turns unlimited into what the proxy takes for it; there, 0 is the default.
func orNone(n count) int {
	if n == 0 {
		return -1
	}
	return int(n)
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
		Park:      time.Duration(t.Park),
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
