package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync/atomic"
	"time"
)

// A door is where clients of one kind come in.
type door struct {
	address string // empty: there is no such door
	tls     bool
	user    string // what user names begin with
}

// patience is how long a client waits for all that it does between two looks at the clock.
const patience = 30 * time.Second

// A client is one connection of the load generator.
type client struct {
	nc  net.Conn // with TLS where the door has it
	tcp net.Conn
	in  *bufio.Reader
}

// clientTLS trusts any certificate: who measures has started the server. The key exchange is one that
// all peers know, so that all do the same work; Go and browsers would choose a more expensive one.
var clientTLS = &tls.Config{
	InsecureSkipVerify: true,
	MinVersion:         tls.VersionTLS12,
	CurvePreferences:   []tls.CurveID{tls.X25519},
}

// sources counts connections. They come from many addresses of the loopback network, since one has only
// some 28000 ports.
var sources atomic.Uint32

// sourceAddress returns where the next connection to an address comes from, nil for the system's choice.
func sourceAddress(address string) net.Addr {
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host).To4()
	if err != nil || ip == nil || ip[0] != 127 || runtime.GOOS != "linux" {
		return nil
	}
	return &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(sources.Add(1)%64)+1)}
}

// dial connects, with buffer octets for what is read, and takes the greeting.
func (d door) dial(ctx context.Context, buffer int) (*client, error) {
	dialer := net.Dialer{Timeout: dialTimeout, LocalAddr: sourceAddress(d.address)}
	tcp, err := dialer.DialContext(ctx, "tcp", d.address)
	if err != nil {
		return nil, err
	}
	c := &client{nc: tcp, tcp: tcp}
	c.extend(patience)
	if d.tls {
		c.nc = tls.Client(tcp, clientTLS)
	}
	c.in = bufio.NewReaderSize(c.nc, buffer)
	line, err := c.line()
	if err == nil && !bytes.HasPrefix(line, []byte("* OK")) {
		err = fmt.Errorf("%q", line)
	}
	if err != nil {
		c.close()
		return nil, fmt.Errorf("greeting: %w", err)
	}
	return c, nil
}

// users counts logins: each is another user's, up to a million.
var users atomic.Uint32

func (c *client) login(prefix string) error {
	if err := c.do("l1", fmt.Sprintf("l1 LOGIN %s%d pass\r\n", prefix, users.Add(1)%1_000_000)); err != nil {
		return fmt.Errorf("login: %w", err)
	}
	return nil
}

// open returns a client that has logged in and selected a mailbox.
func (d door) open(ctx context.Context, m *mailbox, buffer int) (*client, error) {
	c, err := d.dial(ctx, buffer)
	if err != nil {
		return nil, err
	}
	if err = c.login(d.user); err == nil {
		err = c.do("l2", "l2 SELECT "+m.name+"\r\n")
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// extend gives the client that much time from now on.
func (c *client) extend(d time.Duration) { c.tcp.SetDeadline(time.Now().Add(d)) }

// close ends the connection at once, and in TLS without the farewell, as clients do.
func (c *client) close() { c.tcp.Close() }

// line returns the next line without its end, valid until the next read.
func (c *client) line() ([]byte, error) {
	line, err := c.in.ReadSlice('\n')
	if errors.Is(err, io.EOF) {
		err = errClosed
	}
	return bytes.TrimRight(line, "\r\n"), err
}

var errClosed = errors.New("the connection was closed")

// do sends a command and waits for its OK.
func (c *client) do(tag, command string) error {
	if err := c.send(command); err != nil {
		return err
	}
	return c.wait(tag)
}

func (c *client) send(s string) error {
	_, err := io.WriteString(c.nc, s)
	return err
}

// wait reads up to the tagged answer, which must be OK.
func (c *client) wait(tag string) error {
	_, err := c.answer(tag)
	return err
}

// answer is wait that returns the answer's line.
func (c *client) answer(tag string) ([]byte, error) {
	for {
		line, err := c.line()
		if err != nil {
			return nil, err
		}
		rest, tagged := bytes.CutPrefix(line, []byte(tag))
		switch {
		case tagged && bytes.HasPrefix(rest, []byte(" OK")):
			return line, nil
		case len(line) == 0 || line[0] != '*':
			return nil, fmt.Errorf("%w: %.100q", errAnswer, line)
		}
	}
}

// errAnswer says that something else came than what must come.
var errAnswer = errors.New("unexpected answer")

// proceed reads up to the go-ahead of the other side.
func (c *client) proceed() error {
	for {
		line, err := c.line()
		if err != nil {
			return err
		}
		if bytes.HasPrefix(line, []byte("+")) {
			return nil
		}
		if !bytes.HasPrefix(line, []byte("*")) {
			return fmt.Errorf("%w in place of a go-ahead: %.100q", errAnswer, line)
		}
	}
}
