//go:build unix

package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/imapgate/imapgate/proxy/imaptest/realpeer"
)

// A rawClient says what the test says, octet by octet.
type rawClient struct {
	t    testing.TB
	conn net.Conn
	r    *bufio.Reader
	n    int // of the last tag
}

// dial connects and reads the greeting; on the STARTTLS listener it stays plain.
func (e endpoint) dial(t testing.TB) *rawClient {
	t.Helper()
	conn, err := net.Dial("tcp", e.address)
	if err != nil {
		t.Fatal(err)
	}
	if e.tls == legImplicit {
		conn = tls.Client(conn, e.trust(t))
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(3 * patience))
	c := &rawClient{t: t, conn: conn, r: bufio.NewReader(conn)}
	if greeting, err := c.line(); err != nil || !strings.HasPrefix(greeting, "* OK") {
		t.Fatalf("greeting %q, %v", greeting, err)
	}
	return c
}

// raw is dial with a login.
func (e endpoint) raw(t testing.TB, u realpeer.User) *rawClient {
	t.Helper()
	c := e.dial(t)
	c.must(fmt.Sprintf("LOGIN %s %s", u.Name, u.Password))
	return c
}

var literalHead = regexp.MustCompile(`\{(\d+)\}\r\n$`)

// line reads one response with its literals, without the last CRLF.
func (c *rawClient) line() (string, error) {
	var whole strings.Builder
	for {
		line, err := c.r.ReadString('\n')
		whole.WriteString(line)
		if err != nil {
			return whole.String(), err
		}
		m := literalHead.FindStringSubmatch(line)
		if m == nil {
			return strings.TrimSuffix(whole.String(), "\r\n"), nil
		}
		n, _ := strconv.ParseInt(m[1], 10, 64)
		if _, err := io.CopyN(&whole, c.r, n); err != nil {
			return whole.String(), err
		}
	}
}

// say sends a line or more.
func (c *rawClient) say(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, text+"\r\n"); err != nil {
		c.t.Fatalf("sending %.60q: %v", text, err)
	}
}

// begin sends a command under a new tag.
func (c *rawClient) begin(command string) (tag string) {
	c.t.Helper()
	c.n++
	tag = fmt.Sprintf("t%d", c.n)
	c.say(tag + " " + command)
	return tag
}

// until reads up to the line that begins so, and returns that and the lines before it.
func (c *rawClient) until(start string) (last string, before []string) {
	c.t.Helper()
	for {
		line, err := c.line()
		if err != nil {
			c.t.Fatalf("waiting for %q: %v after %q", start, err, append(before, line))
		}
		if strings.HasPrefix(line, start) {
			return line, before
		}
		before = append(before, line)
	}
}

// command sends a command and returns its tagged answer without the tag, and the responses before it.
func (c *rawClient) command(command string) (answer string, untagged []string) {
	c.t.Helper()
	tag := c.begin(command)
	line, untagged := c.until(tag + " ")
	return strings.TrimPrefix(line, tag+" "), untagged
}

// must is command for one that has to succeed.
func (c *rawClient) must(command string) []string {
	c.t.Helper()
	answer, untagged := c.command(command)
	if !strings.HasPrefix(answer, "OK") {
		name, _, _ := strings.Cut(command, " ")
		c.t.Fatalf("%s: %s", name, answer)
	}
	return untagged
}

// rest reads to the end of the connection.
func (c *rawClient) rest() (lines []string, end error) {
	for {
		line, err := c.line()
		if line != "" {
			lines = append(lines, line)
		}
		if err != nil {
			return lines, err
		}
	}
}

var fetched = regexp.MustCompile(`(?s)^\* \d+ FETCH \((.*)\)$`)

// marks lists the messages of a mailbox in their order: the subject, and "!" where \Deleted is set.
func (c *rawClient) marks(box string) (list []string) {
	c.t.Helper()
	c.must("EXAMINE " + box)
	for _, line := range c.must("UID FETCH 1:* (FLAGS BODY.PEEK[HEADER])") {
		m := fetched.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		subject := subjectLine.FindStringSubmatch(m[1])
		if subject == nil {
			c.t.Fatalf("no subject in %q", line)
		}
		name := subject[1]
		if strings.Contains(m[1], `\Deleted`) {
			name += "!"
		}
		list = append(list, name)
	}
	return list
}

// subjects is marks without the signs.
func (c *rawClient) subjects(box string) (list []string) {
	c.t.Helper()
	for _, name := range c.marks(box) {
		list = append(list, strings.TrimSuffix(name, "!"))
	}
	return list
}
