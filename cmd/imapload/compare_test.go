package main

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/imapgate/imapgate/cmd/internal/config"
)

// TestCompare runs a comparison of what is always there, and then wants nothing left.
func TestCompare(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("it reads /proc")
	}
	t.Setenv(asProgram, "1")
	t.Setenv("GORACE", "atexit_sleep_ms=0") // else each server takes a second to end
	t.Setenv("TMPDIR", t.TempDir())
	code, out, stderr := called(t, "compare", "-peers", "imapgate,Go relay", "-imapgate", "/no/imapgate", "-port", "21500",
		"-steps", "noop,idle,crowd", "-window", "100ms", "-hold", "1ms", "-sessions", "20", "-repetitions", "1")
	if code != exitOK || strings.Contains(out, "(!)") {
		t.Fatalf("exit %d\n%s\n%s", code, out, stderr)
	}
	for _, want := range []string{
		"| step | figure | connection | Go relay | direct |\n",
		"\n| noop | CPU s / 1M commands | plain | ",
		"\n| idle | KiB / session | TLS, both legs | ",
		"\n| crowd | ms until the last is told | TLS | ",
		"Left out: imapgate: /no/imapgate is not there: make build\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestTemplates fills all templates; that of imapgate must be a configuration that it takes.
func TestTemplates(t *testing.T) {
	dir := t.TempDir()
	s, err := newStage(dir, "imapload", "127.0.0.1:1/auth", 100, 21700)
	if err != nil {
		t.Fatal(err)
	}
	s.common.Backend, s.common.SecureBackend = 10143, 10993
	for _, p := range append(peers("imapgate", "imapload"), backendPeer("imapload")) {
		f := s.common
		f.Dir = filepath.Join(dir, p.name)
		f.Plain, f.TLS, f.Secure, f.Extra = 20143, 20993, 20994, 20995
		args, err := p.prepare(&f)
		if err != nil {
			t.Fatalf("%s: %v", p.name, err)
		}
		said := strings.Join(args, " ")
		if p.template != "" {
			file, err := os.ReadFile(f.Config)
			if err != nil {
				t.Fatal(err)
			}
			said += string(file)
		}
		wanted := []string{"20143", "20993", f.Cert[:len(f.Cert)-len("cert.pem")]}
		if p.keep == keepOnly {
			wanted = wanted[:1]
		}
		for _, want := range wanted {
			if !strings.Contains(said, want) {
				t.Errorf("%s: no %s in\n%s", p.name, want, said)
			}
		}
		if p.name == "imapgate" {
			if _, err := config.Load(f.Config); err != nil {
				t.Errorf("imapgate does not take its configuration: %v", err)
			}
		}
	}
}

// TestChildFails starts servers that do not come up.
func TestChildFails(t *testing.T) {
	if _, err := os.Stat("/bin/sh"); err != nil {
		t.Skip(err)
	}
	_, err := startChild(t.Context(), "/bin/sh", []string{"-c", "echo one; echo no such user >&2; exit 1"}, t.TempDir(), []int{1})
	if err == nil || !strings.Contains(err.Error(), "no such user") {
		t.Errorf("of a server that ends: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*lookAgain)
	defer cancel()
	_, err = startChild(ctx, "/bin/sh", []string{"-c", "sleep 60"}, t.TempDir(), []int{1})
	if err == nil || !strings.Contains(err.Error(), "does not listen at port 1") {
		t.Errorf("of a server that does not listen: %v", err)
	}
}
