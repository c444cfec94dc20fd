package proxy

import (
	"bufio"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// A rigPeer is a backend of a test's own, on one connection.
type rigPeer struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
	idle string // tag of the IDLE that obey is in
	from int    // where the command begins that obey reads
}

// serve runs script on the next connection that the proxy makes, then closes it.
func (r *rig) serve(script func(p *rigPeer)) {
	r.scripts.Go(func() {
		c, err := r.back.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		script(&rigPeer{t: r.t, conn: c, in: bufio.NewReader(c)})
	})
}

// backend is serve behind a greeting with caps and a login.
func (r *rig) backend(caps string, script func(p *rigPeer)) {
	r.serve(func(p *rigPeer) {
		p.send("* OK [CAPABILITY " + caps + "] hello")
		if tag, _, ok := p.next(); ok {
			p.send(tag + " OK [CAPABILITY " + caps + "] welcome")
			script(p)
		}
	})
}

// send writes lines; that the proxy has gone is for the proxy's side to judge.
func (p *rigPeer) send(lines ...string) bool {
	return p.raw(strings.Join(lines, "\r\n") + "\r\n")
}

func (p *rigPeer) raw(data string) bool {
	_, err := io.WriteString(p.conn, data)
	return err == nil
}

// next reads one line and splits its tag off; false where the proxy has gone.
func (p *rigPeer) next() (tag, rest string, ok bool) {
	line, err := p.in.ReadString('\n')
	tag, rest, _ = strings.Cut(strings.TrimSuffix(line, "\r\n"), " ")
	return tag, rest, err == nil
}

// want reads one line, which must be this command, and returns its tag.
func (p *rigPeer) want(command string) string {
	p.t.Helper()
	tag, rest, ok := p.next()
	if !ok || rest != command {
		p.t.Errorf("the backend heard %q %q (%v), want %q", tag, rest, ok, command)
	}
	return tag
}

// answer answers OK and capabilities to each command until the proxy goes; LOGOUT ends it.
func (p *rigPeer) answer() {
	for {
		tag, rest, ok := p.next()
		if !ok {
			return
		}
		p.send(tag + " OK [CAPABILITY IMAP4rev1] done")
		if rest == "LOGOUT" {
			return
		}
	}
}

// drain reads until the proxy goes and returns what came.
func (p *rigPeer) drain() string {
	b, _ := io.ReadAll(p.in)
	return string(b)
}

// obey is a backend that believes all and does nothing: it answers OK to each whole command, reads
// literals and IDLE, and returns the lines that it heard outside literals.
func (p *rigPeer) obey() []byte {
	var lines []byte
	for {
		line, err := p.in.ReadString('\n')
		lines = append(lines, line...)
		if err != nil {
			return lines
		}
		if n, sync, ok := rigLiteral(line); ok {
			if sync {
				p.send("+ go on")
			}
			io.CopyN(io.Discard, p.in, n)
			continue
		}
		p.reply(&lines)
	}
}

// reply answers the command of which the last line was read.
func (p *rigPeer) reply(lines *[]byte) {
	whole := (*lines)[p.from:]
	p.from = len(*lines)
	if p.idle != "" {
		p.send(p.idle + " OK idled")
		p.idle = ""
		return
	}
	tag, rest, _ := strings.Cut(strings.TrimRight(string(whole), "\r\n"), " ")
	if rest == "IDLE" {
		p.idle = tag
		p.send("+ idling")
		return
	}
	p.send(tag + " OK obeyed")
}

var (
	rigAnnounced = regexp.MustCompile(`\{(\d+)(\+?)\}\r\n$`)
	rigEscape    = regexp.MustCompile(`\\["\\]`)
)

func rigLiteral(line string) (n int64, sync, ok bool) {
	m := rigAnnounced.FindStringSubmatch(line)
	if m == nil || strings.Count(rigEscape.ReplaceAllString(line, ""), `"`)%2 == 1 {
		return 0, false, false
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	return n, m[2] == "", err == nil
}

// rigClean wants lines to hold no CR, LF or NUL but in their ends.
func rigClean(t testing.TB, lines []byte) {
	t.Helper()
	for line := range strings.Lines(string(lines)) {
		if text, ok := strings.CutSuffix(line, "\r\n"); ok && strings.ContainsAny(text, "\r\n\x00") || !ok && strings.HasSuffix(line, "\n") {
			t.Errorf("the backend heard %q", line)
		}
	}
}
