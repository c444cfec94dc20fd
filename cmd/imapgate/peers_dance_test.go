//go:build unix

package main

import (
	"bufio"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/imapgate/imapgate/proxy/imaptest/realpeer"
)

// A cutter stands between imapgate and a server, and ends a connection in the place of a line.
type cutter struct {
	net.Listener
	server string

	mu sync.Mutex
	at string // ends the connection before the line that holds it; "" for none
}

func startCutter(t *testing.T, server string) *cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{Listener: l, server: server}
	var work sync.WaitGroup
	work.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			work.Go(func() { c.carry(conn) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		work.Wait()
	})
	return c
}

func (c *cutter) cut(at string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = at
}

// ends reports whether a line ends its connection. It does so once.
func (c *cutter) ends(line string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at == "" || !strings.Contains(line, c.at) {
		return false
	}
	c.at = ""
	return true
}

func (c *cutter) carry(up net.Conn) {
	defer up.Close()
	down, err := net.Dial("tcp", c.server)
	if err != nil {
		return
	}
	defer down.Close()
	go func() {
		io.Copy(up, down)
		up.Close()
	}()
	r := bufio.NewReader(up)
	for {
		line, err := r.ReadString('\n')
		if err != nil || c.ends(line) {
			return
		}
		if _, err := io.WriteString(down, line); err != nil {
			return
		}
	}
}

// A dance that the connection's end interrupts: the user's marks are back as soon as the mailbox is
// selected again, and no message is lost.
func TestPeersDanceIsInterrupted(t *testing.T) {
	t.Parallel()
	for _, f := range moveForms() {
		if f.policy != dancing {
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			u := secretUser("mover.none")
			server := f.start(t, []realpeer.User{u})
			for _, at := range []string{"UID COPY", "+FLAGS.SILENT", "UID SEARCH DELETED", "-FLAGS.SILENT", " EXPUNGE", "UID STORE 1 +FLAGS"} {
				f.interrupt(t, server, u, at)
			}
		})
	}
}

func (f moveForm) interrupt(t *testing.T, server *realpeer.Server, u realpeer.User, at string) {
	t.Helper()
	c := startCutter(t, server.Addr)
	g := startPeerGate(t, server.Users, []peerBackend{{c.Addr().String(), "", legNone, "*", ""}}, f.policy)
	m := newMoved(t, g, server, u, f.prefix, strings.ToLower(strings.Trim(strings.NewReplacer(" ", "", "+", "p", "-", "m", ".", "").Replace(at), " ")))
	c.cut(at)
	m.c.say("x UID MOVE 2,3:4 " + m.to)
	expectGoodbye(t, at, m.c, "x NO [UNAVAILABLE]")
	again := g.at(legNone).raw(t, u)
	again.must("SELECT " + m.box)
	source := "m1! m2 m3! m4 m5 m6"
	target := "m2 m3! m4"
	switch at {
	case "UID COPY":
		target = ""
	case "-FLAGS.SILENT", "UID SEARCH DELETED":
		source = "m1! m2! m3! m4! m5 m6" // copied, and still there
	case " EXPUNGE":
		source = "m1 m2! m3! m4! m5 m6" // EXPUNGE could still come, and take m1 too
	case "UID STORE 1 +FLAGS":
		source = "m1! m5 m6"
	}
	if got := strings.Join(m.witness.marks(m.box), " "); got != source {
		t.Errorf("cut before %s: source %q, want %q", at, got, source)
	}
	if got := strings.Join(m.witness.marks(m.to), " "); got != target {
		t.Errorf("cut before %s: target %q, want %q", at, got, target)
	}
}
