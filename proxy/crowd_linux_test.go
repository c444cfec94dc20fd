package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/imapgate/imapgate/proxy/backend"
	"github.com/imapgate/imapgate/proxy/imaptest"
	"github.com/imapgate/imapgate/routing"
)

// crowdPatience is how long anything may take before it is taken for lost.
const crowdPatience = 30 * time.Second

// A crowd is a server between clients and a backend, over TCP and TLS on both sides, whose readers park after
// a millisecond.
type crowd struct {
	t       *testing.T
	srv     *Server
	address string
	roots   *x509.CertPool
	served  chan error
	stages  sync.WaitGroup // goroutines of the backend
	close   func()         // ends the backend, behind the server

	mu    sync.Mutex
	cond  *sync.Cond
	hosts map[string]*host // by user
}

func newCrowd(t *testing.T, change func(*Options)) *crowd {
	t.Helper()
	certificate, roots := imaptest.Certificate(t)
	c := &crowd{t: t, roots: roots, served: make(chan error, 1), hosts: make(map[string]*host)}
	c.cond = sync.NewCond(&c.mu)
	cfg := &tls.Config{Certificates: []tls.Certificate{certificate}}
	back := tls.NewListener(loopback(t), cfg)
	c.stages.Go(func() { c.accept(back) })
	c.close = func() { back.Close(); c.stages.Wait() }
	t.Cleanup(c.cut)
	table, err := routing.NewTable(routing.Config{Backends: []routing.Backend{{Name: "b"}}, Routes: []routing.Route{{Backend: "b"}}})
	if err != nil {
		t.Fatal(err)
	}
	opts := Options{Table: table, Policy: quietPolicy(), Backends: map[string]*backend.Config{"b": {
		Name: "b", Address: back.Addr().String(), TLS: backend.Implicit,
		TLSConfig: &tls.Config{RootCAs: roots, ServerName: "localhost"},
	}}}
	opts.Timeouts.Park = time.Millisecond
	if change != nil {
		change(&opts)
	}
	if c.srv, err = NewServer(opts); err != nil {
		t.Fatal(err)
	}
	ln := &Listener{Name: "imap", Listener: loopback(t), TLS: ImplicitTLS, TLSConfig: cfg}
	c.address = ln.Addr().String()
	go func() { c.served <- c.srv.Serve(context.Background(), ln) }()
	return c
}

// end drains the server.
func (c *crowd) end() {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), crowdPatience)
	defer cancel()
	if err := c.srv.Shutdown(ctx); err != nil {
		c.t.Errorf("sessions are left: %v", err)
	}
	if err := <-c.served; err != nil {
		c.t.Errorf("Serve: %v", err)
	}
}

// cut ends what is left behind a test that has failed.
func (c *crowd) cut() {
	now, cancel := context.WithCancel(context.Background())
	cancel()
	c.srv.Shutdown(now)
	c.close()
}

// parked waits until as many readers are parked.
func (c *crowd) parked(want int) {
	c.t.Helper()
	c.until(fmt.Sprint(want, " readers are parked"), func() bool {
		c.srv.lot.mu.Lock()
		defer c.srv.lot.mu.Unlock()
		return len(c.srv.lot.due) == want
	})
}

func (c *crowd) until(what string, so func() bool) {
	c.t.Helper()
	for late := time.Now().Add(crowdPatience); !so(); <-time.After(time.Millisecond) {
		if time.Now().After(late) {
			c.t.Fatalf("not so for %v: %s", crowdPatience, what)
		}
	}
}

const crowdCaps = "[CAPABILITY IMAP4rev1 LITERAL+ IDLE] "

// A host is the backend's end of a session.
type host struct {
	raw *net.TCPConn

	mu     sync.Mutex
	conn   net.Conn
	exists int
}

func (c *crowd) accept(back net.Listener) {
	for {
		nc, err := back.Accept()
		if err != nil {
			return
		}
		c.stages.Go(func() { c.serve(nc) })
	}
}

// serve says OK to all.
func (c *crowd) serve(nc net.Conn) {
	defer nc.Close()
	h := &host{conn: nc, raw: nc.(*tls.Conn).NetConn().(*net.TCPConn)}
	h.say("* OK " + crowdCaps + "hello\r\n")
	in := bufio.NewReader(nc)
	idle := ""
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		tag, cmd, _ := strings.Cut(strings.TrimSpace(line), " ")
		code := ""
		switch name, _, _ := strings.Cut(cmd, " "); {
		case tag == "DONE":
			tag = idle
		case name == "LOGIN":
			code = crowdCaps
			c.mu.Lock()
			c.hosts[strings.Trim(strings.Fields(cmd)[1], `"`)] = h
			c.cond.Broadcast()
			c.mu.Unlock()
		case name == "IDLE":
			idle = tag
			h.say("+ idling\r\n")
			continue
		}
		h.say(tag + " OK " + code + "done\r\n")
		if cmd == "LOGOUT" {
			return
		}
	}
}

func (h *host) say(text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	io.WriteString(h.conn, text)
}

// push tells of one more message.
func (h *host) push() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.exists++
	fmt.Fprintf(h.conn, "* %d EXISTS\r\n", h.exists)
}

// host waits for the backend's end of a user's session.
func (c *crowd) host(user string) *host {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.hosts[user] == nil {
		c.cond.Wait()
	}
	return c.hosts[user]
}

// A guest is a client.
type guest struct {
	t      *testing.T
	user   string
	raw    *net.TCPConn
	conn   *tls.Conn
	in     *bufio.Reader
	exists int // that it has heard of
	tags   int
	idle   string // tag of its IDLE
	heard  string // tag of the line that was heard last
}

// guest logs a client in. below is what its TLS runs on; nil is the TCP connection.
func (c *crowd) guest(user string, below func(net.Conn) net.Conn) (*guest, error) {
	nc, err := net.Dial("tcp", c.address)
	if err != nil {
		return nil, err
	}
	g := &guest{t: c.t, user: user, raw: nc.(*net.TCPConn)}
	if below != nil {
		nc = below(nc)
	}
	g.conn = tls.Client(nc, &tls.Config{RootCAs: c.roots, ServerName: "localhost"})
	g.in = bufio.NewReader(g.conn)
	return g, g.ask("LOGIN " + user + " firetruck")
}

// ask says one command and reads up to its OK.
func (g *guest) ask(command string) error {
	tag := g.say(command)
	return g.hear(tag + " OK")
}

func (g *guest) say(command string) (tag string) {
	g.tags++
	tag = fmt.Sprint("a", g.tags)
	fmt.Fprintf(g.conn, "%s %s\r\n", tag, command)
	return tag
}

// hear reads up to a line that begins with text. What the backend tells of messages comes in its order.
func (g *guest) hear(text string) error {
	g.raw.SetReadDeadline(time.Now().Add(crowdPatience))
	for {
		line, err := g.in.ReadString('\n')
		if err != nil {
			return fmt.Errorf("%s: %w before %q", g.user, err, text)
		}
		if strings.HasSuffix(line, " EXISTS\r\n") {
			g.exists++
			if want := fmt.Sprintf("* %d EXISTS\r\n", g.exists); line != want {
				return fmt.Errorf("%s: heard %q, want %q", g.user, line, want)
			}
		}
		if strings.HasPrefix(line, text) {
			g.heard, _, _ = strings.Cut(line, " ")
			return nil
		}
		if line[0] != '*' && line[0] != '+' && (g.idle == "" || !strings.HasPrefix(line, g.idle+" NO [UNAVAILABLE]")) {
			return fmt.Errorf("%s: heard %q, want %q", g.user, line, text)
		}
	}
}

// news reads until as many messages are known.
func (g *guest) news(exists int) error {
	for g.exists < exists {
		if err := g.hear("*"); err != nil {
			return err
		}
	}
	return nil
}

// rest begins IDLE, or ends it.
func (g *guest) rest() error {
	if g.idle == "" {
		g.idle = g.say("IDLE")
		return g.hear("+")
	}
	tag := g.idle
	g.idle = ""
	io.WriteString(g.conn, "DONE\r\n")
	return g.hear(tag + " OK")
}

// wake has the client, the backend, or both at once end a silence, some times in a row.
func (g *guest) wake(h *host) error {
	for range 8 {
		pushes := 0
		if rand.IntN(3) > 0 {
			pushes = rand.IntN(3) + 1
		}
		var pushed sync.WaitGroup
		pushed.Go(func() {
			for range pushes {
				h.push()
			}
		})
		err := g.stir()
		pushed.Wait()
		if err == nil {
			err = g.news(h.exists)
		}
		if err != nil {
			return err
		}
		<-time.After(rand.N(4 * time.Millisecond))
	}
	return nil
}

// stir is what a client says by itself.
func (g *guest) stir() error {
	switch {
	case rand.IntN(3) == 0:
		return nil
	case rand.IntN(3) == 0:
		return g.rest()
	case g.idle == "":
		return g.ask("NOOP")
	}
	if err := g.rest(); err != nil {
		return err
	}
	return g.rest()
}

// bye reads up to the end of the stream, behind a BYE.
func (g *guest) bye() error {
	if err := g.hear("* BYE"); err != nil {
		return err
	}
	return g.over()
}

// over reads up to the end of the stream.
func (g *guest) over() error {
	defer g.raw.Close()
	g.raw.SetReadDeadline(time.Now().Add(crowdPatience))
	if _, err := io.Copy(io.Discard, g.in); err != nil {
		return fmt.Errorf("%s: %w at the end", g.user, err)
	}
	return nil
}

// openFiles is how many descriptors this process has.
func openFiles(t *testing.T) int {
	t.Helper()
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}
