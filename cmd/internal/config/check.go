package config

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/imapgate/imapgate/proxy/backend"
	"github.com/imapgate/imapgate/tlsutil"
)

// A loader turns the keys of a file into a Config.
type loader struct {
	*record
	f           *file
	dir         string  // what relative paths count from
	descriptors uint64  // that the process may open; 0 for any
	old         *Config // that runs now and is to be replaced; nil at the start
	notes       []string

	pairs   []*tlsutil.Pair       // of the backends' client certificates
	users   map[string]*UsersFile // by absolute path
	rereads []Reread
}

func (l *loader) note(format string, args ...any) {
	l.notes = append(l.notes, fmt.Sprintf(format, args...))
}

// check finds what is wrong with the keys themselves.
func (l *loader) check() {
	l.checkListeners()
	l.checkBackends()
	l.checkPools()
	l.checkRoutes()
	l.checkPolicies()
	l.checkLimits()
	l.checkTimeouts()
	l.checkConnections()
	if a := l.f.Metrics.Address; a != "" {
		l.checkAddress("metrics.address", a, 0)
	}
}

// checkAddress looks for host:port with a port of at least least; the host may be empty when that is 0.
func (l *loader) checkAddress(key, address string, least int) {
	if address == "" {
		l.add(key, "there is no address; write host:port")
		return
	}
	if prefix, _, _ := strings.Cut(address, ":"); prefix == "unix" || prefix == "systemd" {
		l.add(key, "%s: addresses are for listeners; write host:port", prefix)
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

func (l *loader) faultyWithin(key string) bool {
	return slices.ContainsFunc(l.faults, func(f Fault) bool {
		return f.Key == key || strings.HasPrefix(f.Key, key+".") || strings.HasPrefix(f.Key, key+"[")
	})
}

// checkKnown looks for a name among those that were defined; what is its kind. Nothing is reported where
// it is the definitions that are at fault.
func (l *loader) checkKnown(key, what, name string, known []string) {
	if slices.Contains(known, name) || l.faulty(what+"s") {
		return
	}
	switch near := nearest(name, known); {
	case len(known) == 0:
		l.add(key, "there is no %s %s, nor any other; add it below %ss", what, name, what)
	case near != "":
		l.add(key, "there is no %s %s; did you mean %s?", what, name, near)
	default:
		l.add(key, "there is no %s %s; write one of the %ss: %s", what, name, what, strings.Join(known, ", "))
	}
}

func sortedKeys[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }

// What clients may count on before they have logged in and after; RFC 2683 section 3.2.1.5 lets them send
// lines of up to 8000 octets once they have.
const (
	leastPreauthLine = 1000
	leastLine        = 8000
	leastLiteral     = 1000
)

func (l *loader) checkLimits() {
	for _, limit := range []struct {
		key         string
		have, least size
		why         string
	}{
		{"preauth_line", l.f.Limits.PreauthLine, leastPreauthLine, "which logins may need"},
		{"line", l.f.Limits.Line, leastLine, "which clients may send (RFC 2683 section 3.2.1.5)"},
		{"literal", l.f.Limits.Literal, leastLiteral, "which names and passwords may need"},
	} {
		if limit.have < limit.least {
			l.add("limits."+limit.key, "%s is less than %d octets, %s; write at least %d", limit.have.String(), limit.least, limit.why, limit.least)
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
	descriptorReserve     = 192 // 64 for pipes (wire.Pipe), listeners, metrics, files, name lookups
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
	besides := descriptorReserve + l.spareConnections()
	need := uint64(n)*descriptorsPerSession + uint64(besides)
	fit := (int64(min(l.descriptors, 1<<40)) - besides) / descriptorsPerSession
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

// spareConnections are how many connections to backends may wait for a login, beside those of clients: those
// that are kept, and those that are made ahead.
func (l *loader) spareConnections() (n int64) {
	for _, b := range l.f.Backends {
		n += min(int64(b.Ready), backend.MaxReady)
		if b.Reuse.Idle > 0 {
			n += min(int64(b.Reuse.Connections), 1<<30)
		}
	}
	return n
}
