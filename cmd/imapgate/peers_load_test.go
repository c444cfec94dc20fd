//go:build unix

package main

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"github.com/imapgate/imapgate/proxy/imaptest/realpeer"
)

// loadClients work at the same time, each as a user of its own.
const loadClients = 50

// A worker is one client of the load test. Its mail carries its name, so that mail of others is noticed.
type worker struct {
	u        realpeer.User
	c        *imapclient.Client
	sent     tail
	exists   chan struct{}
	stored   []string // subjects whose APPEND was answered OK
	messages int
}

// A tail keeps what was said last, to see how it ended.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (w *tail) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text = append(w.text, p...)
	w.text = w.text[max(0, len(w.text)-32<<10):]
	return len(p), nil
}

var serverLine = regexp.MustCompile(`^(\* |\+|T\d+ (OK|NO|BAD) )`)

// last is the last line of the server; what the client said stands among them.
func (w *tail) last() (last string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for line := range bytes.SplitAfterSeq(w.text, []byte("\r\n")) {
		if serverLine.Match(line) {
			last = string(line)
		}
	}
	return last
}

func (w *worker) connect(t testing.TB, e endpoint) {
	t.Helper()
	w.exists = make(chan struct{}, 1000)
	w.c = e.open(t, imapclient.Options{
		DebugWriter: &w.sent,
		UnilateralDataHandler: &imapclient.UnilateralDataHandler{Mailbox: func(data *imapclient.UnilateralDataMailbox) {
			if data.NumMessages != nil {
				select {
				case w.exists <- struct{}{}:
				default:
				}
			}
		}},
	})
}

// begin logs in and selects.
func (w *worker) begin() error {
	if err := w.c.Login(w.u.Name, w.u.Password).Wait(); err != nil {
		return err
	}
	_, err := w.c.Select("INBOX", nil).Wait()
	return err
}

// round appends, finds, fetches and idles once.
func (w *worker) round(t testing.TB, server *realpeer.Server) error {
	if err := w.store(); err != nil {
		return err
	}
	found, err := w.c.UIDSearch(&imap.SearchCriteria{}, nil).Wait()
	if err != nil {
		return err
	}
	w.messages++
	if n := len(found.AllUIDs()); n != w.messages {
		return fmt.Errorf("%s: %d messages are found, want %d", w.u.Name, n, w.messages)
	}
	if err := w.check(); err != nil {
		return err
	}
	for len(w.exists) > 0 {
		<-w.exists
	}
	idle, err := w.c.Idle()
	if err != nil {
		return err
	}
	server.Deliver(t, w.u.Name, "INBOX", fmt.Sprintf("Subject: %s delivered\n\n%s\n", w.u.Name, w.u.Name))
	w.messages++
	select {
	case <-w.exists:
	case <-time.After(patience):
		return fmt.Errorf("%s: a delivery is not told", w.u.Name)
	}
	return errors.Join(idle.Close(), idle.Wait())
}

// store appends one message and keeps its subject when the answer was OK.
func (w *worker) store() error {
	subject := fmt.Sprintf("%s %d", w.u.Name, len(w.stored))
	text := fmt.Sprintf("Subject: %s\r\n\r\n%s\r\n", subject, strings.Repeat(w.u.Name+"\r\n", 1000))
	if err := appendText(w.c, "INBOX", text); err != nil {
		return err
	}
	w.stored = append(w.stored, subject)
	return nil
}

// check fetches all mail and looks for mail of others.
func (w *worker) check() error {
	section := &imap.FetchItemBodySection{Peek: true}
	messages, err := w.c.Fetch(everything(), &imap.FetchOptions{Envelope: true, BodySection: []*imap.FetchItemBodySection{section}}).Collect()
	if err != nil {
		return err
	}
	for _, m := range messages {
		body := string(m.FindBodySection(section))
		if !strings.HasPrefix(m.Envelope.Subject, w.u.Name+" ") || strings.Count(body, "load") != strings.Count(body, w.u.Name) {
			return fmt.Errorf("%s: sees the mail %q", w.u.Name, m.Envelope.Subject)
		}
	}
	return nil
}

// storeOn appends until the proxy says that it goes, telling after the first.
func (w *worker) storeOn(first func()) {
	for n := 0; w.store() == nil; n++ {
		if n == 0 {
			first()
		}
	}
}

// Fifty clients of two servers do not see each other's mail. When the proxy ends in good order while all
// of them work, each gets a whole BYE, and what was answered with OK is there.
func TestPeersLoadAndDrain(t *testing.T) {
	t.Parallel()
	workers := make([]*worker, loadClients)
	var users [2][]realpeer.User
	for i := range workers {
		workers[i] = &worker{u: secretUser(fmt.Sprintf("load%02d.%c", i, "ab"[i%2]))}
		users[i%2] = append(users[i%2], workers[i].u)
	}
	var servers [2]*realpeer.Server
	for i := range servers {
		servers[i] = realpeer.Dovecot(t, realpeer.DovecotOptions{Users: users[i]})
	}
	g := startPeerGate(t, slices.Concat(users[0], users[1]), []peerBackend{
		backendAt(servers[0], legNone, "*.a"), backendAt(servers[1], legStartTLS, "*.b")}, "")
	for i, w := range workers {
		w.connect(t, g.at(legs()[i%3]))
	}
	onAll(t, workers, func(i int, w *worker) error {
		err := w.begin()
		for range 2 {
			if err == nil {
				err = w.round(t, servers[i%2])
			}
		}
		return err
	})
	drainUnderLoad(t, g, workers)
	for i, w := range workers {
		if last := w.sent.last(); !strings.HasPrefix(last, "* BYE [UNAVAILABLE] ") || !strings.HasSuffix(last, "\r\n") {
			t.Errorf("%s: the last line is %q", w.u.Name, last)
		}
		got := at(servers[i%2], legNone).raw(t, w.u).subjects("INBOX")
		for _, subject := range w.stored {
			if !slices.Contains(got, subject) {
				t.Errorf("%s was answered with OK and is not there", subject)
			}
		}
		expectSessionLine(t, g.log.ended(t, w.u.Name), map[string]any{
			"backend": "b" + string("01"[i%2]), "reason": "drained", "listener": string(legs()[i%3]),
		})
	}
}

func onAll(t *testing.T, workers []*worker, work func(int, *worker) error) {
	t.Helper()
	if t.Failed() {
		t.FailNow()
	}
	var wg sync.WaitGroup
	for i, w := range workers {
		wg.Go(func() {
			if err := work(i, w); err != nil {
				t.Errorf("%s: %v", w.u.Name, err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// drainUnderLoad ends the gate when every worker is appending.
func drainUnderLoad(t *testing.T, g *peerGate, workers []*worker) {
	t.Helper()
	body := get(t, g.addresses["metrics"], "/metrics")
	for _, want := range []string{
		fmt.Sprintf(`imapgate_backend_sessions{backend="b0"} %d`, loadClients/2),
		fmt.Sprintf(`imapgate_commands_total{backend="b1",command="append",result="ok"} %d`, loadClients/2*2),
		fmt.Sprintf(`imapgate_commands_total{backend="b0",command="idle",result="ok"} %d`, loadClients/2*2),
	} {
		if !strings.Contains(body, want+"\n") {
			t.Errorf("no %s in\n%s", want, grep(body, want[:30]))
		}
	}
	var busy, done sync.WaitGroup
	busy.Add(len(workers))
	for _, w := range workers {
		done.Go(func() { w.storeOn(busy.Done) })
	}
	busy.Wait()
	if code := g.end(t); code != exitOK {
		t.Errorf("serve ended with %d", code)
	}
	g.stop = nil
	done.Wait()
}

func grep(text, part string) string {
	var found []string
	for line := range strings.Lines(text) {
		if strings.Contains(line, part) {
			found = append(found, line)
		}
	}
	return strings.Join(found, "")
}

// expectSessionLine looks at the one line of a session.
func expectSessionLine(t *testing.T, line logLine, want map[string]any) {
	t.Helper()
	for _, key := range []string{"session", "user", "client", "listener", "backend", "route", "mechanism", "tls", "duration",
		"bytes_up", "bytes_down", "commands", "reason"} {
		if line[key] == nil || line[key] == "" {
			t.Errorf("%v has no %s", line, key)
		}
	}
	for key, value := range want {
		if line[key] != value {
			t.Errorf("%v: %s is not %v", line, key, value)
		}
	}
}

// One line a session, whatever way it came and went.
func TestPeersLogLine(t *testing.T) {
	t.Parallel()
	server, g, u := onePeer(t, realKinds()[0])
	c := g.at(legImplicit).dial(t)
	c.must(`ID ("name" "peertest" "version" "1")`)
	c.must(fmt.Sprintf("LOGIN %s %s", u.Name, u.Password))
	c.must("SELECT INBOX")
	c.must("NOOP")
	c.must("LOGOUT")
	line := g.log.ended(t, u.Name)
	expectSessionLine(t, line, map[string]any{
		"listener": "implicit", "backend": "b1", "mechanism": "LOGIN", "reason": "logout", "commands": 3.0, "client": c.conn.LocalAddr().String(),
	})
	if id := fmt.Sprint(line["client_id"]); !strings.Contains(id, "peertest") {
		t.Errorf("client_id %q", id)
	}
	if n := strings.Count(g.log.String(), `"msg":"session ended"`); n != 1 {
		t.Errorf("%d lines", n)
	}
	awaitText(t, server.Log, "Logged out")
}
