package config

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/imapgate/imapgate/proxy/backend"
	"github.com/imapgate/imapgate/tlsutil"
)

func (l *loader) checkBackends() {
	if len(l.f.Backends) == 0 {
		l.add("backends", "there is no backend; add one, as in imap1: {address: \"imap1.example.org:993\"}")
	}
	for _, name := range sortedKeys(l.f.Backends) {
		b, key := l.f.Backends[name], "backends."+name
		if name == "" {
			l.add(key, "the backend has no name; give it one, it stands in logs and metrics")
		}
		l.checkAddress(key+".address", b.Address, 1)
		l.checkVerify(key+".tls_verify", b)
		l.checkBackendTLS(key, b)
		l.checkOld(key, name, b)
		l.checkSources(key+".source_addresses", b)
		l.checkReuse(key+".reuse", b)
		l.checkReady(key+".ready", b)
		if b.Weight < 1 {
			l.add(key+".weight", "%d is not more than zero; write a share, 100 is that of every other backend", b.Weight)
		}
		if b.MaxSessions < 0 {
			l.add(key+".max_sessions", "%d is less than zero; write how many sessions it may have, or 0 for any number", b.MaxSessions)
		}
	}
}

func (l *loader) checkVerify(key string, b backendBlock) {
	v := b.TLSVerify
	switch {
	case l.written(key) && b.TLS == "none":
		l.add(key, "nothing is verified without TLS; remove it, or write tls: starttls or tls: implicit")
	case v.InsecureSkip && (v.CAFile != "" || v.PinSHA256 != ""):
		l.add(key+".insecure_skip", "it contradicts ca_file and pin_sha256; remove it or them")
	case v.CAFile != "" && v.PinSHA256 != "":
		l.add(key+".pin_sha256", "a pinned key is trusted without an authority; remove it or ca_file")
	}
}

// checkBackendTLS finds keys that mean nothing without TLS.
func (l *loader) checkBackendTLS(key string, b backendBlock) {
	for _, name := range []string{"client_cert", "min_version", "old_ciphers"} {
		if b.TLS == "none" && l.written(key+"."+name) {
			l.add(key+"."+name, "it is about TLS, and tls is none; remove it, or write tls: starttls or tls: implicit")
		}
	}
}

// checkOld looks at what a backend with old TLS asks for.
func (l *loader) checkOld(key, name string, b backendBlock) {
	for i, cipher := range b.OldCiphers {
		key := fmt.Sprintf("%s.old_ciphers[%d]", key, i)
		switch _, err := tlsutil.OldCipher(cipher); {
		case errors.Is(err, tlsutil.ErrModernCipher):
			l.add(key, "%s; remove it", err)
		case err != nil:
			l.add(key, "%s; write one of %s", err, strings.Join(tlsutil.OldCiphers(), ", "))
		}
	}
	if b.TLS == "none" {
		return
	}
	if len(b.OldCiphers) > 0 && b.MinVersion == "1.3" {
		l.add(key+".old_ciphers", "TLS 1.3 has none of them; remove it, or write a lower min_version")
	}
	if b.MinVersion < "1.2" {
		l.note("TLS %s with the backend %s is weak, but asked for (min_version). Go speaks it as it is; only a server that offers TLS 1.2 with signatures by SHA-1 needs GODEBUG=tlssha1=1", b.MinVersion, name)
	}
	if len(b.OldCiphers) > 0 {
		l.note("%s with the backend %s: weak, but asked for (old_ciphers). Go has them as it is, GODEBUG=tlsrsakex=1 and tls3des=1 are not needed", strings.Join(b.OldCiphers, ", "), name)
	}
}

func (l *loader) checkSources(key string, b backendBlock) {
	for i, a := range b.SourceAddresses {
		if ip := netip.Addr(a); ip.IsValid() && (ip.IsUnspecified() || ip.IsMulticast()) {
			l.add(fmt.Sprintf("%s[%d]", key, i), "%s is no address of this machine; write one to connect from", ip)
		}
	}
	to, err := netip.ParseAddrPort(b.Address)
	if err != nil || len(b.SourceAddresses) == 0 || l.faultyWithin(key) {
		return
	}
	if !slices.ContainsFunc(b.SourceAddresses, func(a ipAddress) bool { return netip.Addr(a).Is4() == to.Addr().Unmap().Is4() }) {
		l.add(key, "%s cannot be reached from any of them; write addresses of its kind, IPv4 or IPv6", to.Addr())
	}
}

// checkReuse looks at connections that are kept for the next session.
func (l *loader) checkReuse(key string, b backendBlock) {
	if !l.written(key) || l.faultyWithin(key) {
		return
	}
	r := b.Reuse
	switch {
	case r.Idle == 0:
		l.add(key, "it does not say how long a connection waits; write idle, as in idle: 60s, or remove it")
	case b.ForwardID:
		l.add(key, "forward_id tells the backend who the client is, which would not be true of the next one; remove one of them")
	case b.ProxyProtocol != "off":
		l.add(key, "proxy_protocol tells the backend who the client is, which would not be true of the next one; remove one of them")
	}
	if r.Life < r.Idle {
		l.add(key+".life", "%s is less than idle, %s; a connection ends with its life, write a longer one", &r.Life, &r.Idle)
	}
}

// checkReady looks at connections that are made ahead of logins.
func (l *loader) checkReady(key string, b backendBlock) {
	switch {
	case b.Ready == 0:
	case b.Ready > backend.MaxReady:
		l.add(key, "%d is more than %d; write how many logins come at the same moment, as in 4", b.Ready, backend.MaxReady)
	case b.ForwardID:
		l.add(key, "forward_id tells the backend who the client is, which nobody knows ahead of the login; remove one of them")
	case b.ProxyProtocol != "off":
		l.add(key, "proxy_protocol tells the backend who the client is, which nobody knows ahead of the login; remove one of them")
	}
}
