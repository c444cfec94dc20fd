package main

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// completionsOf lets bash complete the last of words.
func completionsOf(t *testing.T, script string, words ...string) []string {
	t.Helper()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("bash is not installed")
	}
	const ask = `. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _imapgate; printf '%s\n' "${COMPREPLY[@]}"`
	out, err := exec.Command(bash, append([]string{"--norc", "-c", ask, "bash", script}, words...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return strings.Fields(string(out))
}

func TestBashCompletes(t *testing.T) {
	code, text, _ := callRun(t, "completion", "bash")
	if code != exitOK {
		t.Fatal(code)
	}
	dir := t.TempDir()
	script := filepath.Join(dir, "completion")
	writeFile(t, script, text)
	writeFile(t, filepath.Join(dir, "config.yaml"), "")
	for _, test := range []struct {
		words string // the last is completed; _ stands for an empty one
		want  string
	}{
		{"imapgate se", "serve"},
		{"imapgate c", "check config completion"},
		{"imapgate route _", "explain"},
		{"imapgate route explain riley -l", "-listener"},
		{"imapgate route explain riley -listener _", ""},
		{"imapgate config print -", "-config -h"},
		{"imapgate demo -", "-dir -servers-only -h"},
		{"imapgate completion _", "bash zsh fish -h"},
		{"imapgate help do", "doctor"},
		{"imapgate check -config " + dir + "/conf", dir + "/config.yaml"},
		{"imapgate demo -dir " + dir + "/conf", ""},
	} {
		words := strings.Fields(test.words)
		if last := len(words) - 1; words[last] == "_" {
			words[last] = ""
		}
		if got := completionsOf(t, script, words...); strings.Join(got, " ") != test.want {
			t.Errorf("%s: got %q, want %q", test.words, got, test.want)
		}
	}
}

// Every shell is told of every command and every flag.
func TestCompletionIsWhole(t *testing.T) {
	for _, shell := range completionCommand().choices {
		_, script, _ := callRun(t, "completion", shell)
		fields := strings.FieldsFunc(script, func(r rune) bool { return strings.ContainsRune(" \t\n'\"();:[|)", r) })
		for _, c := range completions() {
			for _, word := range append(strings.Fields(c.Name), c.Choices...) {
				if !slices.Contains(fields, word) {
					t.Errorf("%s: %s is missing", shell, word)
				}
			}
			for _, f := range c.Flags {
				if !slices.Contains(fields, f.Name) && !slices.Contains(fields, "-"+f.Name) {
					t.Errorf("%s: -%s of %s is missing", shell, f.Name, c.Name)
				}
			}
		}
	}
}

// The scripts are read by the shells themselves, where they are installed.
func TestCompletionIsSyntax(t *testing.T) {
	for _, shell := range completionCommand().choices {
		program, err := exec.LookPath(shell)
		if err != nil {
			t.Logf("%s is not installed", shell)
			continue
		}
		_, script, _ := callRun(t, "completion", shell)
		file := filepath.Join(t.TempDir(), "script")
		writeFile(t, file, script)
		if out, err := exec.Command(program, "-n", file).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", shell, err, out)
		}
	}
}
