package main

import (
	"context"
	_ "embed"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/template"
)

// The scripts are made from the command table when they are asked for.
var (
	//go:embed completion.bash.tmpl
	bashScript string
	//go:embed completion.zsh.tmpl
	zshScript string
	//go:embed completion.fish.tmpl
	fishScript string
)

func completionCommand() command {
	return command{
		name:    "completion",
		summary: "print a script that completes commands and flags in a shell",
		usage:   "completion bash|zsh|fish",
		about: `Prints a script for the shell that is named. Where it belongs:

  bash  /etc/bash_completion.d/imapgate, or . <(imapgate completion bash) in ~/.bashrc
  zsh   a file named _imapgate in a folder of $fpath
  fish  ~/.config/fish/completions/imapgate.fish`,
		example: "  imapgate completion bash > /etc/bash_completion.d/imapgate",
		choices: []string{"bash", "zsh", "fish"},
		run:     runCompletion,
	}
}

func runCompletion(_ context.Context, c call) int {
	fs := c.flags()
	args, err := c.parseArgs(fs, "SHELL")
	if err != nil {
		return exitOf(err)
	}
	script, ok := map[string]string{"bash": bashScript, "zsh": zshScript, "fish": fishScript}[args[0]]
	if !ok {
		fmt.Fprintf(c.stderr, "imapgate %s: %q is not known; write one of %s\n\n", c.name, args[0], strings.Join(c.choices, ", "))
		c.printHelp(c.stderr, fs)
		return exitUsage
	}
	t, err := template.New(args[0]).Parse(script)
	if err != nil {
		return c.fail(err)
	}
	if err := t.Execute(c.stdout, completions()); err != nil {
		return c.fail(err)
	}
	return exitOK
}

// A completion is what a shell knows of a command.
type completion struct {
	Name, Word string // "config print", "config"
	Then       string // "print"; "" for a command of one word
	Summary    string
	Choices    []string
	Flags      []completionFlag
}

type completionFlag struct {
	Name  string
	Value string // what stands for its value in -h: FILE, DIR or another word; "" for a flag without
	Usage string
}

func completions() (all []completion) {
	for _, cmd := range commands() {
		word, then, _ := strings.Cut(cmd.name, " ")
		all = append(all, completion{
			Name: cmd.name, Word: word, Then: then, Summary: cmd.summary, Choices: cmd.choices, Flags: flagsOf(cmd),
		})
	}
	return all
}

// flagsOf asks a command for its flags.
func flagsOf(cmd command) (flags []completionFlag) {
	cmd.run(context.Background(), call{command: cmd, stdout: io.Discard, stderr: io.Discard, describe: func(fs *flag.FlagSet) {
		fs.VisitAll(func(f *flag.Flag) {
			value, usage := flag.UnquoteUsage(f)
			flags = append(flags, completionFlag{f.Name, value, usage})
		})
	}})
	return flags
}

// Words returns what may follow the command: flags, and what its argument may be.
func (c completion) Words() string {
	words := slices.Clone(c.Choices)
	for _, f := range c.Flags {
		words = append(words, "-"+f.Name)
	}
	return strings.Join(append(words, "-h"), " ")
}

// Quoted returns the usage for single quotes of any of the shells, without what zsh takes for syntax.
func (f completionFlag) Quoted() string {
	return strings.NewReplacer("'", "", "[", "(", "]", ")", ":", ",", `\`, "").Replace(f.Usage)
}
