package main

import (
	"context"
	"fmt"
)

func configPrintCommand() command {
	return command{
		name:    "config print",
		summary: "print the effective configuration",
		usage:   "config print [-config FILE]",
		about: `Prints the configuration as it takes effect, with every default and with secrets as <secret>, and
behind it, as comments, the policy that holds for each listener, route and backend that can meet. What
it prints is a configuration again.`,
		example: "  imapgate config print -config /etc/imapgate/config.yaml",
		run:     runConfigPrint,
	}
}

func runConfigPrint(_ context.Context, c call) int {
	cfg, _, code := c.loadConfig()
	if cfg == nil {
		return code
	}
	text, err := cfg.Effective()
	if err != nil {
		return c.fail(err)
	}
	fmt.Fprint(c.stdout, text)
	return exitOK
}
