// Imapgate stands in front of IMAP servers: it secures the connection, chooses the server that holds the
// user's mail, logs in there and carries the conversation.
//
//	imapgate demo                  try it at once
//	imapgate serve -config FILE    run
//	imapgate help                  everything else
//
// It exits with 0 when it ended as asked, 1 when something failed, and 2 when it was called wrongly.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// A command is one subcommand.
type command struct {
	name    string
	summary string // one line of the list
	usage   string // what follows "Usage: imapgate "
	about   string // paragraphs of -h
	example string
	run     func(ctx context.Context, c call) int
}

// A call is one use of a command: its own arguments, flags still among them, and where to write.
type call struct {
	command
	args           []string
	stdout, stderr io.Writer
}

func commands() []command {
	return []command{demoCommand(), serveCommand(), versionCommand()}
}

// run runs one subcommand and returns the exit code. The end of ctx means the same as a first SIGTERM.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		printUsage(stderr)
		return exitUsage
	}
	name, rest := args[0], args[1:]
	switch name {
	case "help", "-h", "-help", "--help":
		return runHelp(rest, stdout, stderr)
	}
	for _, cmd := range commands() {
		if cmd.name == name {
			return cmd.run(ctx, call{cmd, rest, stdout, stderr})
		}
	}
	fmt.Fprintf(stderr, "imapgate: there is no command %q\n\n", name)
	printUsage(stderr)
	return exitUsage
}

func runHelp(args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		printUsage(stdout)
		return exitOK
	}
	return run(context.Background(), []string{args[0], "-h"}, stdout, stderr)
}

func printUsage(w io.Writer) {
	fmt.Fprint(w, "Usage: imapgate COMMAND [FLAGS]\n\nCommands:\n")
	for _, cmd := range commands() {
		fmt.Fprintf(w, "  %-8s  %s\n", cmd.name, cmd.summary)
	}
	fmt.Fprint(w, "  help      tell more about a command, as COMMAND -h does\n")
	fmt.Fprint(w, "\nTry it at once: imapgate demo\nExit codes: 0 ended as asked, 1 failed, 2 called wrongly\n")
}

// flags returns the call's empty flag set.
func (c call) flags() *flag.FlagSet {
	fs := flag.NewFlagSet(c.name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	return fs
}

// errHelp says that the call asked for help and got it.
var errHelp = errors.New("help was asked for")

// parse reads the flags; no command takes arguments beyond them. It has told the user when it fails, and
// exitOf turns its error into the exit code.
func (c call) parse(fs *flag.FlagSet) error {
	err := fs.Parse(c.args)
	if errors.Is(err, flag.ErrHelp) {
		c.printHelp(c.stdout, fs)
		return errHelp
	}
	if err == nil && fs.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	if err != nil {
		fmt.Fprintf(c.stderr, "imapgate %s: %v\n\n", c.name, err)
		c.printHelp(c.stderr, fs)
	}
	return err
}

func exitOf(parseErr error) int {
	if errors.Is(parseErr, errHelp) {
		return exitOK
	}
	return exitUsage
}

func (c call) printHelp(w io.Writer, fs *flag.FlagSet) {
	fmt.Fprintf(w, "Usage: imapgate %s\n\n%s\n", c.usage, c.about)
	var flags strings.Builder
	fs.SetOutput(&flags)
	fs.PrintDefaults()
	fs.SetOutput(io.Discard)
	if flags.Len() > 0 {
		fmt.Fprintf(w, "\nFlags:\n%s", flags.String())
	}
	fmt.Fprintf(w, "\nExample:\n%s\n", c.example)
}

// fail tells why a command failed.
func (c call) fail(err error) int {
	fmt.Fprintf(c.stderr, "imapgate %s: %v\n", c.name, err)
	return exitFailed
}
