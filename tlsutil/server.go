package tlsutil

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
)

// Server says how a listener presents itself to clients.
type Server struct {
	// Certificates are chosen by the name that the client asks for (SNI, RFC 6066 section 3). The first is
	// presented when no name is asked for or none matches.
	Certificates []tls.Certificate
	// MinVersion is tls.VersionTLS12 or tls.VersionTLS13; 0 means TLS 1.2 (RFC 8314 section 4.1).
	MinVersion uint16
}

// fullRecords has records be as long as what is written at once from the first on. crypto/tls would split
// the first 128 KiB of a connection into small ones, so that a browser can show the first of them sooner; no
// mail client shows a part of a response, and a session that reads 100 KiB pays for it as much as an eighth
// of its handshake. Short answers are short records in any case.
const fullRecords = true

// ErrNoCertificate says that a server was to be made without any certificate.
var ErrNoCertificate = errors.New("no certificate: a TLS listener needs at least one")

// Config returns the configuration for connections from clients. Session tickets are on, so that a
// client that comes back saves a round trip.
//
// The ALPN name "imap" is offered. A client without ALPN is accepted; one that offers only other
// protocols is refused, so that nobody is lured into speaking HTTP to an IMAP server (RFC 7301
// section 3.2).
func (o Server) Config() (*tls.Config, error) {
	if len(o.Certificates) == 0 {
		return nil, ErrNoCertificate
	}
	return &tls.Config{
		Certificates: o.Certificates,
		MinVersion:   max(o.MinVersion, tls.VersionTLS12),
		NextProtos:   []string{"imap"},

		DynamicRecordSizingDisabled: fullRecords,
	}, nil
}

// LoadCertificate reads a certificate with its chain (leaf first) and the leaf's private key, both in
// PEM. It fails when a file cannot be read or parsed, or when the key is not the certificate's; the
// error names the file.
func LoadCertificate(certFile, keyFile string) (tls.Certificate, error) {
	certPEM, err := os.ReadFile(certFile)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("read the certificate: %w", err)
	}
	keyPEM, err := os.ReadFile(keyFile)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("read the private key: %w", err)
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("certificate %s with key %s: %w", certFile, keyFile, err)
	}
	return cert, nil
}
