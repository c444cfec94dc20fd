package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/imapgate/imapgate/cmd/internal/config"
	"github.com/imapgate/imapgate/proxy"
	"github.com/imapgate/imapgate/proxy/auth"
	"github.com/imapgate/imapgate/proxy/backend"
	"github.com/imapgate/imapgate/proxy/translate"
	"github.com/imapgate/imapgate/routing"
)

func doctorCommand() command {
	return command{
		name:    "doctor",
		summary: "test every backend",
		usage:   "doctor [-backend NAME] [-user NAME -password-file FILE] [-config FILE]",
		about: `Connects to every backend of the configuration, as serve does. It tells how the connection is secured,
which server it seems to be, what that lacks and what imapgate adds for clients, what it works around,
what it keeps from clients, and what a client sees in the end. Several backends are tested at once;
timeouts.connect and timeouts.login bound each.

Without -user it does not log in, and many servers announce most of what they can do only after the login.
With -user it logs in at the one backend to which the routes lead that user (or at the one of -backend), under
the policy of that route. The password is the first line of a file, or of the standard input for
-password-file -, as in: systemd-ask-password | imapgate doctor -user riley -password-file -

Exit codes: 0 every backend can be used, 1 at least one cannot.`,
		example: "  imapgate doctor -config /etc/imapgate/config.yaml\n  imapgate doctor -user riley -password-file riley.txt",
		run:     runDoctor,
	}
}

func runDoctor(ctx context.Context, c call) int {
	var p patient
	fs := c.flags()
	fs.StringVar(&p.backend, "backend", "", "examine only the backend `NAME`")
	fs.StringVar(&p.user, "user", "", "log in as the user `NAME`")
	fs.StringVar(&p.passwordFile, "password-file", "", "the user's password is the first line of `FILE`; - is the standard input")
	file := c.configFlag(fs)
	if err := c.parse(fs); err != nil {
		return exitOf(err)
	}
	if (p.user == "") != (p.passwordFile == "") {
		fmt.Fprintf(c.stderr, "imapgate doctor: -user and -password-file belong together\n")
		return exitUsage
	}
	cfg, err := config.Load(*file)
	if err != nil {
		return c.failLoad(err)
	}
	p.options = cfg.Options()
	if err := p.prepare(os.Stdin); err != nil {
		return c.fail(err)
	}
	findings := p.examineAll(ctx)
	sick := 0
	for _, f := range findings {
		f.print(c.stdout)
		if !f.usable() {
			sick++
		}
	}
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

// A patient is what is examined.
type patient struct {
	options                     proxy.Options
	backend, user, passwordFile string

	creds   auth.Credentials
	loginAt string // a backend
	route   string // that leads the user there
}

// prepare reads the password and finds out where it is for. It is tried nowhere else.
func (p *patient) prepare(stdin io.Reader) error {
	if p.backend != "" && p.options.Backends[p.backend] == nil {
		return fmt.Errorf("there is no backend %s", p.backend)
	}
	if p.user == "" {
		return nil
	}
	password, err := readPassword(p.passwordFile, stdin)
	if err != nil {
		return err
	}
	p.creds = auth.Password(p.user, password)
	if err := p.creds.Check(); err != nil {
		return err
	}
	d := p.options.Table.Explain(routing.Request{User: p.user})
	p.loginAt, p.route = d.Backend, d.Route
	if p.backend != "" && p.backend != d.Backend {
		p.loginAt, p.route = p.backend, ""
	}
	if p.loginAt == "" {
		return fmt.Errorf("no route leads %s to a backend without a listener or an address; name one with -backend", p.user)
	}
	return nil
}

// readPassword returns the first line of a file.
func readPassword(name string, stdin io.Reader) (string, error) {
	r := stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return "", fmt.Errorf("read the password: %w", err)
		}
		defer f.Close()
		r = f
	}
	const longest = 4096
	line, err := bufio.NewReader(io.LimitReader(r, longest)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the password: %w", err)
	}
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		return "", errors.New("read the password: the first line is empty")
	}
	return line, nil
}

// examineAll examines all backends, and returns what it found in the order of their names.
func (p *patient) examineAll(ctx context.Context) []*finding {
	names := slices.Sorted(maps.Keys(p.options.Backends))
	if p.backend != "" {
		names = []string{p.backend}
	}
	findings := make([]*finding, len(names))
	places := make(chan struct{}, examinedAtOnce)
	var all sync.WaitGroup
	for i, name := range names {
		all.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			findings[i] = p.examine(ctx, p.options.Backends[name])
		})
	}
	all.Wait()
	return findings
}

// A finding is what came out of the examination of one backend.
type finding struct {
	backend *backend.Config
	err     error // it cannot be connected to
	entries []entry
	faults  []string // why it cannot be used although it can be connected to

	loggedIn bool
}

// An entry is a line about a backend.
type entry struct{ head, text string }

func (f *finding) add(head, format string, args ...any) {
	f.entries = append(f.entries, entry{head, fmt.Sprintf(format, args...)})
}

func (f *finding) usable() bool { return f.err == nil && len(f.faults) == 0 }

// examine connects to a backend and leaves it again.
func (p *patient) examine(ctx context.Context, b *backend.Config) *finding {
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
	f.describeLogin(conn)
	route := ""
	if b.Name == p.loginAt {
		p.login(ctx, f, conn)
		route = p.route
	}
	server := translate.Server{Greeting: conn.Greeting, Caps: conn.Caps}
	if f.err == nil {
		f.describeServer(ctx, conn, b, p.options.Timeouts.Connect)
		f.describeCaps(server, p.options.Peers("", b.Name, route, server))
	}
	return f
}

// login logs in as a session does, with the command behind it that some servers need.
func (p *patient) login(ctx context.Context, f *finding, conn *backend.Conn) {
	ctx, cancel := context.WithTimeout(ctx, p.options.Timeouts.Login)
	defer cancel()
	if f.err = conn.Login(ctx, p.creds); f.err != nil {
		return
	}
	probe := p.options.Peers("", f.backend.Name, p.route, translate.Server{Greeting: conn.Greeting, Caps: conn.Caps}).Quirks.Probe
	if probe != nil {
		f.err = conn.Probe(ctx, probe)
	}
	f.loggedIn = f.err == nil
	if f.loggedIn {
		f.add("logged in", "as %s", p.user)
	}
}

func (f *finding) print(w io.Writer) {
	fmt.Fprintf(w, "%s  %s, tls %s\n", f.backend.Name, f.backend.Address, f.backend.TLS)
	for _, e := range f.entries {
		fmt.Fprintf(w, "  %-12s%s\n", e.head, wrapped(e.text))
	}
	if f.err != nil {
		fmt.Fprintf(w, "  %-12s%s%s\n", "FAILED", printable(f.err.Error()), advice(f.backend, f.err))
	}
	for _, fault := range f.faults {
		fmt.Fprintf(w, "  %-12s%s\n", "FAILED", fault)
	}
	fmt.Fprintln(w)
}

// wrapped breaks a long text at spaces, under itself.
func wrapped(text string) string {
	const width = 100
	var b strings.Builder
	column := 0
	for i, word := range strings.Split(text, " ") {
		switch {
		case i == 0:
		case column+1+len(word) > width:
			b.WriteString("\n" + strings.Repeat(" ", 14))
			column = 0
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += len(word)
	}
	return b.String()
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
