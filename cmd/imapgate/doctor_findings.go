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

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/backend"
	"github.com/imapgate/imapgate/proxy/translate"
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

// describeCaps tells what becomes of the capabilities that are announced before the login; many servers
// announce more after it.
func (f *finding) describeCaps(caps imap.CapSet, policy translate.Policy) {
	f.add("announces", "%s", words(sortedCaps(caps)))
	offered := translate.NewStack(translate.Peers{Backend: caps, Policy: policy}, translate.All()).Caps()
	var translated []imap.Cap
	for _, c := range offered {
		if row, ok := translate.CapRow(c); ok && row.Fate != translate.Ours && !has(caps, c) {
			translated = append(translated, c)
		}
	}
	f.add("offered", "%s", words(offered))
	f.add("translated", "%s", words(translated))
	f.add("removed", "%s", words(translate.Filtered(caps)))
	for _, n := range needs() {
		if !n.met(caps) {
			f.add("not shown", "%s", n.without)
		}
	}
	if !has(caps, imap.CapIMAP4rev1) {
		f.faults = append(f.faults, "it does not announce IMAP4rev1; is this an IMAP server, and of this century?")
	}
	if has(caps, imap.CapLoginDisabled) && !has(caps, imap.AuthCap("PLAIN")) {
		f.faults = append(f.faults, "it takes no password: LOGINDISABLED and no AUTH=PLAIN; write tls: starttls or tls: implicit if it wants TLS first")
	}
}

// A need is something that clients do better with.
type need struct {
	anyOf   []imap.Cap
	without string
}

func (n need) met(caps imap.CapSet) bool {
	return slices.ContainsFunc(n.anyOf, func(c imap.Cap) bool { return has(caps, c) })
}

func needs() []need {
	return []need{
		{[]imap.Cap{imap.CapIdle}, "IDLE; without it clients have to ask for new mail"},
		{[]imap.Cap{imap.CapLiteralPlus, imap.CapLiteralMinus}, "LITERAL+; without it each upload takes one round trip more"},
		{[]imap.Cap{imap.CapUIDPlus}, "UIDPLUS; without it and MOVE, moved messages stay behind, marked as deleted"},
	}
}

// has reports whether c itself is announced; imap.CapSet.Has also says yes to what IMAP4rev2 contains.
func has(caps imap.CapSet, c imap.Cap) bool {
	_, ok := caps[c]
	return ok
}

func sortedCaps(caps imap.CapSet) (list []imap.Cap) {
	for c := range caps {
		list = append(list, c)
	}
	slices.Sort(list)
	return list
}

// words joins names with spaces; a server's names are shown as they are, but for control characters.
func words[S ~string](names []S) string {
	if len(names) == 0 {
		return "-"
	}
	parts := make([]string, len(names))
	for i, name := range names {
		parts[i] = strings.Trim(fmt.Sprintf("%q", string(name)), `"`)
	}
	return strings.Join(parts, " ")
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
