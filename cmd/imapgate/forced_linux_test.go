package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/imapgate/imapgate/proxy/imaptest"
)

// Where splice is forced, a short literal goes by a pipe as package proxy opens them. The first of those stay open.
func TestForcedSplice(t *testing.T) {
	if !forced("SPLICE") {
		t.Skip("splice is not forced")
	}
	backend := imaptest.MemoryServer(t, imaptest.MemoryOptions{Users: map[string]string{"riley": "firetruck"}})
	file := filepath.Join(t.TempDir(), "config.yaml")
	writeFile(t, file, fmt.Sprintf(`
listeners: [{name: imap, address: "127.0.0.1:0", tls: none, allow_plaintext_login: true}]
backends: {b: {address: %q, tls: none}}
routes: [{backend: b}]
metrics: {address: ""}
log: {format: json}
`, backend.Addr))
	nc, err := net.Dial("tcp", startLogged(t, file).addresses["imap"])
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	script := imaptest.Script{
		imaptest.Match(`^\* OK `),
		imaptest.Send("a LOGIN riley firetruck"), imaptest.Match("^a OK "),
		imaptest.Send("b APPEND INBOX {15}"), imaptest.Match(`^\+ `),
		imaptest.Send("Subject: x", "", "x"), imaptest.Match("^b OK "),
	}
	if err := script.Run(nc); err != nil {
		t.Fatal(err)
	}
	if n := largePipes(t); n == 0 {
		t.Error("no pipe is open: is proxy.moveFrom called something else now?")
	}
}

// largePipes counts descriptors of pipes that hold more than a pipe does by itself.
func largePipes(t *testing.T) (n int) {
	const getPipeSize, usual = 1032, 64 << 10 // F_GETPIPE_SZ, which package syscall does not name
	all, err := filepath.Glob("/proc/self/fd/*")
	if err != nil || len(all) == 0 {
		t.Skipf("LEFT OUT: there is no /proc here: %v", err)
	}
	for _, name := range all {
		to, _ := os.Readlink(name)
		fd, err := strconv.Atoi(filepath.Base(name))
		if err != nil || !strings.HasPrefix(to, "pipe:") {
			continue
		}
		if size, _, failed := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), getPipeSize, 0); failed == 0 && size > usual {
			n++
		}
	}
	return n
}
