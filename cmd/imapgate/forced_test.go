package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	_ "unsafe" // for linkname

	"go.uber.org/goleak"
)

// moveFrom is that of package proxy, which no configuration reaches: how many octets of a literal must be left
// to pass by a pipe. TestForcedSplice finds out whether it still is.
//
//go:linkname moveFrom github.com/imapgate/imapgate/proxy.moveFrom
var moveFrom int64

// TestMain fails the package where a goroutine outlives the tests. With IMAPGATE_TEST_PARK=always the sessions
// of every gate give up their goroutines at every boundary; with IMAPGATE_TEST_SPLICE=always every octet of a
// literal that was not read ahead passes by a pipe, but in gates that are a process of their own.
func TestMain(m *testing.M) {
	if forced("SPLICE") {
		moveFrom = 1
	}
	goleak.VerifyTestMain(m)
}

func forced(what string) bool { return os.Getenv("IMAPGATE_TEST_"+what) == "always" }

// forcedIn adds what is forced to the configuration of a gate. That one logs in JSON; others are only looked at.
func forcedIn(name, text string) string {
	if !forced("PARK") || filepath.Base(name) != "config.yaml" || !strings.Contains(text, "log: {format: json") || strings.Contains(text, "park:") {
		return text
	}
	const timeouts, park = "timeouts: {", "park: 1ns"
	if before, after, has := strings.Cut(text, timeouts); has {
		return before + timeouts + park + ", " + after
	}
	return strings.TrimRight(text, "\n") + "\n" + timeouts + park + "}\n"
}
