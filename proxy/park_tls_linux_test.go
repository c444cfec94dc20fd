package proxy

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestParkedRecords has a client's TLS records come in parts with a silence between them, and several at
// once, in front of readers that park meanwhile.
func TestParkedRecords(t *testing.T) {
	c := newCrowd(t, nil)
	var below *segments
	g, err := c.guest("u", func(nc net.Conn) net.Conn { below = &segments{Conn: nc}; return below })
	if err != nil {
		t.Fatal(err)
	}
	defer g.raw.Close()
	for _, e := range []struct {
		commands int // each in a record of its own
		cuts     []int
	}{
		{1, []int{1}}, {1, []int{4}}, {1, []int{5}}, {1, []int{6}}, {1, []int{-1}}, {1, []int{3, 7}},
		{3, nil}, {3, []int{-1}}, {3, []int{5}}, {40, nil}, {40, []int{100, -30}},
	} {
		c.parked(2)
		tag := ""
		wire := below.gather(func() {
			for range e.commands {
				tag = g.say("NOOP")
			}
		})
		from := 0
		for _, cut := range e.cuts {
			if cut < 0 {
				cut += len(wire)
			}
			below.Conn.Write(wire[from:cut])
			from = cut
			<-time.After(20 * time.Millisecond) // much longer than it takes to park
		}
		below.Conn.Write(wire[from:])
		for g.heard != tag && err == nil {
			err = g.hear("a")
		}
		if err != nil {
			t.Fatalf("%+v: %v", e, err)
		}
	}
	c.end()
	if err := g.bye(); err != nil {
		t.Error(err)
	}
}

// segments keeps what is written back where that is wanted.
type segments struct {
	net.Conn
	mu   sync.Mutex
	kept *bytes.Buffer
}

func (s *segments) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept != nil {
		return s.kept.Write(p)
	}
	return s.Conn.Write(p)
}

// gather returns what f writes.
func (s *segments) gather(f func()) []byte {
	var b bytes.Buffer
	s.mu.Lock()
	s.kept = &b
	s.mu.Unlock()
	f()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = nil
	return b.Bytes()
}

// TestParkedCloseNotify ends TLS, and TCP not, in front of a reader that is parked.
func TestParkedCloseNotify(t *testing.T) {
	c := newCrowd(t, nil)
	for _, command := range []string{"", "NOOP", "IDLE"} {
		var below *segments
		g, err := c.guest("u", func(nc net.Conn) net.Conn { below = &segments{Conn: nc}; return below })
		if err != nil {
			t.Fatal(err)
		}
		c.parked(2)
		tag := ""
		wire := below.gather(func() {
			if command != "" {
				tag = g.say(command)
			}
			g.conn.CloseWrite()
		})
		below.SetWriteDeadline(time.Time{}) // CloseWrite has set one
		below.Conn.Write(wire)
		if tag != "" {
			err = g.hear(tag + " OK")
		}
		if err == nil {
			err = g.over()
		}
		if err != nil {
			t.Errorf("%q: %v", command, err)
		}
		c.until("the session has ended", func() bool { return len(c.srv.Sessions()) == 0 })
	}
	c.end()
}

// TestParkedKeyUpdate has OpenSSL ask for new keys (RFC 8446 section 4.6.3) after a silence that is longer
// than a peer may take for a write: the answer is written all the same, and the session goes on.
func TestParkedKeyUpdate(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed")
	}
	const write = 200 * time.Millisecond
	c := newCrowd(t, func(o *Options) { o.Timeouts.Write = write })
	cmd := exec.CommandContext(t.Context(), openssl, "s_client", "-connect", c.address, "-tls1_3", "-crlf")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	words, lines := bufio.NewScanner(said), bufio.NewScanner(out)
	hear := func(text string) {
		t.Helper()
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), text) {
				return
			}
		}
		t.Fatalf("the stream ended before %q", text)
	}
	hear("* OK")
	io.WriteString(in, "a LOGIN u firetruck\n")
	hear("a OK")
	for n := range 3 {
		c.parked(2)
		<-time.After(2 * write)
		io.WriteString(in, "K\n") // a command of s_client: new keys on both sides
		for words.Scan() && words.Text() != "KEYUPDATE" {
		}
		<-time.After(20 * time.Millisecond) // it parks again
		c.parked(2)
		fmt.Fprintf(in, "a%d NOOP\n", n)
		hear(fmt.Sprintf("a%d OK", n))
	}
	in.Close()
	io.Copy(io.Discard, said)
	io.Copy(io.Discard, out)
	cmd.Wait()
	c.end()
}
