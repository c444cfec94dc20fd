package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/backend"
	"github.com/imapgate/imapgate/proxy/imaptest"
	"github.com/imapgate/imapgate/proxy/translate"
	"github.com/imapgate/imapgate/routing"
)

// A theatre is a server with one door and one backend, both in memory. It is made in a bubble and ends
// with the test.
type theatre struct {
	opts     Options
	door     Listener
	backend  backend.Config
	server   *Server
	doors    *imaptest.Listener
	backends *imaptest.Listener
	down     int // dials to the backend that are still to fail
}

// theatreOptions are the options of a section that change the theatre.
var theatreOptions = map[string]func(th *theatre, value string) error{
	"plaintext": func(th *theatre, v string) error { th.door.AllowPlaintextLogin = v == "yes"; return nil },
	"xgwmove":   func(th *theatre, v string) error { th.opts.Policy.XGWMove = translate.XGWMove(v); return nil },
	"move":      func(th *theatre, v string) error { th.opts.Policy.Move = translate.Move(v); return nil },
	"without": func(th *theatre, v string) error {
		th.opts.Policy.MoveWithoutUIDPlus = translate.MoveWithoutUIDPlus(v)
		return nil
	},
	"polyfills": func(th *theatre, v string) error { th.opts.Policy.Polyfills = choice(v); return nil },
	"uses":      func(th *theatre, v string) error { th.opts.Policy.SpecialUse = uses(v); return nil },
	"quirks":    func(th *theatre, v string) error { th.opts.Policy.Quirks = choice(v); return nil },
	"names": func(th *theatre, v string) error {
		f := append(strings.Fields(v), "", "")
		th.opts.Policy.Names = translate.NameMap{Prefix: strings.Trim(f[0], "-"), Separator: f[1], ClientSeparator: f[2]}
		return th.opts.Policy.Names.Check()
	},
	"remove": func(th *theatre, v string) error { th.opts.Policy.Remove = capNames(v); return nil },
	"add":    func(th *theatre, v string) error { th.opts.Policy.Add = capNames(v); return nil },
	"id":     func(th *theatre, v string) error { th.opts.Policy.ID = translate.IDMode(v); return nil },
	"goals":  func(th *theatre, v string) error { th.opts.Goals = map[string][]Goal{"imap": {{v, "#1"}}}; return nil },
	"pass":   func(th *theatre, v string) error { th.opts.Policy.PassCommands = strings.Fields(v); return nil },
	"poll": func(th *theatre, v string) (err error) {
		th.opts.Policy.IdlePoll, err = time.ParseDuration(v)
		return err
	},
	"eager":   func(th *theatre, v string) error { th.backend.EagerLiterals = v == "yes"; return nil },
	"down":    func(th *theatre, v string) error { return parseInto(&th.down, v) },
	"line":    func(th *theatre, v string) error { return parseInto(&th.opts.Limits.Line, v) },
	"preauth": func(th *theatre, v string) error { return parseInto(&th.opts.Limits.PreauthLine, v) },
	"literal": func(th *theatre, v string) error { return parseInto(&th.opts.Limits.Literal, v) },
	"append":  func(th *theatre, v string) error { return parseInto(&th.opts.Limits.Append, v) },
}

// textOptions only stand in what is said.
var textOptions = map[string]bool{"caps": true, "prefix": true}

// quietPolicy is the default policy without the polyfills and quirks that a test does not ask for.
func quietPolicy() translate.Policy {
	p := translate.DefaultPolicy()
	p.Polyfills, p.Quirks = translate.Choice{}, translate.Choice{}
	return p
}

// choice reads auto, or names with spaces between them.
func choice(v string) translate.Choice {
	return translate.Choice{Auto: v == "auto", Names: strings.Fields(v)}
}

// uses reads \Sent=Name;\Trash=Name.
func uses(v string) map[imap.MailboxAttr]string {
	m := make(map[imap.MailboxAttr]string)
	for pair := range strings.SplitSeq(v, ";") {
		attr, name, _ := strings.Cut(pair, "=")
		m[imap.MailboxAttr(attr)] = name
	}
	return m
}

func capNames(v string) (names []imap.Cap) {
	for _, name := range strings.Fields(v) {
		names = append(names, imap.Cap(name))
	}
	return names
}

func parseInto[T int | int64](v *T, text string) error {
	n, err := strconv.ParseInt(text, 10, 64)
	*v = T(n)
	return err
}

func newTheatre(t *testing.T, options map[string]string) *theatre {
	t.Helper()
	th := unstartedTheatre(t)
	for key, value := range options {
		if textOptions[key] {
			continue
		}
		set := theatreOptions[key]
		if set == nil {
			t.Fatalf("there is no option %s", key)
		}
		if err := set(th, value); err != nil {
			t.Fatalf("option %s: %v", key, err)
		}
	}
	th.start(t)
	return th
}

func unstartedTheatre(t *testing.T) *theatre {
	t.Helper()
	th := &theatre{doors: imaptest.Listen(), backends: imaptest.Listen()}
	th.door = Listener{Name: "imap", Listener: th.doors, TLS: NoTLS, AllowPlaintextLogin: true}
	th.backend = backend.Config{Name: "old", Address: "old.example.org:143", TLS: backend.None, Dial: th.reach}
	table, err := routing.NewTable(routing.Config{Backends: []routing.Backend{{Name: "old"}}, Routes: []routing.Route{{Backend: "old"}}})
	if err != nil {
		t.Fatal(err)
	}
	th.opts = Options{Table: table, Policy: quietPolicy(), Version: "1.0"}
	return th
}

// reach dials the backend, which is down for the first dials where the section says so.
func (th *theatre) reach(ctx context.Context, network, address string) (net.Conn, error) {
	if th.down > 0 {
		th.down--
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	}
	return th.backends.DialContext(ctx, network, address)
}

func (th *theatre) start(t *testing.T) {
	t.Helper()
	if th.opts.Backends == nil {
		th.opts.Backends = map[string]*backend.Config{"old": &th.backend}
	}
	server, err := NewServer(th.opts)
	if err != nil {
		t.Fatal(err)
	}
	th.server = server
	served := make(chan error, 1)
	go func() { served <- server.Serve(context.Background(), &th.door) }()
	t.Cleanup(func() { th.end(t, served) })
}

// end drains the server: a session that does not end with its connections is found here.
func (th *theatre) end(t *testing.T, served <-chan error) {
	t.Helper()
	th.backends.Close()
	ctx, cancel := context.WithTimeout(context.Background(), th.server.options().Timeouts.Drain)
	defer cancel()
	if err := th.server.Shutdown(ctx); err != nil {
		t.Errorf("sessions are left: %v", err)
	}
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if n := len(th.server.registry.all()); n > 0 {
		t.Errorf("%d sessions stand in the registry of a server that has ended", n)
	}
}

func (th *theatre) dial(t *testing.T) *imaptest.Conn {
	t.Helper()
	c, err := th.doors.Dial()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// startWith starts a server whose options are changed by change before.
func startWith(t *testing.T, change func(*theatre)) *theatre {
	t.Helper()
	th := unstartedTheatre(t)
	change(th)
	th.start(t)
	return th
}

// client runs steps on a new connection through the door, and then nothing may come any more.
func (th *theatre) client(t *testing.T, steps ...imaptest.Step) {
	t.Helper()
	c := th.dial(t)
	defer c.Close()
	if err := imaptest.Script(steps).Run(c); err != nil {
		t.Errorf("client: %v", err)
	}
}

const capsBefore = "IMAP4rev1 LITERAL+ ID SASL-IR"

// upgrade makes a client's connection secure where STARTTLS was answered.
func upgrade(pool *x509.CertPool) imaptest.Step {
	return func(p *imaptest.Peer) error {
		c := tls.Client(p.Conn, &tls.Config{RootCAs: pool, ServerName: "imap.example.org"})
		if err := c.Handshake(); err != nil {
			return err
		}
		p.Conn, p.Reader = c, bufio.NewReader(c)
		return nil
	}
}

func secureDoor(t *testing.T, mode TLSMode) (func(*theatre), *x509.CertPool) {
	cert, pool := imaptest.Certificate(t)
	return func(th *theatre) {
		th.door.TLS, th.door.AllowPlaintextLogin = mode, false
		th.door.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}}
	}, pool
}
