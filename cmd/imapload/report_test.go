package main

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestTable(t *testing.T) {
	busy := step{name: "noop", figures: []figure{cpuPerCommands}}
	idle := step{name: "idle", figures: []figure{kibPerSession, openSeconds, toldAll}}
	var tab table
	for _, cpu := range []float64{3, 1, 2} {
		tab.add(busy, plainConnection, "ours", &result{units: 100_000, cpu: cpu})
	}
	hurt := &result{units: 100_000, cpu: 15}
	hurt.failures.add(errors.New("read tcp 127.0.0.1:1->127.0.0.1:2: connection reset"))
	hurt.failures.add(errors.New("read tcp 127.0.0.1:3->127.0.0.1:2: connection reset"))
	tab.add(busy, plainConnection, "theirs", hurt)
	tab.add(busy, tlsConnection, "ours", &result{})
	tab.add(idle, plainConnection, "ours", &result{units: 10, memory: 40 << 10, elapsed: 12500 * time.Millisecond, told: []time.Duration{0, time.Millisecond}})
	tab.add(idle, plainConnection, "theirs", &result{units: 10, elapsed: time.Second})

	var got strings.Builder
	tab.print(&got, []string{"ours", "theirs"})
	const want = `| step | figure | connection | ours | theirs |
|---|---|---|---:|---:|
| noop | CPU s / 1M commands | plain | 20.0 | 150 (!) |
| noop | CPU s / 1M commands | TLS | - | - |
| idle | KiB / session | plain | 4.00 | - |
| idle | s to open all | plain | 12.5 | 1.00 |
| idle | ms until the last is told | plain | 1.00 | - |
`
	if got.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", &got, want)
	}
	failures := tab.failures([]string{"ours", "theirs"})
	if len(failures) != 1 || failures[0] != "theirs, noop, plain: 2 x connection reset" {
		t.Errorf("%q", failures)
	}
	if typical, worst := tab.spread(); typical != 1 || worst != 1 {
		t.Errorf("spread %v, %v", typical, worst)
	}
}

func TestMedianOf(t *testing.T) {
	for _, tt := range []struct {
		values []float64
		want   float64
	}{{[]float64{7}, 7}, {[]float64{9, 1}, 5}, {[]float64{9, 1, 2}, 2}} {
		if got := medianOf(tt.values); got != tt.want {
			t.Errorf("%v: %v, want %v", tt.values, got, tt.want)
		}
	}
}

func TestNumber3(t *testing.T) {
	for v, want := range map[float64]string{0: "0.000", 0.12345: "0.123", 1.2345: "1.23", 12.345: "12.3", 1234.5: "1234", -12.34: "-12.3"} {
		if got := number3(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
}

func TestFailuresAreFew(t *testing.T) {
	var f failures
	for _, why := range []string{"e", "d", "c", "b", "a", "a"} {
		f.add(errors.New(why))
	}
	if got := f.String(); got != "2 x a; 1 x b; 1 x c; and 2 other kinds" {
		t.Errorf("%q", got)
	}
}
