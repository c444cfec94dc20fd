//go:build unix

package realpeer

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// oddUsers have passwords that quoting, escaping or a configuration format could spoil on their way.
func oddUsers() []User {
	return []User{
		{"riley", "firetruck"},
		{"braces@example.org", `pa{5}ss {3+}`},
		{"quotes", `a "quoted" \back\\slash\`},
		{"percent", `100%u %% $x: #'*(|)`},
		{"umlaut", "Grüße 你好"},
		{"spaces", "  two  spaces  "},
	}
}

// aServer starts one kind of server; Box is a mailbox name that is legal there.
type aServer struct {
	name, box string
	start     func(t testing.TB, users []User) *Server
}

func servers() []aServer {
	return []aServer{
		{"dovecot", "Work/2024", func(t testing.TB, users []User) *Server {
			return Dovecot(t, DovecotOptions{Users: users})
		}},
		{"courier", "INBOX.Work.2024", func(t testing.TB, users []User) *Server {
			return Courier(t, CourierOptions{Users: users})
		}},
	}
}

func onEachServer(t *testing.T, test func(t *testing.T, a aServer)) {
	for _, a := range servers() {
		t.Run(a.name, func(t *testing.T) { test(t, a) })
	}
}

// session logs in, appends, fetches back, and prints what it got.
const session = `
import imaplib, ssl, sys
how, host, port, ca, name, password = sys.argv[1:7]
context = ssl.create_default_context(cafile=ca)
if how == "tls":
    i = imaplib.IMAP4_SSL(host, int(port), ssl_context=context)
else:
    i = imaplib.IMAP4(host, int(port))
if how == "starttls":
    i.starttls(context)
i._encoding = "utf-8"
def ok(r):
    assert r[0] == "OK", r
    return r[1]
ok(i.login(name, password))
ok(i.select())
ok(i.append("INBOX", None, None, b"Subject: via-%s\r\n\r\nhello\r\n" % how.encode()))
ok(i.noop())
for n in ok(i.search(None, "SUBJECT", "via-" + how))[0].split():
    print(ok(i.fetch(n, "BODY[]"))[0][1].decode())
i.logout()
`

func TestAppendAndFetch(t *testing.T) {
	onEachServer(t, func(t *testing.T, a aServer) {
		s := a.start(t, oddUsers())
		for _, how := range []string{"plain", "starttls", "tls"} {
			addr := s.Addr
			if how == "tls" {
				addr = s.TLSAddr
			}
			host, port, _ := net.SplitHostPort(addr)
			for _, u := range s.Users {
				got := Python(t, session, how, host, port, s.CAFile, u.Name, u.Password)
				want := "Subject: via-" + how + "\r\n\r\nhello\r\n\n"
				if got != want {
					t.Errorf("%s as %s: got %q, want %q", how, u.Name, got, want)
				}
			}
		}
	})
}

func TestWrongPasswordIsRefused(t *testing.T) {
	onEachServer(t, func(t *testing.T, a aServer) {
		s := a.start(t, oddUsers())
		host, port, _ := net.SplitHostPort(s.TLSAddr)
		r := RunPython(t, session, "tls", host, port, s.CAFile, "riley", "wr0ng-secret")
		if r.Code == 0 || !strings.Contains(r.Stderr, "IMAP4.error") {
			t.Errorf("code %d, stderr %q; want a failed login", r.Code, r.Stderr)
		}
		if strings.Contains(s.Log(), "wr0ng-secret") {
			t.Error("the log holds the password")
		}
	})
}

func TestDeliverIsSeen(t *testing.T) {
	onEachServer(t, func(t *testing.T, a aServer) {
		s := a.start(t, oddUsers()[:1])
		s.Deliver(t, "riley", "INBOX", "Subject: one\r\n\r\nbehind\r\n")
		s.Deliver(t, "riley", a.box, "Subject: two\n\nelsewhere\n")
		for box, want := range map[string]string{"INBOX": "behind", a.box: "elsewhere"} {
			url := fmt.Sprintf("imaps://%s/%s;MAILINDEX=1;SECTION=TEXT", s.TLSAddr, strings.ReplaceAll(box, "/", "%2F"))
			got := Curl(t, s.Users[0], "--cacert", s.CAFile, url)
			if got != want+"\r\n" {
				t.Errorf("%s: got %q, want %q", box, got, want)
			}
		}
		files, err := filepath.Glob(filepath.Join(s.Mailbox(t, "riley", a.box), "cur", "*"))
		if err != nil || len(files) != 1 {
			t.Errorf("%d files in the folder (%v), want 1", len(files), err)
		}
	})
}

func TestCurlWithOddPasswords(t *testing.T) {
	onEachServer(t, func(t *testing.T, a aServer) {
		s := a.start(t, oddUsers())
		for _, u := range s.Users {
			got := Curl(t, u, "--cacert", s.CAFile, "--ssl-reqd", "imap://"+s.Addr, "-X", "STATUS INBOX (MESSAGES)")
			if !strings.Contains(got, "(MESSAGES 0)") {
				t.Errorf("%s: got %q", u.Name, got)
			}
		}
	})
}

const mbsyncConfig = `
IMAPStore far
Host localhost
Port %s
User riley
Pass firetruck
SSLType IMAPS
CertificateFile %s

MaildirStore near
Path %[3]s/
Inbox %[3]s/INBOX

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
SyncState *
`

func TestMbsyncFetchesMail(t *testing.T) {
	onEachServer(t, func(t *testing.T, a aServer) {
		s := a.start(t, oddUsers()[:1])
		s.Deliver(t, "riley", "INBOX", "Subject: one\n\nbehind\n")
		_, port, _ := net.SplitHostPort(s.TLSAddr)
		near := t.TempDir()
		Mbsync(t, fmt.Sprintf(mbsyncConfig, port, s.CAFile, near), "all:INBOX")
		files, _ := filepath.Glob(filepath.Join(near, "INBOX", "*", "*,*"))
		if len(files) != 1 {
			t.Errorf("mbsync fetched %q, want one message", files)
		}
	})
}

func TestStopAndKillEndTheServer(t *testing.T) {
	onEachServer(t, func(t *testing.T, a aServer) {
		for name, end := range map[string]func(*Server) error{"stop": (*Server).Stop, "kill": (*Server).Kill} {
			start := time.Now()
			s := a.start(t, oddUsers())
			up := time.Since(start)
			conn, err := tls.Dial("tcp", s.TLSAddr, s.TLSConfig(t))
			if err != nil {
				t.Fatal(err)
			}
			start = time.Now()
			if err := end(s); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			t.Logf("%s: up in %v, down in %v", name, up.Round(time.Millisecond), time.Since(start).Round(time.Millisecond))
			expectEOF(t, conn)
			if c, err := net.Dial("tcp", s.Addr); err == nil {
				c.Close()
				t.Errorf("%s: %s still accepts connections", name, s.Addr)
			}
		}
	})
}

// What was delivered before a restart is there after it.
func TestRestart(t *testing.T) {
	onEachServer(t, func(t *testing.T, a aServer) {
		s := a.start(t, oddUsers()[:1])
		s.Deliver(t, "riley", "INBOX", "Subject: one\n\nbefore\n")
		for _, end := range []func() error{s.Kill, s.Stop} {
			if err := end(); err != nil {
				t.Fatal(err)
			}
			s.Restart(t)
			got := Curl(t, s.Users[0], "--cacert", s.CAFile, "imaps://"+s.TLSAddr+"/INBOX;MAILINDEX=1;SECTION=TEXT")
			if got != "before\r\n" {
				t.Errorf("got %q", got)
			}
		}
	})
}

func expectEOF(t *testing.T, conn net.Conn) {
	t.Helper()
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	var buf [4096]byte
	for {
		_, err := conn.Read(buf[:])
		if os.IsTimeout(err) {
			t.Fatal("the connection outlives its server")
		}
		if err != nil {
			return
		}
	}
}

func TestDovecotOptions(t *testing.T) {
	list := Without(DovecotCapability, "move", "UIDPLUS", "LITERAL+")
	s := Dovecot(t, DovecotOptions{
		Users:      oddUsers()[:1],
		Capability: list + " METADATA ACL RIGHTS=texk QUOTA",
		Plugins:    []string{"acl", "quota", "metadata"},
	})
	ask := func(command string) string {
		return Curl(t, s.Users[0], "--cacert", s.CAFile, "imaps://"+s.TLSAddr, "-X", command)
	}
	got := ask("CAPABILITY")
	if !strings.Contains(got, "UNSELECT") || strings.Contains(got, "MOVE") || strings.Contains(got, "UIDPLUS") {
		t.Errorf("capabilities: %q", got)
	}
	for command, want := range map[string]string{
		"GETQUOTAROOT INBOX": "User quota",
		"MYRIGHTS INBOX":     "* MYRIGHTS INBOX",
		`SETMETADATA INBOX (/private/comment "here")`: "",
	} {
		if got := ask(command); !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q in it", command, got, want)
		}
	}
}

func TestCourierOptions(t *testing.T) {
	s := Courier(t, CourierOptions{Users: oddUsers()[:1], Capability: "IMAP4rev1 IDLE", Env: map[string]string{"IMAP_ACL": "0"}})
	got := Curl(t, s.Users[0], "--cacert", s.CAFile, "imaps://"+s.TLSAddr, "-X", "CAPABILITY")
	if strings.Contains(got, "UIDPLUS") || strings.Contains(got, "ACL") || !strings.Contains(got, "IDLE") {
		t.Errorf("capabilities: %q", got)
	}
}

func TestStopEndsLoggedInSessions(t *testing.T) {
	onEachServer(t, func(t *testing.T, a aServer) {
		s := a.start(t, oddUsers()[:1])
		conn, err := net.Dial("tcp", s.Addr)
		if err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(conn)
		for tag, command := range []string{"LOGIN riley firetruck", "SELECT INBOX"} {
			if _, err := fmt.Fprintf(conn, "%d %s\r\n", tag, command); err != nil {
				t.Fatal(err)
			}
			readUntil(t, r, fmt.Sprintf("%d OK", tag))
		}
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
		expectEOF(t, conn)
	})
}

// A delivery during IDLE has to be told, or tests in which one client waits for another could not work.
func TestIdleTellsOfADelivery(t *testing.T) {
	onEachServer(t, func(t *testing.T, a aServer) {
		s := a.start(t, oddUsers()[:1])
		conn, err := net.Dial("tcp", s.Addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(conn)
		for _, step := range [][2]string{
			{"a LOGIN riley firetruck", "a OK"}, {"b SELECT INBOX", "b OK"}, {"c IDLE", "+ "},
		} {
			fmt.Fprintf(conn, "%s\r\n", step[0])
			readUntil(t, r, step[1])
		}
		start := time.Now()
		s.Deliver(t, "riley", "INBOX", "Subject: one\n\nbehind\n")
		readUntil(t, r, "* 1 EXISTS")
		t.Logf("told after %v", time.Since(start).Round(time.Millisecond))
	})
}

func readUntil(t *testing.T, r *bufio.Reader, prefix string) {
	t.Helper()
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("waiting for %q: %v", prefix, err)
		}
		if strings.HasPrefix(line, prefix) {
			return
		}
	}
}

// A verdict is a testing.TB that remembers what Need said instead of ending a test.
type verdict struct {
	testing.TB
	skipped, failed string
}

func (v *verdict) Helper()                       {}
func (v *verdict) Skipf(format string, a ...any) { v.skipped = fmt.Sprintf(format, a...) }
func (v *verdict) Fatalf(format string, a ...any) {
	v.failed = fmt.Sprintf(format, a...)
	runtime.Goexit()
}

func judge(parts ...Part) *verdict {
	v := &verdict{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		Need(v, parts...)
	}()
	<-done
	return v
}

func TestNeed(t *testing.T) {
	t.Setenv(requireVariable, "")
	if v := judge(PartPython); v.skipped != "" || v.failed != "" {
		t.Skip(v.skipped)
	}
	t.Setenv("IMAPGATE_PEERS", t.TempDir())
	t.Setenv("PATH", "")
	for _, part := range []Part{PartPython, PartCurl, PartMbsync, PartOpenSSL, PartCourier} {
		t.Setenv(requireVariable, "")
		if v := judge(part); !strings.Contains(v.skipped, "make peers") || v.failed != "" {
			t.Errorf("%s: skipped %q, failed %q; want it skipped", part, v.skipped, v.failed)
		}
		t.Setenv(requireVariable, "1")
		if v := judge(part); !strings.Contains(v.failed, "make peers") || v.skipped != "" {
			t.Errorf("%s: skipped %q, failed %q; want it failed", part, v.skipped, v.failed)
		}
	}
}
