package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"

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

SIGHUP reads the configuration and all files that it names again. Sessions that are open stay as they
are; a configuration with a mistake changes nothing. Addresses of listeners need a restart.

Logs go to the standard error.`,
		example: "  imapgate serve -config /etc/imapgate/config.yaml",
		run:     runServe,
	}
}

func runServe(ctx context.Context, c call) int {
	fs := c.flags()
	file := c.configFlag(fs)
	if err := c.parse(fs); err != nil {
		return exitOf(err)
	}
	hup, stopHup := hangups()
	defer stopHup()
	drain, hard, stop := untilSignals(ctx)
	defer stop()
	cfg, err := config.Load(*file)
	if err != nil {
		return c.failLoad(err)
	}
	log := cfg.Log.Logger(c.stderr)
	lc := net.ListenConfig{}
	g, err := openGate(drain, cfg, log, lc.Listen)
	if err != nil {
		return c.fail(err)
	}
	g.reloads = reloads{orders: hup, file: *file, logTo: c.stderr}
	g.notify = newNotifier(os.Getenv)
	log.Info("ready", "config", *file, "version", version())
	g.told(g.notify.ready(g.status()))
	if err := g.run(drain, hard); err != nil {
		g.log.Load().Error("ended with an error", "error", err)
		return exitFailed
	}
	return exitOK
}

// loadConfig reads the configuration that the only flag of a command names. It is nil where the command
// ends with the exit code.
func (c call) loadConfig() (cfg *config.Config, file string, code int) {
	fs := c.flags()
	flag := c.configFlag(fs)
	if err := c.parse(fs); err != nil {
		return nil, "", exitOf(err)
	}
	cfg, err := config.Load(*flag)
	if err != nil {
		return nil, "", c.failLoad(err)
	}
	return cfg, *flag, exitOK
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
