package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"
)

// asProgram in the environment makes the test binary be the program: it is what the comparison starts
// as backend and relay.
const asProgram = "IMAPLOAD_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

func called(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(t.Context(), args, &out, &err)
	return code, out.String(), err.String()
}

func TestHelp(t *testing.T) {
	_, list, _ := called(t, "help")
	for _, c := range commands() {
		if !strings.Contains(list, "  "+c.name+" ") {
			t.Errorf("help does not name %s", c.name)
		}
		for _, args := range [][]string{{c.name, "-h"}, {"help", c.name}} {
			code, out, stderr := called(t, args...)
			if code != exitOK || stderr != "" {
				t.Errorf("%q: exit %d, stderr %q", args, code, stderr)
			}
			for _, part := range []string{"Usage: imapload " + c.name, "Flags:\n", "Example:\n"} {
				if !strings.Contains(out, part) {
					t.Errorf("%q: no %q in:\n%s", args, part, out)
				}
			}
		}
	}
}

func TestMisuse(t *testing.T) {
	for _, tt := range []struct {
		args string
		code int
		want string
	}{
		{"", exitUsage, "Usage:"},
		{"nop", exitUsage, `there is no command "nop"`},
		{"noop", exitUsage, "-address is missing"},
		{"noop -address", exitUsage, "needs an argument"},
		{"noop -address 127.0.0.1:1 -pid 12,x", exitUsage, `"x" is no process id`},
		{"noop -address 127.0.0.1:1 more", exitUsage, `unexpected argument "more"`},
		{"compare -steps noop,nop", exitUsage, `there is no step "nop"`},
		{"compare -peers nginx,ngnix", exitUsage, `there is no peer "ngnix"`},
		{"compare -window -1s", exitUsage, "cannot be negative"},
		{"backend -plain 127.0.0.1:0 -tls 127.0.0.1:0", exitUsage, "-cert and -key are needed"},
		{"backend -plain 127.0.0.1:0 -tls 127.0.0.1:0 -cert no -key no", exitFailed, "read the certificate"},
		{"relay -plain nowhere", exitFailed, "nowhere"},
		{"relay -secure 127.0.0.1:0", exitUsage, "-cert and -key are needed"},
	} {
		code, _, stderr := called(t, strings.Fields(tt.args)...)
		if code != tt.code || !strings.Contains(stderr, tt.want) {
			t.Errorf("%q: exit %d, want %d; stderr %q, want %q in it", tt.args, code, tt.code, stderr, tt.want)
		}
	}
}

// TestServersEnd shows that backend and relay end with their context and say nothing then.
func TestServersEnd(t *testing.T) {
	for _, name := range []string{"backend", "relay"} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		var stderr bytes.Buffer
		if code := run(ctx, []string{name, "-plain", "127.0.0.1:0"}, &stderr, &stderr); code != exitOK || stderr.Len() > 0 {
			t.Errorf("%s: exit %d, %s", name, code, &stderr)
		}
	}
}
