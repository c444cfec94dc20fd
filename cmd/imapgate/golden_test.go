package main

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/golden anew")

// what differs from run to run, and what stands in its place.
var changing = []struct {
	pattern *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`/tmp/\S*/(\S+\.(yaml|crt|key|txt))`), "DIR/$1"},
	{regexp.MustCompile(`(127\.0\.0\.1|localhost|\[::1\]):[1-9]\d*`), "$1:PORT"},
	{regexp.MustCompile(`\b\d+(\.\d+)?(µs|ms|s)\b`), "TIME"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d(T\S+Z)?`), "DATE"},
	{regexp.MustCompile(`TLS_\w+`), "CIPHER"},
}

// golden compares a program's output with a file of testdata/golden.
func golden(t *testing.T, name, got string) {
	t.Helper()
	for _, c := range changing {
		got = c.pattern.ReplaceAllString(got, c.instead)
	}
	file := filepath.Join("testdata", "golden", name+".txt")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}
