package main

import (
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func TestParseStat(t *testing.T) {
	const rest = " S 7 1 1 0 -1 4194560 100 200 0 0 11 22 33 44 20 0 1 0 12345"
	for _, name := range []string{"(nginx)", "(a b)", "(a) (b))", "()"} {
		got, err := parseStat([]byte("42 " + name + rest))
		if want := (stat{parent: 7, own: 33, reaped: 77}); err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, want)
		}
	}
	for _, line := range []string{"", "42 (nginx)", "42 (nginx) S 7 1", strings.Replace("42 (nginx)"+rest, " 11 ", " x ", 1), strings.Replace("42 (nginx)"+rest, " 7 ", " y ", 1), "42 nginx" + rest} {
		if got, err := parseStat([]byte(line)); err == nil {
			t.Errorf("%q: %+v", line, got)
		}
	}
}

func TestParsePSS(t *testing.T) {
	got, err := rollup([]byte("00400000-7ffe ---p 00000000 00:00 0 [rollup]\nRss:   900 kB\nPss:            33 kB\nPss_Anon:  1 kB\n"), "Pss:")
	if err != nil || got != 33<<10 {
		t.Errorf("%d, %v", got, err)
	}
	for _, text := range []string{"", "Rss: 1 kB\n", "Pss: x kB\n", "Pss: 1 MB\n"} {
		if got, err := rollup([]byte(text), "Pss:"); err == nil {
			t.Errorf("%q: %d", text, got)
		}
	}
}

func TestProcessesBelow(t *testing.T) {
	running := map[int]stat{1: {parent: 0}, 2: {parent: 1}, 3: {parent: 2}, 4: {parent: 3}, 5: {parent: 1}, 6: {parent: 5}}
	for _, tt := range []struct {
		roots processes
		want  []int
	}{
		{nil, nil}, {processes{2}, []int{2, 3, 4}}, {processes{2, 3}, []int{2, 3, 4}}, {processes{4, 5}, []int{4, 5, 6}},
	} {
		got, err := tt.roots.below(running)
		if pids := slices.Sorted(maps.Keys(got)); err != nil || !slices.Equal(pids, tt.want) {
			t.Errorf("%v: %v, %v; want %v", tt.roots, pids, err, tt.want)
		}
	}
	if got, err := (processes{2, 9}).below(running); err == nil {
		t.Errorf("a process that does not run: %v", got)
	}
}

// TestOwnUsage reads what this very process uses.
func TestOwnUsage(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has this in /proc")
	}
	self := processes{os.Getpid()}
	if octets, err := self.memory(); err != nil || octets < 1<<20 {
		t.Errorf("%d octets, %v", octets, err)
	}
	before, err := ownCPU()
	if err != nil {
		t.Fatal(err)
	}
	own := before
	for b := text(); own < before+0.02; { // two ticks
		checksum(b)
		if own, err = ownCPU(); err != nil {
			t.Fatal(err)
		}
	}
	after, err := self.cpu()
	if err != nil || after < own {
		t.Errorf("%v s with children, %v s without, %v", after, own, err)
	}
}
