//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/imapgate/imapgate/proxy/imaptest/realpeer"
)

// A doorKind is one kind of listener, how a client gets to it, and the address by which the log knows the client.
type doorKind struct {
	name    string
	tls     leg
	address string // in the configuration; @dir@ is a folder, systemd: makes it a process of its own
	more    string // of the listener
	network string // in which the bridge connects; "" for no bridge
	header  string // that the bridge sends first
	client  string // what the client's address begins with
}

func doorKinds() []doorKind {
	const anyPort, loopback = "127.0.0.1:0", "127.0.0.1:"
	const trusted = "proxy_protocol: {trusted: [127.0.0.0/8]}"
	v2 := "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x11" + "\xc0\x00\x02\x07" + "\xc0\x00\x02\x01" + "\x12\x67\x03\xe1" +
		"\x04\x00\x02xx" // a NOOP field at the end
	return []doorKind{
		{name: "none", tls: legNone, address: anyPort, more: "allow_plaintext_login: true", client: loopback},
		{name: "starttls", tls: legStartTLS, address: anyPort, client: loopback},
		{name: "implicit", tls: legImplicit, address: anyPort, client: loopback},
		{name: "ipv6", tls: legImplicit, address: "[::1]:0", network: "tcp6", client: "[::1]:"},
		{name: "unix", tls: legNone, address: "unix:@dir@/s", network: "unix"},
		{name: "v1", tls: legStartTLS, address: anyPort, more: trusted, network: "tcp",
			header: "PROXY TCP6 2001:db8::7 2001:db8::1 4711 143\r\n", client: "[2001:db8::7]:4711"},
		{name: "v2", tls: legImplicit, address: anyPort, more: trusted, network: "tcp", header: v2, client: "192.0.2.7:4711"},
		{name: "v2plain", tls: legNone, address: anyPort, more: trusted + ", allow_plaintext_login: true", network: "tcp",
			header: v2, client: "192.0.2.7:4711"},
		{name: "systemd", tls: legImplicit, address: "systemd:systemd", client: loopback},
	}
}

func (k doorKind) socketOfSystemd() bool { return strings.HasPrefix(k.address, "systemd:") }

// A gateFolder is what a gate needs that has a configuration of its own.
type gateFolder struct {
	dir, config, ca string
}

// newGateFolder completes a configuration with a certificate, metrics and the log.
func newGateFolder(t *testing.T, config string) gateFolder {
	t.Helper()
	// t.TempDir() would be too long for the path of a Unix socket.
	dir, err := os.MkdirTemp("", "imapgate-door-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	cert, err := realpeer.WriteCertificate(dir)
	if err != nil {
		t.Fatal(err)
	}
	f := gateFolder{dir, filepath.Join(dir, "config.yaml"), cert.CAFile}
	writeFile(t, f.config, strings.ReplaceAll(config, "@dir@", dir)+fmt.Sprintf(`
tls: {certificates: [{cert: %q, key: %q}]}
metrics: {address: "127.0.0.1:0"}
log: {format: json, level: debug}
`, cert.CertFile, cert.KeyFile))
	return f
}

// startGateOn is startPeerGate with a configuration of its own.
func startGateOn(t *testing.T, users []realpeer.User, config string) *peerGate {
	t.Helper()
	f := newGateFolder(t, config)
	ctx, stop := context.WithCancel(context.Background())
	code := make(chan int, 1)
	g := &peerGate{&served{addresses: map[string]string{}, stop: stop, code: code}, f.ca, newGateLog()}
	go func() { code <- run(ctx, []string{"serve", "-config", f.config}, io.Discard, g.log) }()
	g.watch(t, users)
	t.Cleanup(func() { g.finish(t, users) })
	return g
}

func (g *peerGate) watch(t *testing.T, users []realpeer.User) {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of imapgate:\n%s", g.log)
		}
		expectNoPassword(t, "log", g.log.String(), users)
	})
	g.ready(t)
}

// doorsConfig has one listener for each kind and one backend.
func doorsConfig(server *realpeer.Server, kinds ...doorKind) string {
	var b strings.Builder
	b.WriteString("listeners:\n")
	for _, k := range kinds {
		fmt.Fprintf(&b, "  - {name: %s, address: %q, tls: %s, %s}\n", k.name, k.address, k.tls, k.more)
	}
	fmt.Fprintf(&b, "backends: {only: {address: %q, tls_verify: {ca_file: %q, server_name: localhost}}}\n", server.TLSAddr, server.CAFile)
	b.WriteString("routes: [{backend: only}]\n")
	return b.String()
}

// startActivated runs the program in a process to which a socket is handed over as systemd does it.
func startActivated(t *testing.T, server *realpeer.Server, k doorKind) *peerGate {
	t.Helper()
	program := filepath.Join(t.TempDir(), "imapgate")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	f := newGateFolder(t, doorsConfig(server, k))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	socket, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	defer ln.Close()
	g := &peerGate{&served{addresses: map[string]string{}}, f.ca, newGateLog()}
	// The process has to know its own number before it starts.
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, program, "serve", "-config", f.config)
	cmd.Env = append(os.Environ(), "LISTEN_FDS=1", "LISTEN_FDNAMES="+k.name)
	cmd.ExtraFiles, cmd.Stderr = []*os.File{socket}, g.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { endProcess(t, cmd, ended) })
	g.watch(t, server.Users)
	return g
}

// endProcess expects that a process drains and ends well.
func endProcess(t *testing.T, cmd *exec.Cmd, ended <-chan error) {
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Error(err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("the program ended with %v", err)
		}
	case <-time.After(patience):
		t.Error("the program does not end")
		cmd.Process.Kill()
	}
}

// endpoint is where a client on TCP over IPv4 connects to get to this door.
func (k doorKind) endpoint(t *testing.T, g *peerGate) endpoint {
	t.Helper()
	e := endpoint{g.addresses[k.name], k.tls, g.ca}
	if e.address == "" {
		t.Fatalf("no address of listener %s", k.name)
	}
	if k.network != "" {
		e.address = bridge(t, k.network, e.address, k.header)
	}
	return e
}

// bridge is a load balancer: each connection to the address that it returns becomes one to a door, which
// begins with the header.
func bridge(t *testing.T, network, address, header string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var tasks sync.WaitGroup
	t.Cleanup(tasks.Wait)
	t.Cleanup(func() { ln.Close() })
	tasks.Go(func() {
		for {
			down, err := ln.Accept()
			if err != nil {
				return
			}
			tasks.Go(func() { carry(t, down, func() (net.Conn, error) { return net.Dial(network, address) }, header) })
		}
	})
	return ln.Addr().String()
}

// carry copies in both directions until the door ends the conversation.
func carry(t *testing.T, down net.Conn, dial func() (net.Conn, error), header string) {
	var half sync.WaitGroup
	defer half.Wait() // after both are closed
	defer down.Close()
	up, err := dial()
	if err != nil {
		t.Error("the bridge: ", err)
		return
	}
	defer up.Close()
	if _, err := io.WriteString(up, header); err != nil {
		t.Error("the header: ", err)
		return
	}
	half.Go(func() {
		io.Copy(up, down)
		up.(interface{ CloseWrite() error }).CloseWrite()
	})
	io.Copy(down, up)
}

// Every line that a server sends to Python's imaplib reaches it through each kind of listener as it does
// without, and the log has the client's own address.
func TestPeersDoors(t *testing.T) {
	t.Parallel()
	realpeer.Need(t, realpeer.PartPython)
	script, kind := readScript(t, "scenario.py"), realKinds()[0]
	direct := secretUser("door.direct")
	users := []realpeer.User{direct}
	var here []doorKind
	for _, k := range doorKinds() {
		users = append(users, secretUser("door."+k.name))
		if !k.socketOfSystemd() {
			here = append(here, k)
		}
	}
	server := kind.start(t, users)
	g := startGateOn(t, users, doorsConfig(server, here...))
	play := func(e endpoint, u realpeer.User) (string, error) {
		r := realpeer.RunPython(t, script, string(e.tls), "localhost", e.port(), e.ca, u.Name, u.Password,
			kind.prefix, kind.sep, kind.features)
		return normalise(r.Stdout, u.Name), failure(r)
	}
	want, err := play(at(server, legImplicit), direct)
	if err != nil || want == "" {
		t.Fatal("direct: ", err)
	}
	for _, k := range doorKinds() {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			g, u := g, secretUser("door."+k.name)
			if k.socketOfSystemd() {
				g = startActivated(t, server, k)
			}
			got, err := play(k.endpoint(t, g), u)
			if err != nil {
				t.Fatal(err)
			}
			compareRuns(t, k.name, want, got)
			line := g.log.ended(t, u.Name)
			if client, _ := line["client"].(string); line["listener"] != k.name || !strings.HasPrefix(client, k.client) {
				t.Errorf("want listener %s and client %s…: %v", k.name, k.client, line)
			}
		})
	}
}

// Who does not send the header that a listener demands does not get as far as a login, and the next one does.
func TestPeersDoorWithoutHeader(t *testing.T) {
	t.Parallel()
	u := secretUser("riley")
	server := realpeer.Dovecot(t, realpeer.DovecotOptions{Users: []realpeer.User{u}})
	var v2 doorKind
	for _, k := range doorKinds() {
		if k.name == "v2plain" {
			v2 = k
		}
	}
	g := startGateOn(t, server.Users, doorsConfig(server, v2))
	nc, err := net.Dial("tcp", g.addresses[v2.name])
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(nc, "t1 LOGIN %s %s\r\n", u.Name, u.Password)
	said, err := io.ReadAll(nc)
	if strings.Contains(string(said), "t1 OK") || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a client without the header was told %q, %v", said, err)
	}
	v2.endpoint(t, g).raw(t, u).must("SELECT INBOX")
	if strings.Count(g.log.String(), `"user":"`+u.Name) > 1 {
		t.Error("the client without the header has a session")
	}
}

// awaitText waits until a server's log holds a part.
func awaitText(t *testing.T, text func() string, part string) {
	t.Helper()
	again, deadline := time.NewTicker(10*time.Millisecond), time.After(patience)
	defer again.Stop()
	for !strings.Contains(text(), part) {
		select {
		case <-again.C:
		case <-deadline:
			t.Fatalf("no %q in\n%s", part, text())
		}
	}
}
