package tlsutil

import (
	"crypto/tls"
	"fmt"
	"os"
	"sync/atomic"
)

// A Pair is a certificate with its private key, read from files that may be replaced. A [Reloader] reads
// them anew.
type Pair struct {
	// CertFile and KeyFile are the files, in PEM; see LoadCertificate.
	CertFile, KeyFile string

	current atomic.Pointer[tls.Certificate]
	seen    [2]os.FileInfo // of the files when they were read last; nil where there was none
}

// LoadPair reads a pair for the first time. Its errors are those of LoadCertificate.
func LoadPair(certFile, keyFile string) (*Pair, error) {
	p := &Pair{CertFile: certFile, KeyFile: keyFile}
	p.seen = p.look()
	cert, err := LoadCertificate(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	p.current.Store(&cert)
	return p, nil
}

// Certificate returns what was read last without an error. Its Leaf is set.
func (p *Pair) Certificate() *tls.Certificate { return p.current.Load() }

// look is called before a reading, so that what is written during it is seen the next time.
func (p *Pair) look() (seen [2]os.FileInfo) {
	for i, name := range []string{p.CertFile, p.KeyFile} {
		if info, err := os.Stat(name); err == nil {
			seen[i] = info
		}
	}
	return seen
}

func (p *Pair) reload() (Reload, bool) {
	p.seen = p.look()
	cert, err := LoadCertificate(p.CertFile, p.KeyFile)
	if err != nil {
		return Reload{Pair: p, Err: fmt.Errorf("%w; %w", err, errStays)}, true
	}
	p.current.Store(&cert)
	return Reload{Pair: p}, true
}

func (p *Pair) reloadChanged() (Reload, bool) {
	now := p.look()
	if same(now[0], p.seen[0]) && same(now[1], p.seen[1]) {
		return Reload{}, false
	}
	return p.reload()
}

// same reports whether two looks found the same file with the same content, as far as can be told from
// outside.
func same(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}
