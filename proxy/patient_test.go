package proxy

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imapgate/imapgate/proxy/backend"
)

// A patient is a backend that says OK to all, and notes what it hears: "2 NOOP" is from its second
// connection. Its LIST tells who asked for what.
type patient struct {
	caps   string
	tls    *tls.Config       // from the first octet; nil for none
	before map[string]string // what it says before its answer, by the command's line
	answer map[string]string // in place of OK, by the command's line; "-" for none
	last   map[int]string    // what it says to the first command on a connection, which it closes then

	mu    sync.Mutex
	conns []net.Conn
	told  []string
}

const patientCaps = "IMAP4rev1 LITERAL+ UNSELECT UIDPLUS MOVE ID ENABLE CONDSTORE QRESYNC NOTIFY LANGUAGE I18NLEVEL=2 " +
	"CONTEXT=SEARCH ESEARCH SEARCHRES UTF8=ACCEPT IDLE METADATA ACL QUOTA SORT THREAD=REFERENCES LIST-EXTENDED LIST-STATUS NAMESPACE MULTISEARCH SPECIAL-USE"

func (p *patient) start(r *rig) {
	r.scripts.Go(func() {
		for {
			c, err := r.back.Accept()
			if err != nil {
				return
			}
			p.mu.Lock()
			p.conns = append(p.conns, c)
			n := len(p.conns)
			p.mu.Unlock()
			r.scripts.Go(func() { p.serve(c, n) })
		}
	})
}

func (p *patient) serve(c net.Conn, n int) {
	defer c.Close()
	if p.tls != nil {
		c = tls.Server(c, p.tls)
	}
	caps, user := p.caps, ""
	if caps == "" {
		caps = patientCaps
	}
	fmt.Fprintf(c, "* OK [CAPABILITY %s] hello\r\n", caps)
	in := bufio.NewReader(c)
	late := &belated{c: c}
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		tag, cmd, _ := strings.Cut(strings.TrimSuffix(line, "\r\n"), " ")
		if tag == "DONE" {
			continue
		}
		p.mu.Lock()
		p.told = append(p.told, fmt.Sprint(n, " ", cmd))
		before, answer := p.before[cmd], p.answer[cmd]
		last, ends := p.last[n]
		p.mu.Unlock()
		if ends {
			fmt.Fprint(c, last)
			return
		}
		late.now()
		code := ""
		switch name, _, _ := strings.Cut(cmd, " "); {
		case strings.HasSuffix(cmd, "+}"):
			var size int
			fmt.Sscanf(cmd[strings.LastIndexByte(cmd, '{')+1:], "%d", &size)
			in.Discard(size)
			in.ReadString('\n')
		case name == "LOGIN":
			user = strings.Trim(strings.Fields(cmd)[1], `"`)
			code = fmt.Sprintf("[CAPABILITY %s] ", caps)
		case name == "LIST":
			what := strings.Fields(cmd)[2]
			fmt.Fprintf(c, "* LIST () NIL %s-%s\r\n", user, what)
			if strings.HasPrefix(what, "late") {
				late.add(fmt.Sprintf("* LIST () NIL %s-%s\r\n", user, what))
			}
		case name == "SELECT":
			fmt.Fprintf(c, "* 1 EXISTS\r\n* OK [UIDVALIDITY 1] hi\r\n")
		case name == "ENABLE":
			fmt.Fprintf(c, "* ENABLED%s\r\n", strings.TrimPrefix(cmd, "ENABLE"))
		case name == "IDLE":
			fmt.Fprintf(c, "+ idling\r\n")
			if done, _ := in.ReadString('\n'); done != "DONE\r\n" {
				return
			}
		}
		if answer == "" {
			answer = "OK " + code + "done"
		}
		fmt.Fprintf(c, "%s", before)
		if answer != "-" {
			fmt.Fprintf(c, "%s %s\r\n", tag, answer)
		}
		if strings.HasSuffix(cmd, "LOGOUT") {
			return
		}
	}
}

// belated is what a backend says behind the answer to a command that has asked for it: a moment later, or
// with the next answer.
type belated struct {
	c  net.Conn
	mu sync.Mutex
	b  []string
}

func (l *belated) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b = append(l.b, line)
	go func() {
		<-time.After(rand.N(3 * time.Millisecond))
		l.now()
	}()
}

func (l *belated) now() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.b {
		io.WriteString(l.c, line)
	}
	l.b = nil
}

// say makes a connection of the backend's say something by itself.
func (p *patient) say(n int, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprint(p.conns[n-1], text)
}

func (p *patient) end(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[n-1].Close()
}

func (p *patient) heard() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.told)
}

// logins are how many it has heard.
func (p *patient) logins() (n int) {
	for _, line := range p.heard() {
		if strings.Contains(line, " LOGIN ") || strings.Contains(line, " AUTHENTICATE ") {
			n++
		}
	}
	return n
}

const (
	reuseIdle = time.Minute
	reuseLife = 3 * time.Minute
)

// reusing is a rig that keeps connections, in front of a patient backend.
func reusing(t *testing.T, p *patient, change ...func(*backend.Config)) *rig {
	t.Helper()
	r := rigStart(t, rigSetup{backend: func(b *backend.Config) {
		b.Reuse = backend.Reuse{Idle: reuseIdle, Life: reuseLife, Connections: 10, PerUser: 2}
		for _, f := range change {
			f(b)
		}
	}})
	p.start(r)
	return r
}

// page is what a webmail does for one page: it logs in, says some commands, logs out and is gone. It returns
// all that it has heard.
func (r *rig) page(user, password string, commands ...string) string {
	r.t.Helper()
	c := r.client()
	c.must("* OK")
	c.ask("a", "LOGIN "+user+" "+password, "OK")
	for i, cmd := range commands {
		tag := fmt.Sprint("b", i)
		c.say(tag + " " + cmd + "\r\n")
		c.must(tag + " ")
	}
	c.ask("z", "LOGOUT", "OK")
	got, _ := c.end()
	c.conn.Close()
	synctest.Wait()
	return string(got)
}

// figure is a metric of the backend's.
func (r *rig) figure(name, result string) (n float64) {
	r.t.Helper()
	families, err := r.srv.options().Registry.Gather()
	if err != nil {
		r.t.Error(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && (result == "" || m.GetLabel()[1].GetValue() == result) {
				n += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return n
}

// results are what became of connections: "kept=1 reused=2".
func (r *rig) results() string {
	var all []string
	for _, f := range []fate{kept, reused, traced, stuck, crowded, expired, ended, dead, dropped} {
		if n := r.figure("imapgate_backend_reuse_total", string(f)); n > 0 {
			all = append(all, fmt.Sprintf("%s=%v", f, n))
		}
	}
	return strings.Join(all, " ")
}

func (r *rig) wantResults(want string) {
	r.t.Helper()
	if got := r.results(); got != want {
		r.t.Errorf("connections met %q, want %q", got, want)
	}
}

// waiting wants so many connections to wait, by all that counts them.
func (r *rig) waiting(want int) {
	r.t.Helper()
	synctest.Wait()
	p := &r.srv.spares
	p.mu.Lock()
	defer p.mu.Unlock()
	listed, backends, users := 0, 0, 0
	for _, list := range p.waiting {
		listed += len(list)
	}
	for _, n := range p.backends {
		backends += n
	}
	for _, n := range p.users {
		users += n
	}
	gauge := int(r.figure("imapgate_backend_spare_connections", ""))
	if listed != want || backends != want || users != want || gauge != want {
		r.t.Errorf("%d connections wait, %d at backends, %d of users, %d in the gauge; want %d", listed, backends, users, gauge, want)
	}
	if want == 0 && len(p.waiting)+len(p.backends)+len(p.users) > 0 {
		r.t.Error("a table is not empty")
	}
}
