package main

import (
	"bytes"
	"strings"
	"testing"
)

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
		{"config", exitUsage, "", `there is no command "config"; there is config print`},
		{"help config print", exitOK, "Usage: imapgate config print [-config FILE]", ""},
		{"route explain", exitUsage, "", "USER is missing"},
		{"route explain riley morgan", exitUsage, "", `unexpected argument "morgan"`},
		{"route explain riley -from nowhere", exitUsage, "", `invalid value "nowhere" for flag -from`},
		{"completion", exitUsage, "", "SHELL is missing"},
		{"completion tcsh", exitUsage, "", `"tcsh" is not known; write one of bash, zsh, fish`},
		{"check x", exitUsage, "", `unexpected argument "x"`},
		{"doctor x", exitUsage, "", `unexpected argument "x"`},
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
		code, stdout, _ := callRun(t, append(strings.Fields(cmd.name), "-h")...)
		if code != exitOK || !strings.Contains(stdout, "Usage: imapgate "+cmd.name) || !strings.Contains(stdout, "Example:\n  imapgate "+cmd.name) {
			t.Errorf("%s: %d\n%s", cmd.name, code, stdout)
		}
	}
}
