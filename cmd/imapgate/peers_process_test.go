//go:build unix

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/imapgate/imapgate/proxy/imaptest/realpeer"
)

// A gateProcess is the built program.
type gateProcess struct {
	*peerGate
	cmd  *exec.Cmd
	done chan error
}

// startGateProcess builds the program as it is delivered, without the race detector, and runs it.
func startGateProcess(t *testing.T, users []realpeer.User, backends []peerBackend) *gateProcess {
	t.Helper()
	program := filepath.Join(t.TempDir(), "imapgate")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	configFile, ca := peerConfig(t, backends, "")
	log := newGateLog()
	p := &gateProcess{
		peerGate: &peerGate{&served{addresses: map[string]string{}}, ca, log},
		cmd:      exec.Command(program, "serve", "-config", configFile),
		done:     make(chan error, 1),
	}
	p.cmd.Stderr = log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.done <- p.cmd.Wait() }()
	t.Cleanup(func() {
		p.cmd.Process.Kill() // nothing to do when the test has ended it
		if t.Failed() {
			t.Logf("log of imapgate:\n%s", theEnd(log.String()))
		}
		expectNoPassword(t, "log", log.String(), users)
	})
	p.ready(t)
	return p
}

// theEnd returns the last lines of a log: thousands of sessions would hide what failed.
func theEnd(log string) string {
	const most = 64 << 10
	if len(log) <= most {
		return log
	}
	rest := log[len(log)-most:]
	return "(its end)\n" + rest[strings.IndexByte(rest, '\n')+1:]
}

func (p *gateProcess) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

func (p *gateProcess) awaitEnd(t *testing.T) {
	t.Helper()
	select {
	case err := <-p.done:
		if err != nil {
			t.Errorf("the program ended with %v", err)
		}
	case <-time.After(patience):
		t.Error("the program does not end")
	}
}

// status reads a value of /proc/PID/status in KiB.
func (p *gateProcess) status(t *testing.T, name string) int {
	t.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/status")
	if err != nil {
		t.Skipf("LEFT OUT: there is no /proc here: %v", err)
	}
	m := regexp.MustCompile(`(?m)^` + name + `:\s+(\d+) kB$`).FindSubmatch(text)
	if m == nil {
		t.Fatalf("no %s in\n%s", name, text)
	}
	n, _ := strconv.Atoi(string(m[1]))
	return n
}

// The memory of the process does not grow with the size of messages.
func TestPeersMemoryOfTheProcess(t *testing.T) {
	t.Parallel()
	const most = 30 << 10 // KiB
	small, size := wholeLines(1_000_000), wholeLines(200_000_000)
	u := secretUser("riley.implicit")
	server := realpeer.Dovecot(t, realpeer.DovecotOptions{Users: []realpeer.User{u}})
	p := startGateProcess(t, server.Users, backendLegs(server))
	c := p.at(legImplicit).login(t, u)
	appendNoise(t, c, small)
	expectNoise(t, c, small)
	before := p.status(t, "VmRSS")
	appendNoise(t, c, size)
	expectNoise(t, c, size)
	peak := p.status(t, "VmHWM")
	t.Logf("resident: %d KiB before, %d KiB at most", before, peak)
	if peak-before > most {
		t.Errorf("%d KiB grew to %d KiB, by more than %d KiB", before, peak, most)
	}
	p.signal(t, syscall.SIGTERM)
	p.awaitEnd(t)
}

// The program serves, drains at SIGTERM with a BYE for everybody, and exits with 0. No password is on the
// machine's list of processes while it works.
func TestPeersProgram(t *testing.T) {
	t.Parallel()
	u := secretUser("riley.starttls")
	server := realpeer.Dovecot(t, realpeer.DovecotOptions{Users: []realpeer.User{u}})
	p := startGateProcess(t, server.Users, backendLegs(server))
	idle := p.at(legImplicit).raw(t, u)
	idle.must("SELECT INBOX")
	tag := idle.begin("IDLE")
	idle.until("+")
	expectNotOnProcessList(t, u.Password)
	for _, l := range legs() {
		realpeer.Curl(t, u, curlArgs(p.at(l), "INBOX", "-X", "NOOP")...)
	}
	p.signal(t, syscall.SIGTERM)
	lines, _ := idle.rest()
	if len(lines) == 0 || !bytes.HasPrefix([]byte(lines[len(lines)-1]), []byte("* BYE [UNAVAILABLE] ")) {
		t.Errorf("%s: the idling client got %q", tag, lines)
	}
	p.awaitEnd(t)
}

func expectNotOnProcessList(t *testing.T, password string) {
	t.Helper()
	names, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(names) == 0 {
		t.Skipf("LEFT OUT: there is no /proc here: %v", err)
	}
	for _, name := range names {
		for _, file := range []string{name, filepath.Join(filepath.Dir(name), "environ")} {
			if text, err := os.ReadFile(file); err == nil && bytes.Contains(text, []byte(password)) {
				t.Errorf("%s holds the password", file)
			}
		}
	}
}
