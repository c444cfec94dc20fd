//go:build unix

package realpeer

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// clientTimeout bounds one run of a client. It is far above what any takes, for a loaded machine's sake.
const clientTimeout = 2 * time.Minute

// A Result is what a client did.
type Result struct {
	Stdout string
	Stderr string
	Code   int // exit code; -1 when it was ended by a signal, as at the time limit
}

// Python runs a Python 3 script and returns its standard output. It ends the test, with the standard error, when the
// script fails. The script sees args in sys.argv[1:]; neither is on the process list, so both may hold passwords.
func Python(t testing.TB, script string, args ...string) string {
	t.Helper()
	return mustSucceed(t, "python3", RunPython(t, script, args...))
}

// RunPython is Python for scripts that may fail.
func RunPython(t testing.TB, script string, args ...string) Result {
	t.Helper()
	Need(t, PartPython)
	if args == nil {
		args = []string{}
	}
	data, err := json.Marshal(args)
	if err != nil {
		t.Fatalf("arguments for Python: %v", err)
	}
	arguments := secretFile(t, "arguments.json", string(data))
	file := secretFile(t, "script.py", script)
	return run(t, exec.Command("python3", "-I", "-X", "utf8", "-c", pythonLoader, file, arguments))
}

const pythonLoader = `import json, sys
script, arguments = sys.argv[1:3]
with open(arguments) as f:
    sys.argv = [script] + json.load(f)
with open(script) as f:
    exec(compile(f.read(), script, "exec"), {"__name__": "__main__"})
`

// RunNode runs a Node.js program, in which require("imapflow") works. It sees args, which may hold passwords, as
// the array args.
func RunNode(t testing.TB, script string, args ...string) Result {
	t.Helper()
	Need(t, PartIMAPFlow)
	root, err := imapflowFolder()
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(args)
	if err != nil {
		t.Fatalf("arguments for Node.js: %v", err)
	}
	arguments := secretFile(t, "arguments.json", string(data))
	file := secretFile(t, "script.js", "const args = require("+quoteJS(arguments)+");\n"+script)
	cmd := exec.Command("node", file)
	cmd.Env = append(os.Environ(), "NODE_PATH="+filepath.Join(root, "node_modules"))
	return run(t, cmd)
}

// quoteJS renders a string of JavaScript.
func quoteJS(text string) string {
	b, _ := json.Marshal(text) // a string always can be
	return string(b)
}

// Curl runs curl as the user, whose name must not hold ':', and returns its standard output. It ends the test, with
// curl's verbose conversation, when curl fails. Nothing of the machine's own curl configuration is used.
func Curl(t testing.TB, u User, args ...string) string {
	t.Helper()
	return mustSucceed(t, "curl", RunCurl(t, u, args...))
}

// RunCurl is Curl for runs that may fail.
func RunCurl(t testing.TB, u User, args ...string) Result {
	t.Helper()
	Need(t, PartCurl)
	quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(u.Name + ":" + u.Password)
	config := secretFile(t, "curl.conf", "user = \""+quoted+"\"\n")
	return run(t, exec.Command("curl", append([]string{"-q", "-sS", "--noproxy", "*", "-K", config}, args...)...))
}

// Mbsync runs mbsync with the given configuration, which may hold passwords, and returns its standard output. It ends
// the test, with the standard error, when mbsync fails. mbsync verifies certificates by host name: say `Host localhost`.
func Mbsync(t testing.TB, config string, args ...string) string {
	t.Helper()
	return mustSucceed(t, "mbsync", RunMbsync(t, config, args...))
}

// RunMbsync is Mbsync for runs that may fail.
func RunMbsync(t testing.TB, config string, args ...string) Result {
	t.Helper()
	Need(t, PartMbsync)
	file := secretFile(t, "mbsyncrc", config)
	return run(t, exec.Command("mbsync", append([]string{"-c", file}, args...)...))
}

// run runs a client to its end and reports how it ended; it ends the test only when the client cannot be started.
func run(t testing.TB, cmd *exec.Cmd) Result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = stopTimeout
	cmd.SysProcAttr = processAttributes()
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting %s: %v", cmd.Path, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), clientTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stop()
	_ = cmd.Wait()
	if ctx.Err() != nil {
		fmt.Fprintf(&stderr, "\n%s was ended after %v\n", cmd.Path, clientTimeout)
	}
	return Result{Stdout: stdout.String(), Stderr: stderr.String(), Code: cmd.ProcessState.ExitCode()}
}

func mustSucceed(t testing.TB, name string, r Result) string {
	t.Helper()
	if r.Code != 0 {
		t.Fatalf("%s ended with exit code %d\nstdout:\n%s\nstderr:\n%s", name, r.Code, r.Stdout, r.Stderr)
	}
	return r.Stdout
}

// secretFile writes a file that its owner alone can read, in a folder that goes with the test.
func secretFile(t testing.TB, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
