package main

import (
	"path/filepath"
	"strings"
	"testing"
)

const explained = `
listeners:
  - {name: imap, address: "127.0.0.1:0", tls: none, allow_plaintext_login: true}
  - {name: office, address: "[::1]:0", tls: none, allow_plaintext_login: true}
backends:
  old: {address: "127.0.0.1:143", tls: none}
  new-1: {address: "127.0.0.1:144", tls: none}
  new-2: {address: "127.0.0.1:145", tls: none}
pools:
  new: {backends: [new-1, new-2], shared_store: true}
routes:
  - {match: {users_file: moved.txt}, pool: new}
  - {match: {user: "*@new.example.org", listener: imap}, pool: new}
  - {match: {network: [192.0.2.0/24]}, backend: new-1}
  - {match: {user: "*@*example.org"}, backend: old}
policy: {xgwmove: accept}
timeouts: {idle: 5m}
limits: {connections: 100}
`

func explainedConfig(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "moved.txt"), "# moved already\nriley@example.org\n")
	file := filepath.Join(dir, "config.yaml")
	writeFile(t, file, text)
	return file
}

func TestRouteExplain(t *testing.T) {
	file := explainedConfig(t, explained)
	var all strings.Builder
	for _, test := range []struct {
		args string
		code int
	}{
		{"Riley@Example.org", exitOK},
		{"-listener imap morgan@new.example.org", exitOK},
		{"morgan@new.example.org -listener office", exitOK},
		{"sam@elsewhere.example -from 192.0.2.7", exitOK},
		{"sam@elsewhere.example -from 2001:db8::7", exitFailed},
		{"sam@elsewhere.example", exitFailed},
	} {
		args := append([]string{"route", "explain", "-config", file}, strings.Fields(test.args)...)
		code, out, errs := callRun(t, args...)
		if code != test.code || errs != "" {
			t.Errorf("%s: %d, want %d; %s", test.args, code, test.code, errs)
		}
		all.WriteString("$ imapgate route explain " + test.args + "\n" + out + "\n")
	}
	golden(t, "route-explain", all.String())
}

func TestRouteExplainNeedsASoundConfiguration(t *testing.T) {
	file := explainedConfig(t, "limits: {line: x}\n")
	code, out, errs := callRun(t, "route", "explain", "riley", "-config", file)
	if code != exitFailed || out != "" || !strings.Contains(errs, "config.yaml:1: limits.line") {
		t.Errorf("%d\n%s\n%s", code, out, errs)
	}
}

func TestCheck(t *testing.T) {
	file := explainedConfig(t, explained)
	code, out, errs := callRun(t, "check", "-config", file)
	if code != exitOK || errs != "" {
		t.Errorf("%d\n%s", code, errs)
	}
	golden(t, "check-sound", out)
}

func TestCheckTellsEveryMistake(t *testing.T) {
	file := explainedConfig(t, strings.NewReplacer(
		"user_hash", "", "shared_store: true", "shared_stor: true", "143", "port", "backend: old", "backend: odl",
		"192.0.2.0/24", "192.0.2.1/24", "moved.txt", "missing.txt", "5m", "5 minutes",
	).Replace(explained))
	code, out, errs := callRun(t, "check", "-config", file)
	if code != exitFailed || out != "" {
		t.Errorf("%d\n%s", code, out)
	}
	for line := range strings.Lines(errs) {
		if !strings.HasPrefix(line, file+":") {
			t.Errorf("no editor finds the place: %s", line)
		}
	}
	golden(t, "check-mistakes", errs)
}

func TestConfigPrint(t *testing.T) {
	file := explainedConfig(t, explained)
	code, out, errs := callRun(t, "config", "print", "-config", file)
	if code != exitOK || errs != "" {
		t.Errorf("%d\n%s", code, errs)
	}
	golden(t, "config-print", out)
	// What is printed is a configuration with the same effect.
	again := filepath.Join(filepath.Dir(file), "again.yaml")
	writeFile(t, again, out)
	code, twice, errs := callRun(t, "config", "print", "-config", again)
	if code != exitOK || twice != out {
		t.Errorf("%d, %s: printed again it is\n%s", code, errs, twice)
	}
}
