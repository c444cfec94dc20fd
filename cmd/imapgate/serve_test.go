package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2/imapclient"

	"github.com/imapgate/imapgate/tlsutil"
)

// patience bounds every wait of the tests; it is never used up when all is well.
const patience = 20 * time.Second

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(forcedIn(name, text)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// trust returns a client's TLS configuration that trusts the certificate in a file.
func trust(t *testing.T, certFile string) *tls.Config {
	t.Helper()
	roots, err := tlsutil.LoadRoots(certFile)
	if err != nil {
		t.Fatal(err)
	}
	c, err := tlsutil.Client{ServerName: "localhost", Roots: roots}.Config()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// serveFolder makes a folder with a certificate and a configuration for one backend; more is appended.
func serveFolder(t *testing.T, backend, more string) (configFile, certFile string) {
	t.Helper()
	dir := t.TempDir()
	cert, key, err := tlsutil.SelfSigned("localhost")
	if err != nil {
		t.Fatal(err)
	}
	configFile, certFile = filepath.Join(dir, "config.yaml"), filepath.Join(dir, "c.crt")
	writeFile(t, certFile, string(cert))
	writeFile(t, filepath.Join(dir, "c.key"), string(key))
	writeFile(t, configFile, fmt.Sprintf(`
listeners: [{name: imaps, address: "127.0.0.1:0", tls: implicit}]
tls: {certificates: [{cert: c.crt, key: c.key}]}
backends: {only: {address: %q, tls: none}}
routes: [{backend: only}]
timeouts: {drain: 10s}
log: {format: json}
%s`, backend, more))
	return configFile, certFile
}

// A served is a run of serve in the background.
type served struct {
	addresses map[string]string // by listener; metrics is one
	stop      context.CancelFunc
	code      <-chan int
}

// startServe runs serve until it says that it is ready.
func startServe(t *testing.T, configFile string) *served {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	r, w := io.Pipe()
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"serve", "-config", configFile}, io.Discard, w)
		w.Close()
	}()
	s := &served{addresses: map[string]string{}, stop: stop, code: code}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		var line struct{ Msg, Listener, Address, URL string }
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatalf("%s: %v", lines.Text(), err)
		}
		switch line.Msg {
		case "listening":
			s.addresses[line.Listener] = line.Address
		case "metrics":
			s.addresses["metrics"] = strings.TrimSuffix(strings.TrimPrefix(line.URL, "http://"), "/metrics")
		case "ready":
			go io.Copy(io.Discard, r) // ends when serve has
			return s
		}
	}
	t.Fatal("serve ended before it was ready")
	return nil
}

func (s *served) end(t *testing.T) int {
	t.Helper()
	s.stop()
	select {
	case code := <-s.code:
		return code
	case <-time.After(patience):
		t.Fatal("serve does not end")
		return -1
	}
}

func startBackend(t *testing.T) *demoServer {
	t.Helper()
	s := &demoServer{name: "only", user: "riley", password: "firetruck"}
	if err := s.start(t.Context(), demoCaps(), rileysMail()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	return s
}

func TestServe(t *testing.T) {
	backend := startBackend(t)
	configFile, certFile := serveFolder(t, backend.address(), `metrics: {address: "127.0.0.1:0"}`)
	s := startServe(t, configFile)
	c, err := imapclient.DialTLS(s.addresses["imaps"], &imapclient.Options{TLSConfig: trust(t, certFile)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Login("riley", "firetruck").Wait(); err != nil {
		t.Fatal(err)
	}
	if selected, err := c.Select("INBOX", nil).Wait(); err != nil || selected.NumMessages != 3 {
		t.Fatalf("%+v, %v", selected, err)
	}
	if body := get(t, s.addresses["metrics"], "/metrics"); !strings.Contains(body, "imapgate_build_info") {
		t.Errorf("no build_info in\n%s", body)
	}
	if code := s.end(t); code != exitOK {
		t.Errorf("exit code %d after a drain", code)
	}
	select {
	case <-c.Closed():
	case <-time.After(patience):
		t.Error("the session outlived the drain")
	}
	for name, address := range s.addresses {
		if nc, err := net.Dial("tcp", address); err == nil {
			nc.Close()
			t.Errorf("%s is still open", name)
		}
	}
}

// get asks the metrics server over a connection of its own, which leaves nothing behind.
func get(t *testing.T, address, path string) string {
	t.Helper()
	nc, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(nc, "GET %s HTTP/1.0\r\nHost: %s\r\n\r\n", path, address) // 1.0: not in chunks, which would split lines
	body, err := io.ReadAll(nc)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// Without a metrics server nothing but the drain may end the run.
func TestServeWithoutMetrics(t *testing.T) {
	configFile, certFile := serveFolder(t, startBackend(t).address(), `metrics: {address: ""}`)
	s := startServe(t, configFile)
	if len(s.addresses) != 1 {
		t.Errorf("open ports: %v", s.addresses)
	}
	c, err := imapclient.DialTLS(s.addresses["imaps"], &imapclient.Options{TLSConfig: trust(t, certFile)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.WaitGreeting(); err != nil {
		t.Error(err)
	}
	if code := s.end(t); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}

// A client that does not know the certificate's issuer must be able to tell.
func TestServePresentsTheCertificate(t *testing.T) {
	configFile, _ := serveFolder(t, startBackend(t).address(), `metrics: {address: ""}`)
	s := startServe(t, configFile)
	_, err := tls.Dial("tcp", s.addresses["imaps"], &tls.Config{ServerName: "localhost"})
	if unknown := (x509.UnknownAuthorityError{}); !errors.As(err, &unknown) {
		t.Errorf("got %v", err)
	}
	s.end(t)
}

func TestServeTellsEveryFault(t *testing.T) {
	configFile, _ := serveFolder(t, "127.0.0.1:143", "limits: {line: x, append: y}\nroute: []\n")
	code, stdout, stderr := callRun(t, "serve", "-config", configFile)
	if code != exitFailed || stdout != "" {
		t.Errorf("exit code %d, %q", code, stdout)
	}
	lines := strings.Split(strings.TrimSpace(stderr), "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[0], configFile+":8: limits.append: ") || !strings.Contains(lines[2], "did you mean routes?") {
		t.Errorf("got\n%s", stderr)
	}
}

func TestServeWithoutFile(t *testing.T) {
	code, _, stderr := callRun(t, "serve", "-config", filepath.Join(t.TempDir(), "none.yaml"))
	if code != exitFailed || !strings.Contains(stderr, "none.yaml") {
		t.Errorf("%d, %s", code, stderr)
	}
}

func TestServePortTaken(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	configFile, _ := serveFolder(t, "127.0.0.1:143", fmt.Sprintf("metrics: {address: %q}", ln.Addr()))
	code, _, stderr := callRun(t, "serve", "-config", configFile)
	if code != exitFailed || !strings.Contains(stderr, "metrics: ") || !strings.Contains(stderr, "another process has this port") {
		t.Errorf("%d, %s", code, stderr)
	}
}

func TestSignals(t *testing.T) {
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	drain, hard, stop := untilSignals(t.Context())
	defer stop()
	for _, ctx := range []context.Context{drain, hard} {
		if ctx.Err() != nil {
			t.Fatal("a context ended before its signal")
		}
		if err := self.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(patience):
			t.Fatal("the signal did nothing")
		}
	}
	if cause := context.Cause(hard); !errors.Is(cause, errSecondSignal) {
		t.Errorf("cause %v", cause)
	}
}

func TestEndOfContextDrainsOnly(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	drain, hard, stop := untilSignals(ctx)
	defer stop()
	cancel()
	<-drain.Done()
	if hard.Err() != nil {
		t.Error("the hard end came with the first")
	}
}
