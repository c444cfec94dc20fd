//go:build unix

package realpeer

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// startTimeout bounds how long a server may take until it greets on both ports.
const startTimeout = 20 * time.Second

// A User can log in to a Server. Name may hold anything but control characters and ':', Password any byte but NUL,
// CR and LF.
type User struct{ Name, Password string }

// A Server is a running IMAP server of one test. Its methods may be called from several goroutines, except that
// the ones that take a testing.TB end that test on errors and so belong to its goroutine.
type Server struct {
	Addr    string // host:port, plain; STARTTLS is offered and a password without TLS is accepted
	TLSAddr string // host:port, TLS from the first byte
	CAFile  string // PEM, verifies the certificate of both ports for localhost and 127.0.0.1
	Users   []User
	Pid     int // the process that all others of this server hang on

	dir      string
	prefix   string // what mailbox names other than INBOX begin with
	hierarch string // hierarchy separator of mailbox names
	plain    bool   // mailboxes are folders of the home, not Maildir++
	owner    owner  // of the mail
	start    func() (*process, error)
	process  *process
	ports    []port
	stopOnce sync.Once
	stopErr  error
}

// owner is the numeric user and group that files on disk belong to; -1 leaves them as they are.
type owner struct{ uid, gid int }

// newServer makes the folder, the certificate and the ports. The test's cleanup stops the server and removes it all.
func newServer(t testing.TB, users []User) (*Server, Certificate) {
	t.Helper()
	dir, err := os.MkdirTemp("", "imapgate-peer-")
	if err != nil {
		t.Fatalf("a folder for a server: %v", err)
	}
	s := &Server{Users: users, dir: dir, owner: owner{-1, -1}}
	t.Cleanup(func() { s.cleanup(t) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	certificate, err := WriteCertificate(dir)
	if err != nil {
		t.Fatalf("a certificate for a server: %v", err)
	}
	s.CAFile = certificate.CAFile
	for range 2 {
		p, err := reservePort()
		if err != nil {
			t.Fatal(err)
		}
		s.ports = append(s.ports, p)
	}
	s.Addr, s.TLSAddr = s.ports[0].address(), s.ports[1].address()
	return s, certificate
}

// cleanup ends the server, shows its log when the test has failed, and leaves nothing behind. A good order would
// cost a second with Dovecot, for mail that nobody will read again.
func (s *Server) cleanup(t testing.TB) {
	if err := s.Kill(); err != nil {
		t.Errorf("stopping a server: %v", err)
	}
	if t.Failed() {
		t.Logf("log of the server at %s and %s:\n%s", s.Addr, s.TLSAddr, s.Log())
	}
	for _, p := range s.ports {
		p.close()
	}
	if err := os.RemoveAll(s.dir); err != nil {
		t.Errorf("removing a server's folder: %v", err)
	}
}

// await returns when the server has greeted on both ports, or ends the test.
func (s *Server) await(t testing.TB) {
	t.Helper()
	s.Pid = s.process.cmd.Process.Pid
	config, err := clientTLS(s.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	plain, secure := &net.Dialer{}, &tls.Dialer{Config: config}
	err = s.awaitGreeting(ctx, s.Addr, plain.DialContext)
	if err == nil {
		err = s.awaitGreeting(ctx, s.TLSAddr, secure.DialContext)
	}
	if err != nil {
		t.Fatalf("the server did not come up: %v", err)
	}
}

type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// awaitGreeting tries again every 10 ms until the greeting comes, the server is gone or ctx ends.
func (s *Server) awaitGreeting(ctx context.Context, addr string, dial dialFunc) error {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := greeting(ctx, addr, dial)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no greeting from %s within %v: %w", addr, startTimeout, err)
		case <-s.process.done:
			return fmt.Errorf("the process ended before it greeted on %s: %w", addr, err)
		case <-ticker.C:
		}
	}
}

func greeting(ctx context.Context, addr string, dial dialFunc) error {
	conn, err := dial(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return fmt.Errorf("reading the greeting: %w", err)
	}
	if !strings.HasPrefix(line, "* OK") {
		return fmt.Errorf("the greeting is %q", line)
	}
	_, err = conn.Write([]byte("a LOGOUT\r\n"))
	return err
}

// clientTLS is a configuration that trusts the authority in caFile and nobody else.
func clientTLS(caFile string) (*tls.Config, error) {
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", caFile)
	}
	return &tls.Config{RootCAs: roots, ServerName: "localhost", MinVersion: tls.VersionTLS12}, nil
}

// TLSConfig is a client configuration that verifies this server's certificate as that of localhost.
func (s *Server) TLSConfig(t testing.TB) *tls.Config {
	t.Helper()
	config, err := clientTLS(s.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// Stop asks the server to end, ends it the hard way after two seconds, and returns when it is gone. Neither
// Dovecot 2.3 nor Courier says BYE to logged-in clients then; their connections are closed. The ports stay reserved until the test ends, so
// connections to them are refused. Further calls, and the test's cleanup, do nothing.
func (s *Server) Stop() error {
	s.stopOnce.Do(func() {
		if s.process != nil {
			s.stopErr = s.process.stop()
		}
	})
	return s.stopErr
}

// Kill ends all processes of the server at once, without a word to their clients, and returns when they are gone.
func (s *Server) Kill() error {
	s.stopOnce.Do(func() {
		if s.process != nil {
			s.stopErr = s.process.kill()
		}
	})
	return s.stopErr
}

// Restart starts the server again after Stop or Kill, on the same ports and with the same mail, and returns when
// it greets. No other method may run at the same time.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	s.stopOnce = sync.Once{}
	s.launch(t)
}

// launch starts the server and awaits its greetings.
func (s *Server) launch(t testing.TB) {
	t.Helper()
	var err error
	if s.process, err = s.start(); err != nil {
		t.Fatal(err)
	}
	s.await(t)
}

// Log is what the server has written since its start. It holds no passwords.
func (s *Server) Log() string {
	if s.process == nil {
		return ""
	}
	return s.process.log.String()
}

// home is the folder of the user's mail; the name is not used, for it may hold anything.
func (s *Server) home(user string) (string, error) {
	for i, u := range s.Users {
		if u.Name == user {
			return filepath.Join(s.dir, "mail", fmt.Sprintf("u%d", i)), nil
		}
	}
	return "", fmt.Errorf("the server has no user %q", user)
}

// makeHomes makes an empty Maildir for each user.
func (s *Server) makeHomes() error {
	err := s.makeOwned(filepath.Join(s.dir, "mail"))
	for _, u := range s.Users {
		home, homeErr := s.home(u.Name)
		err = errors.Join(err, homeErr, s.makeOwned(home), s.makeMaildir(filepath.Join(home, "Maildir")))
	}
	return err
}

func (s *Server) makeMaildir(dir string) error {
	return errors.Join(s.makeOwned(dir), s.makeOwned(filepath.Join(dir, "cur")),
		s.makeOwned(filepath.Join(dir, "new")), s.makeOwned(filepath.Join(dir, "tmp")))
}

func (s *Server) makeOwned(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.Chown(dir, s.owner.uid, s.owner.gid)
}
