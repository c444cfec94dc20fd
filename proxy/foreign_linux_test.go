package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/imapgate/imapgate/proxy/backend"
	"github.com/imapgate/imapgate/proxy/imaptest"
	"github.com/imapgate/imapgate/proxy/translate"
)

const (
	foreignTime  = 1500 * time.Millisecond
	foreignUsers = 6
	foreignAtAll = 24 // clients at a time
)

// TestNothingForeign lets many clients, each with its own marks in all that it says, come and go and idle in every
// order while their readers park and what they read with is lent to others, and an operator pauses, drains and kicks
// them. Nobody, on neither side, ever gets an octet with another one's mark, and each command has its one answer.
func TestNothingForeign(t *testing.T) {
	for name, change := range map[string]func(*backend.Config){
		"a connection each": func(*backend.Config) {},
		"TLS":               func(*backend.Config) {},
		"handed on": func(b *backend.Config) {
			b.Ready = 2
			b.Reuse = backend.Reuse{Idle: 20 * time.Millisecond, Life: time.Second, Connections: 20, PerUser: 5}
		},
	} {
		t.Run(name, func(t *testing.T) {
			loopback(t).Close()
			registry := prometheus.NewRegistry()
			var back net.Listener
			c := newCrowd(t, func(o *Options) {
				b := o.Backends["b"]
				back = loopback(t)
				if b.Address = back.Addr().String(); name == "TLS" {
					certificate, roots := imaptest.Certificate(t)
					back = tls.NewListener(back, &tls.Config{Certificates: []tls.Certificate{certificate}})
					b.TLSConfig, o.Policy = &tls.Config{RootCAs: roots, ServerName: "localhost"}, translate.DefaultPolicy()
				} else {
					b.TLS, b.TLSConfig = backend.None, nil
				}
				change(b)
				o.Registry, o.Timeouts.Park = registry, 0
				o.Limits.PerIP, o.Limits.Exempt, o.Limits.PerUser = 1000, []netip.Prefix{}, 1000
			})
			(&marker{t: t}).start(back)
			c.foreign(t)
			c.nothing(registry)
		})
	}
}

// foreign has clients come and go, half of them without TLS, and ends the server.
func (c *crowd) foreign(t *testing.T) {
	plain := &Listener{Name: "plain", Listener: loopback(t), TLS: NoTLS, AllowPlaintextLogin: true}
	served := make(chan error, 1)
	go func() { served <- c.srv.Serve(context.Background(), plain) }()
	stop := make(chan struct{})
	var clients sync.WaitGroup
	var kicked sync.Map // by address: they may be cut in the middle of a message
	for i := range foreignAtAll {
		clients.Go(func() {
			for n := 0; !isClosed(stop); n++ {
				address, secure := plain.Addr().String(), i%2 == 0
				if secure {
					address = c.address
				}
				m := &marked{t: t, user: fmt.Sprint("u", i%foreignUsers), session: fmt.Sprint("s", i, "x", n)}
				err := m.visit(c, address, secure)
				if _, cut := kicked.Load(m.address); err != nil && !cut {
					t.Errorf("%s of %s: %v", m.session, m.user, err)
				}
			}
		})
	}
	r := &rig{srv: c.srv}
	r.operate(time.After(foreignTime), func(id string) {
		switch rand.IntN(300) {
		case 0:
			c.srv.Drain(id)
		case 1:
			if one := c.srv.registry.find(id); one != nil {
				kicked.Store(one.from(), true)
				c.srv.Kick(id)
			}
		case 2, 3:
			c.srv.Pause(id)
		default:
			c.srv.Resume(id)
		}
	})
	close(stop)
	left := make(chan time.Time)
	go func() { clients.Wait(); close(left) }()
	r.operate(left, func(id string) { c.srv.Resume(id) })
	c.until("all sessions have ended", func() bool { return len(c.srv.Sessions()) == 0 })
	c.end()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// A marked is a client that knows what it may hear.
type marked struct {
	t             *testing.T
	user, session string
	conn          net.Conn
	address       string
	marks, tags   int
	mark          string // that the backend has last

	mu    sync.Mutex
	owed  []owedAnswer
	goOn  chan struct{} // "+" has come
	bye   bool
	early bool       // it is drained or kicked: what was said since is not answered
	heard chan error // the end
}

// An owedAnswer is what the client waits for.
type owedAnswer struct {
	tag, mark string
	size      int // of the message that is fetched
}

// visit is one session.
func (m *marked) visit(c *crowd, address string, secure bool) error {
	nc, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer nc.Close()
	m.address = nc.LocalAddr().(*net.TCPAddr).String()
	if m.conn = nc; secure {
		m.conn = tls.Client(nc, &tls.Config{RootCAs: c.roots, ServerName: "localhost"})
	}
	nc.SetDeadline(time.Now().Add(crowdPatience))
	m.goOn, m.heard = make(chan struct{}, 1), make(chan error, 1)
	m.mark = m.user + "-" + m.session + "-0."
	m.say("LOGIN "+m.user+" firetruck", 0)
	m.say(`LIST "" `+m.mark, 0)
	go func() { m.heard <- m.hear() }()
	for range rand.IntN(12) {
		m.act()
		if rand.IntN(3) == 0 {
			<-time.After(rand.N(3 * time.Millisecond))
		}
	}
	switch rand.IntN(6) {
	case 0:
		nc.(*net.TCPConn).SetLinger(0)
		nc.Close()
		<-m.heard
		return nil
	case 1:
		nc.Close()
		<-m.heard
		return nil
	}
	m.say("LOGOUT", 0)
	err = <-m.heard
	m.mu.Lock()
	defer m.mu.Unlock()
	if err == nil && len(m.owed) > 0 && !m.early {
		err = fmt.Errorf("%v were never answered", m.owed)
	}
	return err
}

// act says something.
func (m *marked) act() {
	switch rand.IntN(9) {
	case 0, 1:
		for range rand.IntN(40) {
			m.say("NOOP", 0)
		}
	case 2:
		m.next()
		m.say(`LIST "" `+m.mark, 0)
	case 3, 4:
		for range rand.IntN(4) {
			n := 1 + rand.IntN(1+rand.IntN(60_000))
			m.say(fmt.Sprintf("FETCH %d BODY[]", n), n)
		}
	case 5:
		m.next()
		text := strings.Repeat(m.mark, 1+rand.IntN(2000))
		m.say(fmt.Sprintf("APPEND %s {%d+}\r\n%s", m.mark, len(text), text), 0)
	case 6:
		m.next()
		text := strings.Repeat(m.mark, 1+rand.IntN(2000))
		m.say(fmt.Sprintf("APPEND %s {%d}", m.mark, len(text)), 0)
		if m.granted() {
			io.WriteString(m.conn, text+"\r\n")
		}
	default:
		m.say("IDLE", 0)
		if rand.IntN(4) == 0 {
			io.WriteString(m.conn, "DONE\r\n")
			m.granted()
			return
		}
		if m.granted() {
			<-time.After(rand.N(6 * time.Millisecond))
			io.WriteString(m.conn, "DONE\r\n")
		}
	}
}

// next is another mark.
func (m *marked) next() {
	m.marks++
	m.mark = fmt.Sprint(m.user, "-", m.session, "-", m.marks, ".")
}

// say says a command, now and then in two parts.
func (m *marked) say(command string, size int) {
	m.tags++
	tag := fmt.Sprint("t", m.tags)
	m.mu.Lock()
	m.owed = append(m.owed, owedAnswer{tag, m.mark, size})
	m.mu.Unlock()
	text := tag + " " + command + "\r\n"
	at := len(text)
	if rand.IntN(10) == 0 {
		at = rand.IntN(len(text))
	}
	io.WriteString(m.conn, text[:at])
	if at < len(text) {
		<-time.After(rand.N(time.Millisecond))
		io.WriteString(m.conn, text[at:])
	}
}

// granted waits for "+"; false where the session is over.
func (m *marked) granted() bool {
	select {
	case <-m.goOn:
		return true
	case err := <-m.heard:
		m.heard <- err
		return false
	}
}

// hear checks all that comes. It is nil where the stream ends when it may.
func (m *marked) hear() error {
	in := bufio.NewReader(m.conn)
	for first := true; ; first = false {
		line, err := in.ReadString('\n')
		m.mu.Lock()
		over := m.bye
		m.mu.Unlock()
		switch {
		case err == io.EOF && line == "" && over:
			return nil
		case err != nil:
			return err
		case first:
			continue
		}
		if err := m.heed(in, line); err != nil {
			m.t.Errorf("%s of %s: %v", m.session, m.user, err)
			return err
		}
	}
}

func (m *marked) heed(in *bufio.Reader, line string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var due owedAnswer
	if len(m.owed) > 0 {
		due = m.owed[0]
	}
	text := strings.TrimSuffix(line, "\r\n")
	word, rest, _ := strings.Cut(text, " ")
	switch {
	case word == "+":
		m.goOn <- struct{}{}
	case strings.HasPrefix(rest, "BYE"):
		m.bye, m.early = true, strings.Contains(rest, "[UNAVAILABLE]")
	case strings.Contains(rest, " FETCH "):
		if want := fmt.Sprintf("* %d FETCH (BODY[] {%d}", due.size, due.size); text != want {
			return fmt.Errorf("heard %q, want %q", text, want)
		}
		octets := make([]byte, due.size+3)
		if _, err := io.ReadFull(in, octets); err != nil {
			return nil // it ends in the middle of a message
		}
		if err := pure(string(octets[:due.size]), due.mark); err != nil || string(octets[due.size:]) != ")\r\n" {
			return fmt.Errorf("a message ends in %q: %v", octets[due.size:], err)
		}
	case word == "*":
		if mark := strings.Trim(rest[strings.LastIndexByte(rest, ' ')+1:], `"`); mark != due.mark {
			return fmt.Errorf("heard %q, want %q", text, due.mark)
		}
	case word != due.tag:
		return fmt.Errorf("heard %q, want an answer to %+v", text, due)
	default:
		m.owed = m.owed[1:]
		known := strings.HasPrefix(rest, "OK [CAPABILITY ") || rest == "OK "+due.mark || strings.HasPrefix(rest, "NO [UNAVAILABLE]") ||
			strings.HasPrefix(rest, "OK LOGOUT") || strings.HasPrefix(rest, "BAD Expected DONE")
		if !known {
			return fmt.Errorf("heard %q, want an answer to %+v", text, due)
		}
	}
	return nil
}

// pure wants octets to be nothing but a mark, again and again.
func pure(octets, mark string) error {
	if want := strings.Repeat(mark, len(octets)/len(mark)+1); octets != want[:len(octets)] {
		return fmt.Errorf("%d octets are not all of %q: %.200q", len(octets), mark, octets)
	}
	return nil
}
