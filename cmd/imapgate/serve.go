package main

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/imapgate/imapgate/cmd/internal/config"
)

func serveCommand() command {
	return command{
		name:    "serve",
		summary: "run the proxy",
		usage:   "serve [-config FILE]",
		about: `Runs the proxy until SIGTERM or SIGINT (Ctrl-C). The first signal drains: nobody new is let in,
/readyz answers 503, commands under way are finished and idle sessions are told to come back. A
second signal, or the end of timeouts.drain, cuts what is left, and the exit code is then 1.

Logs go to the standard error.`,
		example: "  imapgate serve -config /etc/imapgate/config.yaml",
		run:     runServe,
	}
}

func runServe(ctx context.Context, c call) int {
	fs := c.flags()
	file := fs.String("config", config.DefaultFile, "the configuration `FILE`")
	if err := c.parse(fs); err != nil {
		return exitOf(err)
	}
	cfg, err := config.Load(*file)
	if err != nil {
		return c.failLoad(err)
	}
	log := cfg.Log.Logger(c.stderr)
	drain, hard, stop := untilSignals(ctx)
	defer stop()
	lc := net.ListenConfig{}
	g, err := openGate(drain, cfg, log, lc.Listen)
	if err != nil {
		return c.fail(err)
	}
	log.Info("ready", "config", *file, "version", version())
	if err := g.run(drain, hard); err != nil {
		log.Error("ended with an error", "error", err)
		return exitFailed
	}
	return exitOK
}

// failLoad tells every fault of a configuration, one a line and without a prefix, so that editors can
// jump to them.
func (c call) failLoad(err error) int {
	faults := config.Faults(nil)
	if !errors.As(err, &faults) {
		return c.fail(err)
	}
	fmt.Fprintln(c.stderr, faults)
	return exitFailed
}
