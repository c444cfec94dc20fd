package main

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-imap/v2/imapserver/imapmemserver"

	"github.com/imapgate/imapgate/cmd/internal/config"
)

// A stuckSession does not answer SELECT before it is released.
type stuckSession struct {
	imapserver.Session
	entered, release chan struct{}
}

func (s stuckSession) Select(string, *imap.SelectOptions) (*imap.SelectData, error) {
	close(s.entered)
	<-s.release
	return nil, errors.New("released")
}

// startStuckBackend runs a server whose first SELECT is stuck until the test's end, and returns its address
// and a channel that is closed when SELECT has come.
func startStuckBackend(t *testing.T) (address string, entered <-chan struct{}) {
	t.Helper()
	store := imapmemserver.New()
	store.AddUser(imapmemserver.NewUser("riley", "firetruck"))
	stuck := stuckSession{entered: make(chan struct{}), release: make(chan struct{})}
	server := imapserver.New(&imapserver.Options{
		NewSession: func(*imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
			s := stuck
			s.Session = store.NewSession()
			return s, nil, nil
		},
		InsecureAuth: true,
		Logger:       log.New(io.Discard, "", 0),
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.Serve(ln)
	}()
	t.Cleanup(func() {
		close(stuck.release)
		ln.Close()
		<-done
		server.Close()
	})
	return ln.Addr().String(), stuck.entered
}

// A command under way holds the drain; the second signal ends it, and that is a failure.
func TestHardEndCutsWhatIsUnderWay(t *testing.T) {
	address, entered := startStuckBackend(t)
	configFile, certFile := serveFolder(t, address, `metrics: {address: ""}`)
	cfg, err := config.Load(configFile)
	if err != nil {
		t.Fatal(err)
	}
	g, err := openGate(t.Context(), cfg, slog.New(slog.DiscardHandler), new(net.ListenConfig).Listen)
	if err != nil {
		t.Fatal(err)
	}
	drain, startDrain := context.WithCancel(t.Context())
	hard, endHard := context.WithCancelCause(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.run(drain, hard) }()
	defer endHard(nil)
	defer startDrain()

	c := loginAt(t, g.doors[0].port.Addr().String(), trust(t, certFile))
	selected := c.Select("INBOX", nil)
	waitFor(t, entered, "SELECT does not reach the backend")
	startDrain()
	endHard(errSecondSignal)
	select {
	case err := <-ended:
		if !errors.Is(err, errSecondSignal) {
			t.Errorf("got %v, want that the second signal cut sessions", err)
		}
	case <-time.After(patience):
		t.Fatal("the hard end does not come")
	}
	if _, err := selected.Wait(); err == nil {
		t.Error("the SELECT was answered with OK")
	}
}

func loginAt(t *testing.T, address string, trusted *tls.Config) *imapclient.Client {
	t.Helper()
	c, err := imapclient.DialTLS(address, &imapclient.Options{TLSConfig: trusted})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.Login("riley", "firetruck").Wait(); err != nil {
		t.Fatal(err)
	}
	return c
}

func waitFor(t *testing.T, done <-chan struct{}, trouble string) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal(trouble)
	}
}
