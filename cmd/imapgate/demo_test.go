package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"github.com/imapgate/imapgate/cmd/internal/config"
	"github.com/imapgate/imapgate/proxy"
)

// A demoRun is a run of the demo in the background.
type demoRun struct {
	printed string // what it told, up to the line about serve
	dir     string
	cfg     *config.Config
	stop    context.CancelFunc
	code    <-chan int
}

// startDemo runs the command until it has told everything.
func startDemo(t *testing.T, args ...string) *demoRun {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	r, w := io.Pipe()
	code := make(chan int, 1)
	d := &demoRun{dir: t.TempDir(), stop: stop, code: code}
	go func() {
		code <- run(ctx, append([]string{"demo", "-dir", d.dir}, args...), w, io.Discard)
		w.Close()
	}()
	lines := bufio.NewScanner(r)
	for lines.Scan() && !strings.Contains(lines.Text(), "imapgate serve -config") {
		d.printed += lines.Text() + "\n"
	}
	go io.Copy(io.Discard, r) // ends when the demo has
	var err error
	if d.cfg, err = config.Load(d.path(demoConfigFile)); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *demoRun) path(name string) string { return filepath.Join(d.dir, name) }

func (d *demoRun) end(t *testing.T) {
	t.Helper()
	d.stop()
	select {
	case code := <-d.code:
		if code != exitOK {
			t.Errorf("the demo ended with %d", code)
		}
	case <-time.After(patience):
		t.Fatal("the demo does not end")
	}
}

func dial(t *testing.T, ln config.Listener, trusted *tls.Config) *imapclient.Client {
	t.Helper()
	connect := imapclient.DialTLS
	if ln.TLS == proxy.StartTLS {
		connect = imapclient.DialStartTLS
	}
	c, err := connect(ln.Address, &imapclient.Options{TLSConfig: trusted})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// subjects logs in and returns the subjects of the INBOX.
func subjects(t *testing.T, c *imapclient.Client, user, password string) (out []string) {
	t.Helper()
	if err := c.Login(user, password).Wait(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Select("INBOX", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	messages, err := c.Fetch(imap.SeqSet{{Start: 1, Stop: 0}}, &imap.FetchOptions{Envelope: true}).Collect()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range messages {
		out = append(out, m.Envelope.Subject)
	}
	return out
}

func inboxOf(folders []demoFolder) (out []string) {
	for _, m := range folders[0].messages {
		out = append(out, m.subject)
	}
	return out
}

func TestDemo(t *testing.T) {
	d := startDemo(t)
	trusted := trust(t, d.path(demoCertFile))
	for _, ln := range d.cfg.Listeners {
		for _, user := range []struct {
			name, password string
			want           []string
		}{{"riley", "firetruck", inboxOf(rileysMail())}, {"morgan", "lighthouse", inboxOf(morgansMail())}} {
			got := subjects(t, dial(t, ln, trusted), user.name, user.password)
			if !slices.Equal(got, user.want) {
				t.Errorf("%s on %s sees %q, want %q", user.name, ln.Name, got, user.want)
			}
		}
		for _, part := range []string{"-connect " + ln.Address, ln.Name + "://" + ln.Address, d.path(demoCertFile)} {
			if !strings.Contains(d.printed, part) {
				t.Errorf("the guide has no %q:\n%s", part, d.printed)
			}
		}
	}
	if body := get(t, d.cfg.MetricsAddress, "/readyz"); !strings.HasPrefix(body, "HTTP/1.0 200") {
		t.Errorf("readyz: %s", body)
	}
	d.end(t)
}

func TestDemoWrongPassword(t *testing.T) {
	d := startDemo(t)
	c := dial(t, d.cfg.Listeners[1], trust(t, d.path(demoCertFile)))
	if err := c.Login("riley", "lighthouse").Wait(); err == nil {
		t.Error("a wrong password was accepted")
	}
	d.end(t)
}

// The file that the demo writes is one that serve takes while the demo's servers run.
func TestDemoFileCanBeServed(t *testing.T) {
	d := startDemo(t, "-servers-only")
	text, err := os.ReadFile(d.path(demoConfigFile))
	if err != nil {
		t.Fatal(err)
	}
	saved := string(text) + "log: {format: json}\n"
	for _, address := range []string{d.cfg.Listeners[0].Address, d.cfg.Listeners[1].Address, d.cfg.MetricsAddress} {
		saved = strings.ReplaceAll(saved, address, "127.0.0.1:0") // other tests may take the ports by now
	}
	writeFile(t, d.path("saved.yaml"), saved)
	s := startServe(t, d.path("saved.yaml"))
	ln := config.Listener{Address: s.addresses["imap"], TLS: proxy.StartTLS}
	got := subjects(t, dial(t, ln, trust(t, d.path(demoCertFile))), "morgan", "lighthouse")
	if want := inboxOf(morgansMail()); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if code := s.end(t); code != exitOK {
		t.Errorf("serve ended with %d", code)
	}
	d.end(t)
}

func TestDemoRemovesItsFolder(t *testing.T) {
	d, err := newDemo(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := config.Load(d.path(demoConfigFile)); err != nil {
		t.Error(err)
	}
	info, err := os.Stat(d.path(demoKeyFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key: %v, %v", info, err)
	}
	d.close()
	if _, err := os.Stat(d.dir); !os.IsNotExist(err) {
		t.Errorf("the folder stays: %v", err)
	}
}

func TestDemoMail(t *testing.T) {
	for _, folder := range slices.Concat(rileysMail(), morgansMail()) {
		for _, m := range folder.messages {
			raw, err := m.render()
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(bytes.ReplaceAll(raw, []byte("\r\n"), nil), []byte("\n")) {
				t.Errorf("%s: a bare LF", m.subject)
			}
			checkMessage(t, m, raw)
		}
	}
}

func checkMessage(t *testing.T, m demoMessage, raw []byte) {
	t.Helper()
	parsed, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatalf("%s: %v", m.subject, err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(parsed.Header.Get("Subject"))
	date, dateErr := parsed.Header.Date()
	if err != nil || subject != m.subject || dateErr != nil || !date.Equal(m.date) {
		t.Errorf("%s: subject %q, date %v; %v, %v", m.subject, subject, date, err, dateErr)
	}
	if m.picture == "" {
		return
	}
	_, params, err := mime.ParseMediaType(parsed.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	parts := multipart.NewReader(parsed.Body, params["boundary"])
	if _, err := parts.NextPart(); err != nil {
		t.Fatal(err)
	}
	part, err := parts.NextPart()
	if err != nil || part.FileName() != m.picture {
		t.Fatalf("%s: %v, %v", m.subject, part, err)
	}
	data, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, part))
	if err != nil || !bytes.HasPrefix(data, []byte("\x89PNG")) || len(raw) < 150_000 || len(raw) > 300_000 {
		t.Errorf("%s: %d octets, %v", m.subject, len(raw), err)
	}
}

func TestShellWord(t *testing.T) {
	for word, want := range map[string]string{"/tmp/a-b_1.crt": "/tmp/a-b_1.crt", "/tmp/a b": "'/tmp/a b'", "it's": `'it'\''s'`, "": ""} {
		if got := shellWord(word); got != want {
			t.Errorf("%q: got %s, want %s", word, got, want)
		}
	}
}
