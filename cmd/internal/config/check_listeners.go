package config

import (
	"fmt"
	"strings"
)

func (l *loader) checkListeners() {
	if len(l.f.Listeners) == 0 {
		l.add("listeners", "there is no listener; add one, as in - {name: imaps, address: \":993\", tls: implicit}")
	}
	names, addresses := map[string]string{}, map[string]string{}
	for i, ln := range l.f.Listeners {
		key := fmt.Sprintf("listeners[%d]", i)
		l.checkDoor(key, ln)
		switch first := names[ln.Name]; {
		case ln.Name == "":
			l.add(key+".name", "the listener has no name; give it one, it stands in logs and metrics")
		case first != "":
			l.add(key+".name", "%s has the name %s too; give each listener its own", first, ln.Name)
		}
		place := l.place(ln)
		if first := addresses[place]; first != "" && !strings.HasSuffix(place, ":0") {
			l.add(key+".address", "%s has the address %s too; give each listener its own", first, ln.Address)
		}
		names[ln.Name], addresses[place] = key, key
		l.checkListenerTLS(key, ln)
		l.checkTrusted(key+".proxy_protocol", ln)
	}
}

// place is the address of a listener, the same for each way to write one path.
func (l *loader) place(ln listener) string {
	if path, ok := strings.CutPrefix(ln.Address, "unix:"); ok {
		return "unix:" + l.path(path)
	}
	return ln.Address
}

// maxSocketPath is what fits into a socket's address on every system that has them.
const maxSocketPath = 103

// checkDoor looks at the three forms of a listener's address.
func (l *loader) checkDoor(key string, ln listener) {
	path, isUnix := strings.CutPrefix(ln.Address, "unix:")
	name, isSystemd := strings.CutPrefix(ln.Address, "systemd:")
	switch {
	case isUnix && path == "":
		l.add(key+".address", "there is no path; write it as in unix:/run/imapgate/imap.sock")
	case isUnix && len(l.path(path)) > maxSocketPath:
		l.add(key+".address", "the path is longer than %d octets, which is too long for a socket; write a shorter one", maxSocketPath)
	case isSystemd && (name == "" || strings.Contains(name, ":")):
		l.add(key+".address", "%q is no name of a socket; write it as in systemd:imaps, where FileDescriptorName=imaps stands in the socket unit", name)
	case !isUnix && !isSystemd:
		l.checkAddress(key+".address", ln.Address, 0)
	}
	if !isUnix && l.written(key+".mode") {
		l.add(key+".mode", "only a Unix socket has a mode; remove it, or write an address as in unix:/run/imapgate/imap.sock")
	}
}

func (ln listener) isUnix() bool { return strings.HasPrefix(ln.Address, "unix:") }

func (l *loader) checkListenerTLS(key string, ln listener) {
	switch {
	case l.faulty(key + ".tls"):
	case ln.TLS == "none" && !ln.AllowPlaintextLogin && !ln.isUnix():
		l.add(key+".tls", "without TLS nobody could log in; use starttls or implicit, or write allow_plaintext_login: true")
	case ln.TLS != "none" && len(l.f.TLS.Certificates) == 0 && !l.faulty("tls.certificates"):
		l.add(key+".tls", "%s needs a certificate; add tls.certificates with cert and key, or write tls: none", ln.TLS)
	}
}

func (l *loader) checkTrusted(key string, ln listener) {
	trusted := ln.ProxyProtocol.Trusted
	switch {
	case !l.written(key) || l.faultyWithin(key):
	case ln.isUnix() && len(trusted) > 0:
		l.add(key+".trusted", "the peers of a Unix socket have no address, each of them sends the header; write proxy_protocol: {trusted: []}")
	case !ln.isUnix() && len(trusted) == 0:
		l.add(key+".trusted", "nobody is trusted; write the networks of the load balancers, as in [10.0.0.0/8], or remove proxy_protocol")
	}
	for _, n := range trusted {
		if n := n.String(); n == "0.0.0.0/0" || n == "::/0" {
			l.note("the listener %s believes everybody's PROXY header: anybody who reaches it can claim any address", ln.Name)
		}
	}
}
