package config

import (
	"fmt"
	"maps"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A loader turns the keys of a file into a Config.
type loader struct {
	*record
	f           *file
	dir         string // what relative paths count from
	descriptors uint64 // that the process may open; 0 for any
	notes       []string
}

func (l *loader) note(format string, args ...any) {
	l.notes = append(l.notes, fmt.Sprintf(format, args...))
}

// check finds what is wrong with the keys themselves.
func (l *loader) check() {
	l.checkListeners()
	l.checkBackends()
	l.checkRoutes()
	l.checkPolicy()
	l.checkTimeouts()
	l.checkConnections()
	if a := l.f.Metrics.Address; a != "" {
		l.checkAddress("metrics.address", a, 0)
	}
}

func (l *loader) checkListeners() {
	if len(l.f.Listeners) == 0 {
		l.add("listeners", "there is no listener; add one, as in - {name: imaps, address: \":993\", tls: implicit}")
	}
	names, addresses := map[string]string{}, map[string]string{}
	for i, ln := range l.f.Listeners {
		key := fmt.Sprintf("listeners[%d]", i)
		l.checkAddress(key+".address", ln.Address, 0)
		switch first := names[ln.Name]; {
		case ln.Name == "":
			l.add(key+".name", "the listener has no name; give it one, it stands in logs and metrics")
		case first != "":
			l.add(key+".name", "%s has the name %s too; give each listener its own", first, ln.Name)
		}
		if first := addresses[ln.Address]; first != "" && !strings.HasSuffix(ln.Address, ":0") {
			l.add(key+".address", "%s has the address %s too; give each listener its own", first, ln.Address)
		}
		names[ln.Name], addresses[ln.Address] = key, key
		l.checkListenerTLS(key, ln)
	}
}

func (l *loader) checkListenerTLS(key string, ln listener) {
	switch {
	case l.faulty(key + ".tls"):
	case ln.TLS == "none" && !ln.AllowPlaintextLogin:
		l.add(key+".tls", "without TLS nobody could log in; use starttls or implicit, or write allow_plaintext_login: true")
	case ln.TLS != "none" && len(l.f.TLS.Certificates) == 0 && !l.faulty("tls.certificates"):
		l.add(key+".tls", "%s needs a certificate; add tls.certificates with cert and key, or write tls: none", ln.TLS)
	}
}

// checkAddress looks for host:port with a port of at least least; the host may be empty when that is 0.
func (l *loader) checkAddress(key, address string, least int) {
	if address == "" {
		l.add(key, "there is no address; write host:port")
		return
	}
	if prefix, _, _ := strings.Cut(address, ":"); prefix == "unix" || prefix == "systemd" {
		l.add(key, "%s: addresses are not available in this version; write host:port", prefix)
		return
	}
	host, port, err := net.SplitHostPort(address)
	n, numeric := strconv.Atoi(port)
	switch {
	case err != nil:
		l.add(key, "%q is not host:port; write it as in imap.example.org:993, 192.0.2.1:143 or [2001:db8::1]:143", address)
	case numeric != nil || n < least || n > 65535:
		l.add(key, "%q is no port; write a number from %d to 65535", port, least)
	case host == "" && least > 0:
		l.add(key, "%q has no host; write host:port", address)
	}
}

func (l *loader) checkBackends() {
	if len(l.f.Backends) == 0 {
		l.add("backends", "there is no backend; add one, as in imap1: {address: \"imap1.example.org:993\"}")
	}
	for name, b := range l.f.Backends {
		key := "backends." + name
		if name == "" {
			l.add(key, "the backend has no name; give it one, it stands in logs and metrics")
		}
		l.checkAddress(key+".address", b.Address, 1)
		l.checkVerify(key+".tls_verify", b)
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

func (l *loader) checkRoutes() {
	if len(l.f.Routes) == 0 {
		l.add("routes", "there is no route; add one that takes everyone, as in - {backend: NAME}")
	}
	everyone := ""
	for i, r := range l.f.Routes {
		key := fmt.Sprintf("routes[%d]", i)
		if everyone != "" {
			l.add(key, "no login ever comes here, %s takes everyone; move this route before it or remove it", everyone)
		}
		l.checkRouteBackend(key+".backend", r.Backend)
		faulty := l.faultyWithin(key + ".match")
		if l.written(key+".match") && r.Match.User == "" && !faulty {
			faulty = true
			l.add(key+".match", "the match is empty; write user, or remove match for a route that takes everyone")
		}
		if everyone == "" && !faulty && strings.Trim(r.Match.User, "*") == "" {
			everyone = key
		}
	}
	l.noteUnused()
}

func (l *loader) faultyWithin(key string) bool {
	return slices.ContainsFunc(l.faults, func(f Fault) bool {
		return f.Key == key || strings.HasPrefix(f.Key, key+".")
	})
}

func (l *loader) checkRouteBackend(key, name string) {
	known := slices.Sorted(maps.Keys(l.f.Backends))
	if slices.Contains(known, name) || len(known) == 0 {
		return
	}
	if name == "" {
		l.add(key, "the route leads nowhere; write one of the backends: %s", strings.Join(known, ", "))
	} else if near := nearest(name, known); near != "" {
		l.add(key, "there is no backend %s; did you mean %s?", name, near)
	} else {
		l.add(key, "there is no backend %s; write one of the backends: %s", name, strings.Join(known, ", "))
	}
}

func (l *loader) noteUnused() {
	for _, name := range slices.Sorted(maps.Keys(l.f.Backends)) {
		if !slices.ContainsFunc(l.f.Routes, func(r route) bool { return r.Backend == name }) {
			l.note("no route leads to the backend %s", name)
		}
	}
}

// commandName is an atom of RFC 3501 section 9 as commands are named, with UID before it or not.
var commandName = regexp.MustCompile(`^(UID )?[A-Z][A-Z0-9._-]*$`)

func (l *loader) checkPolicy() {
	for i, name := range l.f.Policy.PassCommands {
		upper := strings.ToUpper(name)
		l.f.Policy.PassCommands[i] = upper
		if !commandName.MatchString(upper) {
			l.add(fmt.Sprintf("policy.pass_commands[%d]", i), "%q is no name of a command; write one, as in XLIST", name)
		}
	}
}

func (l *loader) checkTimeouts() {
	if idle := time.Duration(l.f.Timeouts.Idle); idle < 30*time.Minute {
		l.note("timeouts.idle is %v: a server must not log idle clients out before 30 minutes (RFC 3501 section 5.4)", idle)
	}
}

const (
	descriptorsPerSession = 2   // the client's connection and the backend's
	descriptorReserve     = 128 // listeners, metrics, files, name lookups
)

// checkConnections compares limits.connections with the descriptors that the process may open.
func (l *loader) checkConnections() {
	const key = "limits.connections"
	n := l.f.Limits.Connections
	if n <= 0 {
		l.add(key, "%d is not more than zero; write how many clients may be connected at once", n)
	}
	if l.descriptors == 0 || n <= 0 {
		return
	}
	need := uint64(n)*descriptorsPerSession + descriptorReserve
	fit := (int64(min(l.descriptors, 1<<40)) - descriptorReserve) / descriptorsPerSession
	switch {
	case need <= l.descriptors:
	case fit < 1:
		l.add(key, "this process may open only %d files, which is too few for any client; raise that (ulimit -n, LimitNOFILE= in systemd)", l.descriptors)
	case l.written(key):
		l.add(key, "%d clients need %d open files and this process may open %d; raise that (ulimit -n, LimitNOFILE= in systemd) or write at most %d", n, need, l.descriptors, fit)
	default:
		l.f.Limits.Connections = int(fit)
		l.note("limits.connections is lowered from %d to %d, because this process may open only %d files; raise that with ulimit -n or LimitNOFILE= in systemd", n, fit, l.descriptors)
	}
}
