package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/imapgate/imapgate/proxy"
	"github.com/imapgate/imapgate/proxy/backend"
	"github.com/imapgate/imapgate/proxy/translate"
)

func doctorCommand() command {
	return command{
		name:    "doctor",
		summary: "test every backend",
		usage:   "doctor [-config FILE]",
		about: `Connects to every backend of the configuration, as serve does, but does not log in. It tells how the
connection is secured, what the backend says and announces, what of it clients will be offered, what is
translated or removed, and what is missing. Several backends are tested at once; timeouts.connect bounds
each.

Exit codes: 0 every backend can be used, 1 at least one cannot.`,
		example: "  imapgate doctor -config /etc/imapgate/config.yaml",
		run:     runDoctor,
	}
}

func runDoctor(ctx context.Context, c call) int {
	cfg, _, code := c.loadConfig()
	if cfg == nil {
		return code
	}
	findings := examineAll(ctx, cfg.Options())
	sick := 0
	for _, f := range findings {
		f.print(c.stdout)
		if !f.usable() {
			sick++
		}
	}
	fmt.Fprint(c.stdout, "What is announced, offered and not shown is as before the login; many servers announce more after it.\n")
	fmt.Fprintln(c.stdout, verdict(sick, len(findings)))
	if sick > 0 {
		return exitFailed
	}
	return exitOK
}

func verdict(sick, all int) string {
	switch {
	case sick > 0 && all == 1:
		return "the backend cannot be used"
	case sick > 0:
		return fmt.Sprintf("%d of %d backends cannot be used", sick, all)
	case all == 1:
		return "the backend can be used"
	}
	return fmt.Sprintf("all %d backends can be used", all)
}

// examinedAtOnce bounds how many backends are connected to at the same time.
const examinedAtOnce = 8

// examineAll examines all backends, and returns what it found in the order of their names.
func examineAll(ctx context.Context, o proxy.Options) []*finding {
	names := slices.Sorted(maps.Keys(o.Backends))
	findings := make([]*finding, len(names))
	places := make(chan struct{}, examinedAtOnce)
	var all sync.WaitGroup
	for i, name := range names {
		all.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			findings[i] = examine(ctx, o.Backends[name], policyFor(o, name))
		})
	}
	all.Wait()
	return findings
}

// policyFor is the policy of a backend where neither listener nor route says anything else.
func policyFor(o proxy.Options, backend string) translate.Policy {
	if o.Policies == nil {
		return o.Policy
	}
	return o.Policies("", backend, "")
}

// A finding is what came out of the examination of one backend.
type finding struct {
	backend *backend.Config
	err     error // it cannot be connected to
	entries []entry
	faults  []string // why it cannot be used although it can be connected to
}

// An entry is a line about a backend.
type entry struct{ head, text string }

func (f *finding) add(head, format string, args ...any) {
	f.entries = append(f.entries, entry{head, fmt.Sprintf(format, args...)})
}

func (f *finding) usable() bool { return f.err == nil && len(f.faults) == 0 }

// examine connects to a backend and leaves it again.
func examine(ctx context.Context, b *backend.Config, policy translate.Policy) *finding {
	f := &finding{backend: b}
	began := time.Now()
	conn, err := b.Open(ctx, backend.Origin{})
	if err != nil {
		f.err = err
		return f
	}
	defer conn.Net.Close()
	f.add("reached", "%s in %v", conn.Net.RemoteAddr(), time.Since(began).Round(time.Millisecond))
	f.describeTLS(conn)
	f.add("greeting", "%q", conn.Greeting)
	f.describeCaps(conn.Caps, policy)
	return f
}

func (f *finding) print(w io.Writer) {
	fmt.Fprintf(w, "%s  %s, tls %s\n", f.backend.Name, f.backend.Address, f.backend.TLS)
	for _, e := range f.entries {
		fmt.Fprintf(w, "  %-12s%s\n", e.head, e.text)
	}
	if f.err != nil {
		fmt.Fprintf(w, "  %-12s%s%s\n", "FAILED", printable(f.err.Error()), advice(f.backend, f.err))
	}
	for _, fault := range f.faults {
		fmt.Fprintf(w, "  %-12s%s\n", "FAILED", fault)
	}
	fmt.Fprintln(w)
}

// printable keeps what a backend said from commanding the terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, text)
}
