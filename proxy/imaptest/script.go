package imaptest

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// scriptTimeout bounds each read and write of a script.
const scriptTimeout = 10 * time.Second

// A Script is one side of a conversation as a list of steps, for tests in which a transcript is not
// enough (TLS, large literals, real time).
type Script []Step

// A Step is one action of a [Script].
type Step func(*Peer) error

// A Peer is what a [Script] runs on: a connection, and the values that [Match] has named.
type Peer struct {
	Conn   net.Conn
	Reader *bufio.Reader // of Conn; read here, nowhere else
	Vars   map[string]string
}

// Run does the steps in order on c, which it does not close, and returns the first error with the
// number of its step, from 1. Each step has 10 s.
func (s Script) Run(c net.Conn) error {
	p := &Peer{Conn: c, Reader: bufio.NewReader(c), Vars: map[string]string{}}
	for i, step := range s {
		if err := step(p); err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	return nil
}

// Start runs the script in a goroutine on the first connection that l accepts, then closes the
// connection. The test fails where the script does, and waits for the script before it ends.
func (s Script) Start(t testing.TB, l net.Listener) {
	t.Helper()
	done := make(chan error, 1)
	go s.accept(l, done)
	t.Cleanup(func() {
		l.Close()
		if err := <-done; err != nil {
			t.Errorf("script: %v", err)
		}
	})
}

func (s Script) accept(l net.Listener, done chan<- error) {
	c, err := l.Accept()
	if err != nil {
		done <- fmt.Errorf("nobody connected: %w", err)
		return
	}
	defer c.Close()
	done <- s.Run(c)
}

func (p *Peer) line() (string, error) {
	p.Conn.SetReadDeadline(time.Now().Add(scriptTimeout))
	line, err := p.Reader.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("after %q: %w", line, err)
	}
	text, ok := strings.CutSuffix(line, "\r\n")
	if !ok {
		return "", fmt.Errorf("%q does not end in CRLF", line)
	}
	return text, nil
}

func (p *Peer) expand(text string) string {
	return os.Expand(text, func(key string) string {
		if value, ok := p.Vars[key]; ok {
			return value
		}
		return "$" + key
	})
}

// Expect reads one line, which must be text; ${name} in it stands for what [Match] has named.
func Expect(text string) Step {
	return func(p *Peer) error {
		got, err := p.line()
		if want := p.expand(text); err != nil || got != want {
			return fmt.Errorf("expected %q, got %q: %w", want, got, orMismatch(err))
		}
		return nil
	}
}

// Match reads one line, of which pattern must match some part; its named groups become variables, as in
// Match(`^(?P<tag>\S+) NOOP$`), Send("${tag} OK done").
func Match(pattern string) Step {
	re := regexp.MustCompile(pattern)
	return func(p *Peer) error {
		got, err := p.line()
		groups := re.FindStringSubmatch(got)
		if err != nil || groups == nil {
			return fmt.Errorf("expected a match of %s, got %q: %w", pattern, got, orMismatch(err))
		}
		for i, name := range re.SubexpNames() {
			if name != "" {
				p.Vars[name] = groups[i]
			}
		}
		return nil
	}
}

var errMismatch = errors.New("mismatch")

func orMismatch(err error) error {
	if err == nil {
		return errMismatch
	}
	return err
}

// ExpectBytes reads exactly as many bytes as data has, which must be data: a literal's content.
func ExpectBytes(data string) Step {
	return func(p *Peer) error {
		p.Conn.SetReadDeadline(time.Now().Add(scriptTimeout))
		got := make([]byte, len(data))
		if n, err := io.ReadFull(p.Reader, got); err != nil || string(got) != data {
			return fmt.Errorf("expected %q, got %q: %w", data, got[:n], orMismatch(err))
		}
		return nil
	}
}

// ExpectLiteral reads a line that ends in {n} or {n+} and begins with text, answers {n} with a
// continuation, and reads n bytes, which must be data.
func ExpectLiteral(text, data string) Step {
	sync, nonSync := fmt.Sprintf("%s{%d}", text, len(data)), fmt.Sprintf("%s{%d+}", text, len(data))
	return func(p *Peer) error {
		got, err := p.line()
		switch {
		case err == nil && got == p.expand(nonSync):
			return ExpectBytes(data)(p)
		case err == nil && got == p.expand(sync):
			return Script{Send("+ go on"), ExpectBytes(data)}.on(p)
		}
		return fmt.Errorf("expected %q, got %q: %w", p.expand(sync), got, orMismatch(err))
	}
}

func (s Script) on(p *Peer) error {
	for _, step := range s {
		if err := step(p); err != nil {
			return err
		}
	}
	return nil
}

// ExpectEOF reads the end of the stream; any byte before it is an error.
func ExpectEOF() Step {
	return func(p *Peer) error {
		p.Conn.SetReadDeadline(time.Now().Add(scriptTimeout))
		if b, err := p.Reader.ReadByte(); err != io.EOF {
			return fmt.Errorf("expected the end of the stream, got %q: %w", b, orMismatch(err))
		}
		return nil
	}
}

// Send writes lines in one write, with CRLF behind each; ${name} stands for what [Match] has named.
func Send(lines ...string) Step {
	return func(p *Peer) error { return p.write(p.expand(strings.Join(lines, "\r\n") + "\r\n")) }
}

// SendRaw writes exactly data.
func SendRaw(data string) Step {
	return func(p *Peer) error { return p.write(data) }
}

func (p *Peer) write(data string) error {
	p.Conn.SetWriteDeadline(time.Now().Add(scriptTimeout))
	_, err := io.WriteString(p.Conn, data)
	return err
}

// Wait blocks until ch is closed or gives a value.
func Wait(ch <-chan struct{}) Step {
	return func(*Peer) error {
		<-ch
		return nil
	}
}

// Vanish resets the connection.
func Vanish() Step {
	return func(p *Peer) error { return abort(p.Conn) }
}

// CloseWrite half-closes the connection, where it can be.
func CloseWrite() Step {
	return func(p *Peer) error {
		c, ok := p.Conn.(interface{ CloseWrite() error })
		if !ok {
			return fmt.Errorf("%T has no CloseWrite", p.Conn)
		}
		return c.CloseWrite()
	}
}

// StartTLS goes on as the server of a TLS connection. What stands behind STARTTLS in the same write is
// an error.
func StartTLS(config *tls.Config) Step {
	return func(p *Peer) error {
		if n := p.Reader.Buffered(); n > 0 {
			return fmt.Errorf("%d bytes stand behind STARTTLS", n)
		}
		p.Conn.SetDeadline(time.Now().Add(scriptTimeout))
		c := tls.Server(p.Conn, config)
		if err := c.Handshake(); err != nil {
			return err
		}
		p.Conn, p.Reader = c, bufio.NewReader(c)
		return nil
	}
}
