package proxy

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/imapgate/imapgate/proxy/backend"
	"github.com/imapgate/imapgate/proxy/imaptest"
	"github.com/imapgate/imapgate/routing"
)

// rigForever is more than any timeout of a session, on a synctest bubble's clock.
const rigForever = 3 * time.Hour

// A rig is a Server in memory, made inside the synctest bubble that uses it.
type rig struct {
	t      testing.TB
	srv    *Server
	front  *imaptest.Listener // clients dial it
	back   *imaptest.Listener // the proxy dials it
	served chan error

	scripts sync.WaitGroup // backends of the test's own

	mu   sync.Mutex
	ends []*rigConn // the proxy's ends of all connections
}

// A rigSetup changes what a rig runs with.
type rigSetup struct {
	options    func(*Options)
	backend    func(*backend.Config)
	listener   func(*Listener)
	wrapClient func(net.Conn) net.Conn // the proxy's end
	// Injuries of the proxy's ends; none where Kind is 0.
	hurtClient, hurtBackend imaptest.Injury
}

// rigStart serves until the test's end, and then wants every connection closed.
func rigStart(t testing.TB, set rigSetup) *rig {
	t.Helper()
	r := &rig{t: t, front: imaptest.Listen(), back: imaptest.Listen(), served: make(chan error, 1)}
	b := &backend.Config{Name: "b", Address: "b:143", TLS: backend.None}
	b.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := r.back.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return r.end(c, "backend", set.hurtBackend), nil
	}
	if set.backend != nil {
		set.backend(b)
	}
	table, err := routing.NewTable(routing.Config{Backends: []routing.Backend{{Name: "b"}}, Routes: []routing.Route{{Backend: "b"}}})
	if err != nil {
		t.Fatal(err)
	}
	opts := Options{Backends: map[string]*backend.Config{"b": b}, Table: table, Policy: quietPolicy()}
	opts.Limits.PerIP, opts.Limits.PerUser = -1, -1 // all its clients are one user's, from one address
	if set.options != nil {
		set.options(&opts)
	}
	if r.srv, err = NewServer(opts); err != nil {
		t.Fatal(err)
	}
	ln := &Listener{Name: "imap", Listener: &rigListener{r.front, r, set}, TLS: NoTLS, AllowPlaintextLogin: true}
	if set.listener != nil {
		set.listener(ln)
	}
	go func() { r.served <- r.srv.Serve(context.Background(), ln) }()
	t.Cleanup(r.stop)
	return r
}

// A rigListener hands out watched connections.
type rigListener struct {
	*imaptest.Listener
	r   *rig
	set rigSetup
}

func (l *rigListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if c = l.r.end(c, "client", l.set.hurtClient); l.set.wrapClient != nil {
		c = l.set.wrapClient(c)
	}
	return c, nil
}

// stop ends the server as its first signal does, and cuts what is left a minute later.
func (r *rig) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r.srv.Shutdown(ctx)
	if err := <-r.served; err != nil {
		r.t.Errorf("Serve: %v", err)
	}
	r.back.Close()
	r.scripts.Wait()
	for _, e := range r.all() {
		select {
		case <-e.closed:
		default:
			r.t.Errorf("the server has ended and a connection to a %s is open", e.peer)
		}
	}
}

// A rigConn is the proxy's end of a connection; it keeps what passes.
type rigConn struct {
	net.Conn
	peer   string
	once   sync.Once
	closed chan struct{}

	mu          sync.Mutex
	read, wrote []byte
}

func (r *rig) end(c net.Conn, peer string, hurt imaptest.Injury) net.Conn {
	if hurt.Kind != 0 {
		c = imaptest.Injure(c, hurt)
	}
	e := &rigConn{Conn: c, peer: peer, closed: make(chan struct{})}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ends = append(r.ends, e)
	return e
}

func (c *rigConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read = append(c.read, p[:n]...)
	return n, err
}

func (c *rigConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wrote = append(c.wrote, p[:n]...)
	return n, err
}

func (c *rigConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// NotifyReadable lets the proxy park.
func (c *rigConn) NotifyReadable(f func()) bool { return c.Conn.(notifier).NotifyReadable(f) }

// CloseWrite half-closes the connection.
func (c *rigConn) CloseWrite() error {
	return c.Conn.(interface{ CloseWrite() error }).CloseWrite()
}

func (r *rig) all() []*rigConn {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ends
}

// ended waits until the proxy has closed every connection by itself.
func (r *rig) ended() {
	r.t.Helper()
	late := time.After(rigForever)
	for _, e := range r.all() {
		select {
		case <-e.closed:
		case <-late:
			r.t.Errorf("the proxy does not close its connection to the %s", e.peer)
		}
	}
}

// heard is all that the proxy has sent to its backend so far, over all connections.
func (r *rig) heard() []byte { return r.passed("backend", func(c *rigConn) []byte { return c.wrote }) }

// carried is all that the proxy has read from (peer "backend" or "client") so far.
func (r *rig) carried(peer string) []byte {
	return r.passed(peer, func(c *rigConn) []byte { return c.read })
}

func (r *rig) passed(peer string, what func(*rigConn) []byte) (all []byte) {
	for _, e := range r.all() {
		e.mu.Lock()
		if e.peer == peer {
			all = append(all, what(e)...)
		}
		e.mu.Unlock()
	}
	return all
}

// session returns the id of the one session that is logged in.
func (r *rig) session() string {
	r.t.Helper()
	all := r.srv.Sessions()
	if len(all) != 1 {
		r.t.Fatalf("%d sessions, want 1", len(all))
	}
	return all[0].ID
}

// A rigClient reads all the time and keeps what it gets.
type rigClient struct {
	t    testing.TB
	conn net.Conn

	mu   sync.Mutex
	cond *sync.Cond
	got  []byte
	seen int // octets of got that hear has passed
	err  error
}

func (r *rig) dial() net.Conn {
	r.t.Helper()
	c, err := r.front.Dial()
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	return c
}

// client connects.
func (r *rig) client() *rigClient { return rigReader(r.t, r.dial()) }

func rigReader(t testing.TB, conn net.Conn) *rigClient {
	c := &rigClient{t: t, conn: conn}
	c.cond = sync.NewCond(&c.mu)
	go c.read()
	return c
}

func (c *rigClient) read() {
	p := make([]byte, 4096)
	for {
		n, err := c.conn.Read(p)
		c.mu.Lock()
		c.got = append(c.got, p[:n]...)
		c.err = err
		c.cond.Broadcast()
		c.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// startTLS goes on above TLS: all that was sent so far has been read by hear.
func (c *rigClient) startTLS(r *rig, cfg *tls.Config) *rigClient {
	c.t.Helper()
	c.say("s1 STARTTLS\r\n")
	c.must("s1 OK")
	c.conn.SetReadDeadline(time.Unix(1, 0)) // ends the reader
	c.mu.Lock()
	for c.err == nil {
		c.cond.Wait()
	}
	c.mu.Unlock()
	c.conn.SetReadDeadline(time.Time{})
	t := tls.Client(c.conn, cfg)
	if err := t.Handshake(); err != nil {
		c.t.Fatal(err)
	}
	return rigReader(c.t, t)
}

// say reports whether the text could be sent.
func (c *rigClient) say(text string) bool {
	_, err := io.WriteString(c.conn, text)
	return err == nil
}

// hear waits for a whole line that begins with text, and passes it; false when the stream ends first.
func (c *rigClient) hear(text string) (line string, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		rest := c.got[c.seen:]
		for len(rest) > 0 {
			i := bytes.IndexByte(rest, '\n')
			if i < 0 {
				break
			}
			line := string(rest[:i+1])
			if rest = rest[i+1:]; strings.HasPrefix(line, text) {
				c.seen = len(c.got) - len(rest)
				return strings.TrimRight(line, "\r\n"), true
			}
		}
		if c.err != nil {
			return "", false
		}
		c.cond.Wait()
	}
}

// must is hear for a line that has to come.
func (c *rigClient) must(text string) string {
	c.t.Helper()
	line, ok := c.hear(text)
	if !ok {
		c.t.Fatalf("the stream ended (%v) before %q:\n%s", c.err, text, rigTail(c.got))
	}
	return line
}

// ask says one command and wants the answer to begin with want, the tag left out.
func (c *rigClient) ask(tag, command, want string) {
	c.t.Helper()
	c.say(tag + " " + command + "\r\n")
	if line := c.must(tag + " "); !strings.HasPrefix(line, tag+" "+want) {
		c.t.Fatalf("%s is answered with %q, want %s", command, line, want)
	}
}

// login hears the greeting and logs in.
func (c *rigClient) login() {
	c.t.Helper()
	c.must("* OK")
	c.ask("a0", "LOGIN riley firetruck", "OK")
}

// end waits for the stream's end and returns the whole stream; the error is io.EOF for a clean end.
func (c *rigClient) end() ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.err == nil {
		c.cond.Wait()
	}
	return c.got, c.err
}

// endBye wants the stream to end with a whole BYE that holds text.
func (c *rigClient) endBye(text string) {
	c.t.Helper()
	got, err := c.end()
	lines := strings.SplitAfter(string(got), "\r\n")
	if len(lines) < 2 || lines[len(lines)-1] != "" || !strings.HasPrefix(lines[len(lines)-2], "* BYE") ||
		!strings.Contains(lines[len(lines)-2], text) || err != io.EOF {
		c.t.Fatalf("the stream ends (%v) without a whole BYE that has %q:\n%s", err, text, rigTail(got))
	}
}

func rigTail(b []byte) []byte { return b[max(0, len(b)-1500):] }

// rigPass lets time pass in a bubble.
func rigPass(d time.Duration) { <-time.After(d) }

// rigMeanwhile calls f again and again until all clients have left.
func rigMeanwhile(clients *sync.WaitGroup, every time.Duration, f func()) {
	over := make(chan struct{})
	go func() { clients.Wait(); close(over) }()
	for {
		select {
		case <-over:
			return
		case <-time.After(every):
			f()
		}
	}
}
