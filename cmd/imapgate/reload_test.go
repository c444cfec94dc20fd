//go:build unix

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"github.com/imapgate/imapgate/proxy/imaptest"
	"github.com/imapgate/imapgate/tlsutil"
)

// A reloadable is serve in this process, with a configuration that the test changes.
type reloadable struct {
	*served
	log  *gateLog
	dir  string
	last time.Time // of the last reload's line in the log
}

// startReloadable runs serve on a configuration until the test's end; then it must drain without a cut.
func startReloadable(t *testing.T, config string) *reloadable {
	t.Helper()
	r := &reloadable{log: newGateLog(), dir: t.TempDir()}
	r.newCertificate(t, "localhost")
	r.write(t, config)
	ctx, stop := context.WithCancel(context.Background())
	code := make(chan int, 1)
	r.served = &served{addresses: map[string]string{}, stop: stop, code: code}
	go func() { code <- run(ctx, []string{"serve", "-config", r.file("config.yaml")}, io.Discard, r.log) }()
	g := &peerGate{served: r.served, log: r.log}
	g.ready(t)
	t.Cleanup(func() {
		if code := r.end(t); code != exitOK {
			t.Errorf("serve ended with %d\n%s", code, r.log)
		}
	})
	return r
}

func (r *reloadable) file(name string) string { return filepath.Join(r.dir, name) }

// write writes the configuration; what every one of these tests has is added.
func (r *reloadable) write(t *testing.T, config string) {
	t.Helper()
	writeFile(t, r.file("config.yaml"), config+`
tls: {certificates: [{cert: c.crt, key: c.key}]}
metrics: {address: "127.0.0.1:0"}
log: {format: json, level: debug}
`)
}

func (r *reloadable) newCertificate(t *testing.T, names ...string) {
	t.Helper()
	cert, key, err := tlsutil.SelfSigned(names...)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, r.file("c.crt"), string(cert))
	writeFile(t, r.file("c.key"), string(key))
}

// reload sends SIGHUP and waits for the outcome: what the log says of it.
func (r *reloadable) reload(t *testing.T) string {
	t.Helper()
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	line := r.log.await(t, "a reload", func(line logLine) bool {
		msg, _ := line["msg"].(string)
		return (msg == "reloaded" || strings.HasPrefix(msg, "not reloaded")) && timeOf(line).After(r.last)
	})
	r.last = timeOf(line)
	return line["msg"].(string)
}

func timeOf(line logLine) time.Time {
	at, _ := time.Parse(time.RFC3339Nano, line["time"].(string))
	return at
}

func (r *reloadable) mustReload(t *testing.T, config string) {
	t.Helper()
	r.write(t, config)
	if outcome := r.reload(t); outcome != "reloaded" {
		t.Fatalf("%s:\n%s", outcome, r.log)
	}
}

func (r *reloadable) login(t *testing.T) *imapclient.Client {
	t.Helper()
	return loginAt(t, r.addresses["imaps"], trust(t, r.file("c.crt")))
}

// metric returns the line of a metric, without its prefix; "" where there is none.
func (r *reloadable) metric(t *testing.T, name string) string {
	t.Helper()
	for line := range strings.Lines(get(t, r.addresses["metrics"], "/metrics")) {
		if rest, ok := strings.CutPrefix(line, "imapgate_"+name); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

// reloadConfig is a configuration with one listener and one backend; more is appended.
func reloadConfig(backend, more string) string {
	return fmt.Sprintf(`
listeners: [{name: imaps, address: "127.0.0.1:0", tls: implicit}]
backends: {only: {address: %q, tls: none}}
routes: [{backend: only}]
%s`, backend, more)
}

// memoryBackend is a server on which riley has some messages.
func memoryBackend(t *testing.T, messages int) string {
	t.Helper()
	m := imaptest.MemoryServer(t, imaptest.MemoryOptions{Users: map[string]string{"riley": "firetruck"}})
	for range messages {
		text := literal{bytes.NewReader([]byte("Subject: hello\r\n\r\nhello\r\n"))}
		if _, err := m.Users["riley"].Append("INBOX", text, &imap.AppendOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	return m.Addr
}

func messagesOf(t *testing.T, c *imapclient.Client) uint32 {
	t.Helper()
	data, err := c.Select("INBOX", nil).Wait()
	if err != nil {
		t.Fatal(err)
	}
	return data.NumMessages
}

// work runs commands in a session until stop is closed, and returns the first that failed.
func work(c *imapclient.Client, stop <-chan struct{}) error {
	for {
		if _, err := c.Select("INBOX", nil).Wait(); err != nil {
			return fmt.Errorf("SELECT: %w", err)
		}
		options := &imap.FetchOptions{BodySection: []*imap.FetchItemBodySection{{}}}
		if messages, err := c.Fetch(imap.SeqSetNum(1), options).Collect(); err != nil || len(messages) != 1 {
			return fmt.Errorf("FETCH: %d messages, %w", len(messages), err)
		}
		select {
		case <-stop:
			return nil
		default:
		}
	}
}

// Sessions that stay see nothing of reloads, and new ones go where the new routes say.
func TestReloadDuringTraffic(t *testing.T) {
	first, second := memoryBackend(t, 1), memoryBackend(t, 2)
	r := startReloadable(t, reloadConfig(first, ""))
	stop := make(chan struct{})
	var workers sync.WaitGroup
	failures := make(chan error, 4)
	var clients []*imapclient.Client
	for range cap(failures) {
		c := r.login(t)
		clients = append(clients, c)
		workers.Go(func() { failures <- work(c, stop) })
	}
	for i := range 6 {
		address, want := []string{second, first}[i%2], []uint32{2, 1}[i%2]
		r.mustReload(t, reloadConfig(address, fmt.Sprintf("limits: {line: %dKiB}", 64+i)))
		if got := messagesOf(t, r.login(t)); got != want {
			t.Errorf("reload %d: a new session sees %d messages, want %d", i, got, want)
		}
	}
	close(stop)
	workers.Wait()
	for range clients {
		if err := <-failures; err != nil {
			t.Error(err)
		}
	}
	for _, c := range clients {
		if got := messagesOf(t, c); got != 1 {
			t.Errorf("a session that stayed sees %d messages", got)
		}
	}
}

func TestReloadChangesPolicy(t *testing.T) {
	address := memoryBackend(t, 1)
	r := startReloadable(t, reloadConfig(address, ""))
	old := r.login(t)
	r.mustReload(t, reloadConfig(address, "policy: {xgwmove: off}"))
	if !old.Caps().Has("XGWEXTENSIONS") {
		t.Error("the old session lost XGWEXTENSIONS")
	}
	if r.login(t).Caps().Has("XGWEXTENSIONS") {
		t.Error("a new session has XGWEXTENSIONS")
	}
}

func TestReloadShowsANewCertificate(t *testing.T) {
	r := startReloadable(t, reloadConfig(memoryBackend(t, 1), ""))
	old := r.login(t)
	before := peerCertificate(t, r)
	r.newCertificate(t, "localhost", "new.example.org")
	if outcome := r.reload(t); outcome != "reloaded" {
		t.Fatalf("%s\n%s", outcome, r.log)
	}
	if after := peerCertificate(t, r); before == after || after != "[localhost new.example.org]" {
		t.Errorf("the certificate was for %s and is for %s", before, after)
	}
	if got := messagesOf(t, r.login(t)) + messagesOf(t, old); got != 2 {
		t.Errorf("two sessions see %d messages", got)
	}
}

// peerCertificate returns the names that a new connection is shown.
func peerCertificate(t *testing.T, r *reloadable) string {
	t.Helper()
	nc, err := tls.Dial("tcp", r.addresses["imaps"], trust(t, r.file("c.crt")))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	return fmt.Sprint(nc.ConnectionState().PeerCertificates[0].DNSNames)
}

// A client that comes back after a reload resumes its TLS session.
func TestReloadKeepsTLSSessions(t *testing.T) {
	address := memoryBackend(t, 1)
	r := startReloadable(t, reloadConfig(address, ""))
	config := trust(t, r.file("c.crt"))
	config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	connect := func() (resumed bool) {
		t.Helper()
		nc, err := tls.Dial("tcp", r.addresses["imaps"], config)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		if _, err := nc.Read(make([]byte, 1)); err != nil { // tickets come before the greeting
			t.Fatal(err)
		}
		return nc.ConnectionState().DidResume
	}
	connect()
	r.mustReload(t, reloadConfig(address, ""))
	if !connect() {
		t.Error("the session was not resumed")
	}
}

func TestBrokenReloadChangesNothing(t *testing.T) {
	address := memoryBackend(t, 1)
	r := startReloadable(t, reloadConfig(address, ""))
	if got := r.metric(t, "config_last_reload_successful"); got != "1" {
		t.Errorf("successful %q after the start", got)
	}
	since := r.metric(t, "config_last_reload_success_timestamp_seconds")
	r.write(t, reloadConfig("nowhere", "limits: {line: x}"))
	if outcome := r.reload(t); !strings.HasPrefix(outcome, "not reloaded") {
		t.Fatal(outcome)
	}
	for _, part := range []string{"backends.only.address", "limits.line"} {
		r.log.await(t, part, func(line logLine) bool {
			text, _ := line["error"].(string)
			return line["msg"] == "mistake in the configuration" && strings.Contains(text, part)
		})
	}
	if got := r.metric(t, "config_last_reload_successful"); got != "0" {
		t.Errorf("successful %q after a failure", got)
	}
	if got := r.metric(t, "config_last_reload_success_timestamp_seconds"); got != since || since == "" {
		t.Errorf("the time of the last success was %q and is %q", since, got)
	}
	if got := messagesOf(t, r.login(t)); got != 1 {
		t.Errorf("%d messages", got)
	}
	r.mustReload(t, reloadConfig(address, ""))
	if got := r.metric(t, "config_last_reload_successful"); got != "1" {
		t.Errorf("successful %q after the repair", got)
	}
}

// What is new about a listener counts on the port that is open; ports themselves need a restart.
func TestReloadOfListeners(t *testing.T) {
	backend := memoryBackend(t, 1)
	r := startReloadable(t, reloadConfig(backend, ""))
	old := r.login(t)
	r.mustReload(t, fmt.Sprintf(`
listeners:
  - {name: imaps, address: "127.0.0.1:0", tls: none, allow_plaintext_login: true}
  - {name: more, address: "127.0.0.1:0", tls: starttls}
backends: {only: {address: %q, tls: none}}
routes: [{backend: only}]
`, backend))
	r.log.await(t, "the new one", func(line logLine) bool { return line["msg"] == "a new listener needs a restart" })
	c, err := imapclient.DialInsecure(r.addresses["imaps"], nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Login("riley", "firetruck").Wait(); err != nil {
		t.Error("the port has not become plain: ", err)
	}
	if got := messagesOf(t, old); got != 1 {
		t.Errorf("%d messages", got)
	}
}

// A client that connects while listeners are exchanged is served by one or the other.
func TestReloadLosesNoClient(t *testing.T) {
	address := memoryBackend(t, 1)
	r := startReloadable(t, reloadConfig(address, ""))
	stop, failed := make(chan struct{}), make(chan error, 1)
	config := trust(t, r.file("c.crt"))
	go func() { failed <- connectUntil(r.addresses["imaps"], config, stop) }()
	for range 10 {
		r.mustReload(t, reloadConfig(address, ""))
	}
	close(stop)
	if err := <-failed; err != nil {
		t.Error(err)
	}
}

func connectUntil(address string, config *tls.Config, stop <-chan struct{}) error {
	for {
		c, err := imapclient.DialTLS(address, &imapclient.Options{TLSConfig: config})
		if err != nil {
			return err
		}
		err = c.WaitGreeting()
		c.Close()
		if err != nil {
			return err
		}
		select {
		case <-stop:
			return nil
		default:
		}
	}
}

// What a configuration is warned of is said once, and again only when it is new.
func TestReloadTellsNewNotesOnly(t *testing.T) {
	address := memoryBackend(t, 1)
	const short, shorter = "timeouts: {idle: 20m}", "timeouts: {idle: 10m}"
	r := startReloadable(t, reloadConfig(address, short))
	for _, timeouts := range []string{short, shorter, shorter} {
		r.mustReload(t, reloadConfig(address, timeouts))
	}
	told := map[string]int{}
	for _, line := range r.log.lines() {
		if msg, _ := line["msg"].(string); strings.HasPrefix(msg, "timeouts.idle is ") {
			told[msg[:len("timeouts.idle is 20m")]]++
		}
	}
	if told["timeouts.idle is 20m"] != 1 || told["timeouts.idle is 10m"] != 1 {
		t.Errorf("told %v\n%s", told, r.log)
	}
}
