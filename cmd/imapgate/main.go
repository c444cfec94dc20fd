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
	"slices"
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
	name    string // one word or two: "serve", "config print"
	summary string // one line of the list
	usage   string // what follows "Usage: imapgate "
	about   string // paragraphs of -h
	example string
	choices []string // what its only argument may be, for completion; nil where that is not a fixed set
	run     func(ctx context.Context, c call) int
}

// A call is one use of a command: its own arguments, flags still among them, and where to write.
type call struct {
	command
	args           []string
	stdout, stderr io.Writer
	describe       func(*flag.FlagSet) // not nil: the flags are asked for, and nothing runs
}

// commands is the table of all: dispatch, help and completion are made from it.
func commands() []command {
	return []command{
		demoCommand(), serveCommand(), checkCommand(), configPrintCommand(), routeExplainCommand(), doctorCommand(),
		completionCommand(), versionCommand(),
	}
}

// takes returns what follows the command's name in args; false where args name another command.
func (c command) takes(args []string) ([]string, bool) {
	words := strings.Fields(c.name)
	if len(args) < len(words) || !slices.Equal(args[:len(words)], words) {
		return nil, false
	}
	return args[len(words):], true
}

// run runs one subcommand and returns the exit code. The end of ctx means the same as a first SIGTERM.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		printUsage(stderr)
		return exitUsage
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		return runHelp(args[1:], stdout, stderr)
	}
	for _, cmd := range commands() {
		if rest, ok := cmd.takes(args); ok {
			return cmd.run(ctx, call{command: cmd, args: rest, stdout: stdout, stderr: stderr})
		}
	}
	fmt.Fprintf(stderr, "imapgate: there is no command %q%s\n\n", args[0], siblings(args[0]))
	printUsage(stderr)
	return exitUsage
}

// siblings names the commands that begin with a word which is no command by itself.
func siblings(word string) string {
	var names []string
	for _, cmd := range commands() {
		if strings.HasPrefix(cmd.name, word+" ") {
			names = append(names, cmd.name)
		}
	}
	if names == nil {
		return ""
	}
	return "; there is " + strings.Join(names, ", ")
}

func runHelp(args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		printUsage(stdout)
		return exitOK
	}
	return run(context.Background(), append(slices.Clone(args), "-h"), stdout, stderr)
}

func printUsage(w io.Writer) {
	fmt.Fprint(w, "Usage: imapgate COMMAND [FLAGS]\n\nCommands:\n")
	for _, cmd := range commands() {
		fmt.Fprintf(w, "  %-13s  %s\n", cmd.name, cmd.summary)
	}
	fmt.Fprint(w, "  help           tell more about a command, as COMMAND -h does\n")
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

// parse reads the flags of a command that takes nothing else. It has told the user when it fails, and
// exitOf turns its error into the exit code.
func (c call) parse(fs *flag.FlagSet) error {
	_, err := c.parseArgs(fs)
	return err
}

// parseArgs is parse for a command with arguments, of which all are needed. Flags may stand before,
// between and behind them.
func (c call) parseArgs(fs *flag.FlagSet, names ...string) ([]string, error) {
	if c.describe != nil {
		c.describe(fs)
		return nil, errHelp
	}
	got, err := interleaved(fs, c.args)
	if errors.Is(err, flag.ErrHelp) {
		c.printHelp(c.stdout, fs)
		return nil, errHelp
	}
	switch {
	case err != nil:
	case len(got) > len(names):
		err = fmt.Errorf("unexpected argument %q", got[len(names)])
	case len(got) < len(names):
		err = fmt.Errorf("%s is missing", names[len(got)])
	}
	if err != nil {
		fmt.Fprintf(c.stderr, "imapgate %s: %v\n\n", c.name, err)
		c.printHelp(c.stderr, fs)
	}
	return got, err
}

func interleaved(fs *flag.FlagSet, args []string) (rest []string, err error) {
	for {
		if err := fs.Parse(args); err != nil {
			return nil, err
		}
		if fs.NArg() == 0 {
			return rest, nil
		}
		rest, args = append(rest, fs.Arg(0)), fs.Args()[1:]
	}
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
