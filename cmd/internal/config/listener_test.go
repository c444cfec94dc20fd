package config

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/imapgate/imapgate/proxy"
)

// shortDir returns a folder whose path leaves room for the name of a socket.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gate")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func TestOpenUnixSocket(t *testing.T) {
	var lc net.ListenConfig
	path := filepath.Join(shortDir(t), "imap.sock")
	ln := Listener{Name: "a", Address: "unix:" + path, TLS: proxy.NoTLS, Mode: 0o600, ProxyProtocol: []netip.Prefix{}}
	open, err := ln.Open(t.Context(), lc.Listen)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, mode %v", err, info.Mode())
	}
	if open.Transport != proxy.Local || open.ProxyProtocol == nil {
		t.Errorf("%+v", open)
	}
	if _, err := ln.Open(t.Context(), lc.Listen); err == nil {
		t.Error("a socket on which somebody listens was taken")
	}
	nc, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal("the socket is gone: ", err)
	}
	nc.Close()
}

func TestOpenReplacesStaleSocket(t *testing.T) {
	var lc net.ListenConfig
	path := filepath.Join(shortDir(t), "imap.sock")
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	stale.Close()
	ln := Listener{Name: "a", Address: "unix:" + path, Mode: 0o660}
	open, err := ln.Open(t.Context(), lc.Listen)
	if err != nil {
		t.Fatal(err)
	}
	open.Close()
	write(t, path, []byte("a file of somebody"))
	if _, err := ln.Open(t.Context(), lc.Listen); err == nil {
		t.Error("a file was replaced by a socket")
	}
}

func TestSocketPathIsRelativeToTheFile(t *testing.T) {
	c := mustLoad(t, `
listeners: [{name: a, address: "unix:s", tls: none}, {name: b, address: "unix:/run/b", mode: "0600", tls: none}]
backends: {one: {address: "imap.example.org:993"}}
routes: [{backend: one}]
`)
	if got := c.Listeners[0]; got.Address != "unix:"+filepath.Join(filepath.Dir(c.file), "s") || got.Mode != 0o660 || got.ProxyProtocol != nil {
		t.Errorf("%+v", got)
	}
	if got := c.Listeners[1]; got.Address != "unix:/run/b" || got.Mode != 0o600 {
		t.Errorf("%+v", got)
	}
}

// activatedChild is set in the process that gets sockets from TestActivation.
const activatedChild = "IMAPGATE_TEST_ACTIVATED"

// TestActivation hands two sockets to a process as systemd does, and a third that has the name of the second.
func TestActivation(t *testing.T) {
	if os.Getenv(activatedChild) != "" {
		t.Skip("this is the child")
	}
	if runtime.GOOS == "windows" {
		t.Skip("no descriptors to hand over")
	}
	tcp, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	unix, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(shortDir(t), "s")})
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close()
	// LISTEN_PID must be the number of the process that uses the sockets, and only a shell knows it in time.
	child := exec.Command("/bin/sh", "-c", `LISTEN_PID=$$ exec "$0" -test.run='^TestActivatedChild$' -test.v`, os.Args[0])
	child.Env = append(os.Environ(), activatedChild+"="+tcp.Addr().String(), "LISTEN_FDS=4", "LISTEN_FDNAMES=imaps:local:twice:twice")
	for _, ln := range []interface{ File() (*os.File, error) }{tcp, unix, tcp, tcp} {
		f, err := ln.File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		child.ExtraFiles = append(child.ExtraFiles, f)
	}
	if out, err := child.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestActivatedChild") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestActivatedChild(t *testing.T) {
	address := os.Getenv(activatedChild)
	if address == "" {
		t.Skip("only under TestActivation")
	}
	open, err := Listener{Name: "a", Address: "systemd:imaps"}.Open(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	if open.Addr().String() != address || open.Transport != proxy.Open {
		t.Errorf("got %v %q", open.Addr(), open.Transport)
	}
	local, err := Listener{Name: "b", Address: "systemd:local"}.Open(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer local.Close()
	if local.Transport != proxy.Local {
		t.Errorf("a Unix socket of systemd counts as %q", local.Transport)
	}
	for name, want := range map[string]string{"twice": "more than one", "other": "imaps, local, twice"} {
		_, err := Listener{Name: "c", Address: "systemd:" + name}.Open(t.Context(), nil)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "listener c") {
			t.Errorf("%s: got %v, want %q", name, err, want)
		}
	}
}

func TestNotActivated(t *testing.T) {
	t.Setenv("LISTEN_PID", "1")
	t.Setenv("LISTEN_FDS", "1")
	if _, err := (Listener{Name: "a", Address: "systemd:imaps"}).Open(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "socket unit") {
		t.Errorf("got %v", err)
	}
}
