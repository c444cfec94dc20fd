package main

import (
	"context"
	"fmt"

	"github.com/imapgate/imapgate/proxy"
)

func checkCommand() command {
	return command{
		name:    "check",
		summary: "tell every mistake of a configuration",
		usage:   "check [-config FILE]",
		about: `Reads the configuration and all files that it names, as serve does, and tells every mistake with its
line and key, one a line. It opens no port and asks no network; imapgate doctor does. Without a mistake
it prints a summary and what is odd.

Exit codes: 0 no mistake, 1 at least one.`,
		example: "  imapgate check -config /etc/imapgate/config.yaml",
		run:     runCheck,
	}
}

func runCheck(_ context.Context, c call) int {
	cfg, file, code := c.loadConfig()
	if cfg == nil {
		return code
	}
	if _, err := proxy.NewServer(cfg.Options()); err != nil {
		return c.fail(err)
	}
	fmt.Fprintf(c.stdout, "%s\n%s: no mistakes\n", cfg.Summary(), file)
	return exitOK
}
