package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestSoak has few sessions live for a moment with the built program.
func TestSoak(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("it reads /proc")
	}
	t.Setenv(asProgram, "1")
	t.Setenv("GORACE", "atexit_sleep_ms=0")
	t.Setenv("TMPDIR", t.TempDir())
	program := filepath.Join(t.TempDir(), "imapgate")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../imapgate").CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	code, out, stderr := called(t, "soak", "-imapgate", program, "-port", "22500", "-duration", "3s", "-settle", "100ms",
		"-sessions", "20", "-rate", "300", "-growth", "10000")
	if code != exitOK || !strings.Contains(out, "every answer was right") {
		t.Fatalf("exit %d\n%s\n%s", code, out, stderr)
	}
	if rows := strings.Count(out, "\n"); rows < samplesWanted {
		t.Errorf("only %d lines in\n%s", rows, out)
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestActs has one session do each of the acts a few times, through imapgate.
func TestActs(t *testing.T) {
	backend := started(t, newBackend().serve, nil)
	front := door{address: started(t, gate(t, backend), nil), user: "user"}
	k := &soak{gate: &target{plain: front, tls: front, secure: front}, log: io.Discard}
	if err := k.complete(); err == nil {
		t.Fatal("a soak without a duration")
	}
	k.duration, k.every, k.sessions, k.rate = time.Hour, time.Hour, 1, 1
	if err := k.complete(); err != nil {
		t.Fatal(err)
	}
	for _, one := range acts {
		t.Run(one.name, func(t *testing.T) {
			a := k.newActor()
			for range 3 {
				living, end := context.WithTimeout(t.Context(), 300*time.Millisecond) // of which an IDLE may take all
				a.act(t.Context(), living, one)
				end()
			}
			if a.c != nil {
				a.leave()
			}
			if n := k.done.wrong.Swap(0); n > 0 {
				t.Errorf("%d answers were wrong: %s", n, &k.failures)
			}
		})
	}
}

// TestNews leaves out, repeats and mixes up what a session in IDLE is told.
func TestNews(t *testing.T) {
	for _, tt := range []struct {
		name, said string
		want       error
	}{
		{"all", "* 103 EXISTS\r\n* 104 EXISTS\r\ni1 OK done\r\n", nil},
		{"one that began before", "* 102 EXISTS\r\n* 103 EXISTS\r\n* 104 EXISTS\r\ni1 OK done\r\n", nil},
		{"one more", "* 103 EXISTS\r\n* 104 EXISTS\r\n* 105 EXISTS\r\ni1 OK done\r\n", nil},
		{"none", "i1 OK done\r\n", errWrong},
		{"the first is missing", "* 104 EXISTS\r\ni1 OK done\r\n", errWrong},
		{"the last is missing", "* 103 EXISTS\r\ni1 OK done\r\n", errWrong},
		{"one is missing", "* 102 EXISTS\r\n* 104 EXISTS\r\ni1 OK done\r\n", errWrong},
		{"one comes twice", "* 103 EXISTS\r\n* 103 EXISTS\r\n* 104 EXISTS\r\ni1 OK done\r\n", errWrong},
		{"another answer", "* 103 EXPUNGE\r\n", errAnswer},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := &listener{c: hearing([]byte(tt.said)), begun: 102}
			if err := l.done(104); !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
		})
	}
}

// TestVerdict judges runs in which something went wrong.
func TestVerdict(t *testing.T) {
	quiet := sample{pss: 10 << 20, files: 10, goroutines: 10}
	flat := func(n int) []sample {
		all := make([]sample, n)
		for i := range all {
			all[i] = sample{pss: 30 << 20, files: 50, goroutines: 20}
		}
		return all
	}
	rising := flat(8)
	for i := range rising {
		rising[i].pss += int64(i) << 20
	}
	wavering := flat(8)
	wavering[6].pss *= 2
	for _, tt := range []struct {
		name    string
		samples []sample
		wrong   int64
		after   sample
		want    string
	}{
		{"well", flat(12), 0, quiet, ""},
		{"one sample", flat(1), 0, quiet, ""},
		{"no sample", nil, 0, quiet, "PSS, MiB grew by NaN %"},
		{"growth", rising, 0, quiet, "PSS, MiB grew by 19.7 %"},
		{"memory not yet collected", wavering, 0, quiet, ""},
		{"a wrong answer", flat(12), 1, quiet, "1 answers were wrong"},
		{"a file", flat(12), 0, sample{files: 11, goroutines: 10}, "0 sessions, 11 open files, 0 pipes and 10 goroutines are left"},
		{"few pipes", flat(12), 0, sample{pipes: sparePipes}, ""},
		{"pipes", flat(12), 0, sample{pipes: sparePipes + 1}, "9 pipes and 0 goroutines are left"},
		{"a goroutine", flat(12), 0, sample{files: 9, goroutines: 11}, "11 goroutines are left"},
		{"a session", flat(12), 0, sample{sessions: 1}, "1 sessions,"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := &soak{before: quiet, samples: tt.samples, growth: 10}
			k.done.wrong.Store(tt.wrong)
			var out strings.Builder
			err := k.judge(&out, tt.after)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%v, want %q\n%s", err, tt.want, &out)
			}
		})
	}
}

func TestGauges(t *testing.T) {
	g := make(gauges)
	for line := range strings.Lines("# HELP a b 1\nimapgate_sessions{listener=\"a b\",phase=\"relay\"} 3\nimapgate_sessions{phase=\"x\"} 4\ngo_goroutines 1.2e+02\nnothing\nno number\n") {
		g.add(strings.TrimSpace(line))
	}
	if len(g) != 2 || g["imapgate_sessions"] != 7 || g["go_goroutines"] != 120 {
		t.Errorf("%v", g)
	}
}
