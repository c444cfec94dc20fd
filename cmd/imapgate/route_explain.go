package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"text/tabwriter"

	"github.com/imapgate/imapgate/cmd/internal/config"
	"github.com/imapgate/imapgate/routing"
)

func routeExplainCommand() command {
	return command{
		name:    "route explain",
		summary: "tell where a user goes and why",
		usage:   "route explain USER [-from IP] [-listener NAME] [-sni NAME] [-config FILE]",
		about: `Tells which routes of the configuration are looked at for a login of USER, which decides, and where it
leads: the same rules on the same data as in a running proxy, without a connection to anything. What is
not given (address, listener, server name) matches only routes that do not ask for it.

Exit codes: 0 a route matches, 1 none does.`,
		example: "  imapgate route explain riley@example.org -from 192.0.2.7 -listener imaps",
		run:     runRouteExplain,
	}
}

func runRouteExplain(_ context.Context, c call) int {
	fs := c.flags()
	var req routing.Request
	fs.Func("from", "the client's `IP` address", func(text string) (err error) {
		req.Client, err = netip.ParseAddr(text)
		return err
	})
	fs.StringVar(&req.Listener, "listener", "", "`NAME` of the listener where the client connects")
	fs.StringVar(&req.SNI, "sni", "", "server `NAME` that the client asks for in TLS")
	file := c.configFlag(fs)
	args, err := c.parseArgs(fs, "USER")
	if err != nil {
		return exitOf(err)
	}
	req.User = args[0]
	cfg, err := config.Load(*file)
	if err != nil {
		return c.failLoad(err)
	}
	return explain(c.stdout, cfg.Options().Table, req)
}

// explain prints the routes that were looked at and what became of the login.
func explain(w io.Writer, table *routing.Table, req routing.Request) int {
	d := table.Explain(req)
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, step := range table.Consider(req) {
		verdict := "does not match"
		if step.Matched {
			verdict = "MATCHES"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", step.Route, verdict, step.Reason)
	}
	t.Flush()
	fmt.Fprintf(w, "\n%v\n", d)
	if d.Route == "" {
		fmt.Fprintln(w, "a login gets NO [UNAVAILABLE]; add a route that matches, or one without match at the end")
		return exitFailed
	}
	if len(d.Candidates) > 1 {
		fmt.Fprintf(w, "tried in this order: %s\n", strings.Join(d.Candidates, ", "))
	}
	return exitOK
}

// configFlag is the flag that names the configuration, the same for every command.
func (c call) configFlag(fs *flag.FlagSet) *string {
	return fs.String("config", config.DefaultFile, "the configuration `FILE`")
}
