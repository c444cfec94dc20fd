package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
)

func versionCommand() command {
	return command{
		name:    "version",
		summary: "print the version",
		usage:   "version",
		about:   "Prints the version of imapgate, of Go, and the system it was built for.",
		example: "  imapgate version",
		run:     runVersion,
	}
}

func runVersion(_ context.Context, c call) int {
	if err := c.parse(c.flags()); err != nil {
		return exitOf(err)
	}
	fmt.Fprintf(c.stdout, "imapgate %s (%s, %s/%s)\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return exitOK
}

// stamped is the version that the linker was given: -X main.stamped=v1.2.3.
var stamped string

// version is what the linker was given, the module's version, the commit it was built from, or "devel".
func version() string {
	if stamped != "" {
		return stamped
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return "devel-" + s.Value[:min(12, len(s.Value))]
		}
	}
	return "devel"
}
