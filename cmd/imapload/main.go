// Imapload measures what IMAP proxies cost: the processor time of their processes for a unit of work, and
// their memory for a session that waits. Everything that arrives is checked by length and checksum.
//
//	imapload compare               imapgate beside other proxies, as one table
//	imapload noop -address ...     one step against one server
//	imapload help                  everything else
//
// It brings its own backend, whose mailboxes the steps read, and a relay that only copies. It exits with 0
// when it ended as asked, 1 when something failed, and 2 when it was called wrongly.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
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
	about   string // paragraphs of -h
	example string
	flags   func(*flag.FlagSet) action // declares the flags
}

// An action is what a command does once its flags are read.
type action func(ctx context.Context, stdout, stderr io.Writer) error

// commands is the table of all: dispatch and help are made from it.
func commands() []command {
	all := []command{compareCommand()}
	for _, s := range steps {
		all = append(all, stepCommand(s))
	}
	return append(all, soakCommand(), backendCommand(), relayCommand())
}

// run runs one subcommand and returns the exit code. It ends when ctx does.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		printUsage(stderr)
		return exitUsage
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		if len(args) == 1 {
			printUsage(stdout)
			return exitOK
		}
		args = []string{args[1], "-h"}
	}
	for _, c := range commands() {
		if c.name == args[0] {
			return c.run(ctx, args[1:], stdout, stderr)
		}
	}
	fmt.Fprintf(stderr, "imapload: there is no command %q\n\n", args[0])
	printUsage(stderr)
	return exitUsage
}

// run reads the flags and acts.
func (c command) run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet(c.name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	act := c.flags(fs)
	err := fs.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		c.printHelp(stdout, fs)
		return exitOK
	}
	if err == nil && fs.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	if err != nil {
		return c.misused(err, stderr, fs)
	}
	err = act(ctx, stdout, stderr)
	var misuse usageError
	switch {
	case errors.As(err, &misuse):
		return c.misused(err, stderr, fs)
	case err != nil:
		fmt.Fprintf(stderr, "imapload %s: %v\n", c.name, err)
		return exitFailed
	}
	return exitOK
}

// A usageError says that a command was called wrongly.
type usageError string

func (e usageError) Error() string { return string(e) }

func (c command) misused(err error, stderr io.Writer, fs *flag.FlagSet) int {
	fmt.Fprintf(stderr, "imapload %s: %v\n\n", c.name, err)
	c.printHelp(stderr, fs)
	return exitUsage
}

func printUsage(w io.Writer) {
	fmt.Fprint(w, "Usage: imapload COMMAND [FLAGS]\n\nCommands:\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-14s  %s\n", c.name, c.summary)
	}
	fmt.Fprint(w, "  help            tell more about a command, as COMMAND -h does\n")
	fmt.Fprint(w, "\nBegin with: make bench-peers\nExit codes: 0 ended as asked, 1 failed, 2 called wrongly\n")
}

func (c command) printHelp(w io.Writer, fs *flag.FlagSet) {
	fmt.Fprintf(w, "Usage: imapload %s [FLAGS]\n\n%s\n\nFlags:\n", c.name, c.about)
	fs.SetOutput(w)
	fs.PrintDefaults()
	fs.SetOutput(io.Discard)
	fmt.Fprintf(w, "\nExample:\n%s\n", c.example)
}
