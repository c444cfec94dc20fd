package main

import (
	"bytes"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// call runs the program and returns what it wrote.
func callRun(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, &out, &errs)
	return code, out.String(), errs.String()
}

func TestUsage(t *testing.T) {
	for _, test := range []struct {
		args           string
		code           int
		stdout, stderr string // parts
	}{
		{"", exitUsage, "", "Commands:"},
		{"help", exitOK, "Commands:", ""},
		{"-h", exitOK, "Commands:", ""},
		{"--help", exitOK, "Commands:", ""},
		{"help serve", exitOK, "Usage: imapgate serve [-config FILE]", ""},
		{"help nothing", exitUsage, "", `there is no command "nothing"`},
		{"nothing", exitUsage, "", `there is no command "nothing"`},
		{"version", exitOK, "imapgate ", ""},
		{"version now", exitUsage, "", `unexpected argument "now"`},
		{"serve -h", exitOK, "/etc/imapgate/config.yaml", ""},
		{"serve file.yaml", exitUsage, "", `unexpected argument "file.yaml"`},
		{"serve -port 1", exitUsage, "", "flag provided but not defined: -port"},
		{"serve -config", exitUsage, "", "flag needs an argument"},
		{"demo -h", exitOK, "Usage: imapgate demo", ""},
		{"demo -x", exitUsage, "", "not defined: -x"},
	} {
		code, stdout, stderr := callRun(t, strings.Fields(test.args)...)
		if code != test.code || !strings.Contains(stdout, test.stdout) || !strings.Contains(stderr, test.stderr) {
			t.Errorf("imapgate %s: %d\n%s\n%s", test.args, code, stdout, stderr)
		}
		if (test.stdout == "") != (stdout == "") || (test.stderr == "") != (stderr == "") {
			t.Errorf("imapgate %s wrote to the wrong place:\n%s\n%s", test.args, stdout, stderr)
		}
	}
}

func TestEveryCommandHasHelp(t *testing.T) {
	for _, cmd := range commands() {
		code, stdout, _ := callRun(t, cmd.name, "-h")
		if code != exitOK || !strings.Contains(stdout, "Usage: imapgate "+cmd.name) || !strings.Contains(stdout, "Example:\n  imapgate "+cmd.name) {
			t.Errorf("%s: %d\n%s", cmd.name, code, stdout)
		}
	}
}
