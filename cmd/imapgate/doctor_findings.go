package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/imapgate/imapgate/proxy/backend"
)

// soonExpired is when the end of a certificate becomes worth a warning.
const soonExpired = 21 * 24 * time.Hour

func (f *finding) describeTLS(conn *backend.Conn) {
	state, ok := conn.Net.TLS()
	if !ok {
		f.add("tls", "none: passwords and mail cross the network as they are")
		return
	}
	f.add("tls", "%s, %s", tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite))
	cert := state.PeerCertificates[0] // a TLS server always shows one, RFC 8446 section 4.4.2
	f.add("certificate", "%s, by %q, until %s", certificateNames(cert), cert.Issuer.CommonName, cert.NotAfter.UTC().Format(time.DateOnly))
	switch left := time.Until(cert.NotAfter); {
	case f.backend.TLSConfig.InsecureSkipVerify && f.backend.TLSConfig.VerifyConnection == nil:
		f.add("warning", "the certificate is not verified (insecure_skip)")
	case left < 0:
		f.add("warning", "the certificate has expired; it is accepted because its key is pinned")
	case left < soonExpired:
		f.add("warning", "the certificate expires in %d days", int(left/(24*time.Hour)))
	}
}

func certificateNames(cert *x509.Certificate) string {
	names := slices.Clone(cert.DNSNames)
	for _, ip := range cert.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		return fmt.Sprintf("%q", cert.Subject.CommonName)
	}
	return strings.Join(names, " ")
}

// advice says what to do about a backend that cannot be connected to; "" where the error says it already.
func advice(b *backend.Config, err error) string {
	var (
		unknown   x509.UnknownAuthorityError
		wrongName x509.HostnameError
		noTLS     tls.RecordHeaderError
		failed    *backend.Error
		noName    *net.DNSError
	)
	errors.As(err, &failed)
	switch {
	case errors.As(err, &noName):
		return "; correct the host in address, or the name server"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "; start the server, or correct address"
	case errors.As(err, &unknown):
		return "; give tls_verify.ca_file the authority's certificate, or pin the key with tls_verify.pin_sha256"
	case errors.As(err, &wrongName):
		return "; write tls_verify.server_name with a name of the certificate"
	case errors.As(err, &noTLS):
		return "; there is no TLS on this port: write tls: starttls or tls: none, or correct the port"
	case failed != nil && failed.Phase == "greeting" && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, io.EOF)) && b.TLS != backend.Implicit:
		return "; the port may want TLS from the first byte: write tls: implicit"
	case failed != nil && failed.Status.Type == "PREAUTH":
		return "; it would give everyone the same mailbox without a password, so it is never used: change its configuration"
	case errors.Is(err, context.DeadlineExceeded):
		return "; look at the network and at firewalls between, or raise timeouts.connect"
	case failed != nil && failed.Phase == "greeting" && failed.Status.Type == "":
		return "; is this an IMAP server? correct the port"
	}
	return ""
}
