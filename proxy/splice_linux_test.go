package proxy

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestSplice lets large literals pass a proxy of its own process, in both directions, and asks the kernel
// how many octets that process has read and written: what stays in the kernel is not among them.
func TestSplice(t *testing.T) {
	const most = 1 << 20 // which the lines around a literal, and what is read ahead, stay far below
	big, small := fetches(1, 5<<20), fetches(1280, 4<<10)
	for _, e := range []struct {
		name    string
		talk    talk
		spliced bool
	}{
		{"down", talk{request: []byte("a FETCH 1 BODY[]\r\n"), data: big, answer: concat(big, answerOK)}, true},
		{"up", talk{
			request: concat([]byte("a APPEND x {5242880+}\r\n"), string(mail(5<<20))+"\r\n"),
			answer:  []byte(answerOK),
		}, true},
		{"small ones", talk{request: []byte("a FETCH 1:* BODY[]\r\n"), data: small, answer: concat(small, answerOK)}, false},
	} {
		t.Run(e.name, func(t *testing.T) {
			ln := loopback(t)
			serveFixed(t, ln, e.talk.data)
			pid, address := gateProcess(t, ln.Addr().String())
			nc, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			logIn(t, nc)
			before := copied(t, pid)
			e.talk.check(t, nc)
			if n := copied(t, pid) - before; n < most != e.spliced {
				t.Errorf("%d octets were copied", n)
			}
		})
	}
}

// gateProcess starts a process that serves as gate does.
func gateProcess(t *testing.T, backend string) (pid int, address string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestSpliceProcess$", "-test.v")
	cmd.Env = append(os.Environ(), "IMAPGATE_TEST_BACKEND="+backend)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	t.Cleanup(func() {
		in.Close()
		said, _ := io.ReadAll(lines)
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %s", err, said)
		}
	})
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal("the process does not serve")
		}
		if address, ok := strings.CutPrefix(line, "serving "); ok {
			return cmd.Process.Pid, strings.TrimSpace(address)
		}
	}
}

// TestSpliceProcess is the process of gateProcess.
func TestSpliceProcess(t *testing.T) {
	backend := os.Getenv("IMAPGATE_TEST_BACKEND")
	if backend == "" {
		t.Skip("a part of TestSplice")
	}
	fmt.Println("serving", gate(t, backend, NoTLS, nil))
	io.Copy(io.Discard, os.Stdin)
}

// copied is how many octets a process has read and written (proc(5), rchar and wchar).
func copied(t *testing.T, pid int) (sum int64) {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	if err != nil {
		t.Skip("the kernel does not say: ", err)
	}
	var in, out int64
	if _, err := fmt.Fscanf(bytes.NewReader(b), "rchar: %d\nwchar: %d\n", &in, &out); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	return in + out
}
