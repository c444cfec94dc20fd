//go:build unix

package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const (
	crowdWorkers = 32 // that speak for the clients
	crowdSpare   = 200
	crowdQuiet   = 300 * time.Millisecond // between two looks
)

// crowdSize is how many sessions may be open: each takes the program two files, and Go has already raised
// the limit as far as it goes, in the program too.
func crowdSize(t *testing.T) int {
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	most := crowdLimit
	if testing.Short() {
		most = min(most, 500)
	}
	if room := (int64(files.Cur) - crowdSpare) / 2; room > 0 {
		most = int(min(int64(most), room))
	}
	return most
}

// As many sessions as there may be wait in IDLE over TLS. All of them hear of each message, whether they
// come one by one or at once, however long they were quiet. Then some vanish, some leave, some go on; and
// when all have gone the program has not a file nor a goroutine more than before the first.
func TestPeersCrowd(t *testing.T) {
	backend := startLoadBackend(t)
	p := startGateProcess(t, nil, []peerBackend{{address: backend, tls: legNone, users: "*"}})
	cr := &crowd{t: t, p: p, backend: backend, trust: p.at(legImplicit).trust(t)}
	cr.open(crowdWorkers)
	cr.settled()
	cr.part(0, len(cr.all), (*crowdClient).vanish)
	before := cr.settled()

	n := crowdSize(t)
	began := time.Now()
	cr.open(n)
	t.Logf("%d sessions were opened in %v", n, time.Since(began).Round(time.Millisecond))
	full := cr.settled()
	t.Logf("%d sessions: %.2f open files, %.2f goroutines, %.1f KiB resident each", n, float64(full.files-before.files)/float64(n),
		float64(full.goroutines-before.goroutines)/float64(n), float64(full.resident-before.resident)/float64(n))
	if full.sessions != n || full.files-before.files > 2*n {
		t.Errorf("%d sessions, of %d, have %d open files", full.sessions, n, full.files-before.files)
	}
	for _, message := range []int{101, 102} { // the second wakes those that were woken before
		cr.tell(message)
		cr.part(0, n, func(c *crowdClient) error { return c.hear(message) })
		cr.settled()
	}
	cr.part(0, n/10, (*crowdClient).vanish)
	cr.tell(103) // also to those of whom it is not known yet that they have gone
	cr.part(n/10, n, func(c *crowdClient) error { return c.hear(103) })
	cr.part(n/10, n/10+n/2, (*crowdClient).logOut)
	cr.part(n/10+n/2, n, (*crowdClient).vanish)
	cr.expectAsBefore(before)
	p.signal(t, syscall.SIGTERM)
	p.awaitEnd(t)
}

// startLoadBackend starts the backend of the load generator as a process of its own, and returns where it
// listens.
func startLoadBackend(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "imapload")
	if out, err := exec.Command("go", "build", "-o", program, "../imapload").CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := ln.Addr().String()
	ln.Close() // it is free, and the system gives it to nobody else for a while
	cmd := exec.Command(program, "backend", "-plain", address)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	for deadline := time.Now().Add(patience); ; {
		nc, err := net.Dial("tcp", address)
		if err == nil {
			nc.Close()
			return address
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		<-time.After(crowdQuiet)
	}
}

// A crowd is all clients of the test.
type crowd struct {
	t       *testing.T
	p       *gateProcess
	backend string
	trust   *tls.Config
	logins  atomic.Int64
	all     []*crowdClient
}

// open has n clients come and go to IDLE; who was there before is forgotten.
func (cr *crowd) open(n int) {
	cr.t.Helper()
	address := cr.p.at(legImplicit).address
	cr.all = make([]*crowdClient, n)
	for i := range cr.all {
		cr.all[i] = &crowdClient{user: fmt.Sprintf("crowd%d", cr.logins.Add(1))}
	}
	cr.t.Cleanup(func() {
		for _, c := range cr.all {
			if c.tcp != nil {
				c.tcp.Close()
			}
		}
	})
	cr.part(0, n, func(c *crowdClient) error { return c.come(address, cr.trust) })
}

// part has some of the clients do something, and ends the test where one fails.
func (cr *crowd) part(from, to int, do func(*crowdClient) error) {
	cr.t.Helper()
	var next, failed atomic.Int64
	var work sync.WaitGroup
	next.Store(int64(from))
	for range crowdWorkers {
		work.Go(func() {
			for i := next.Add(1) - 1; i < int64(to) && failed.Load() < 10; i = next.Add(1) - 1 {
				c := cr.all[i]
				if err := do(c); err != nil {
					failed.Add(1)
					cr.t.Errorf("%s: %v", c.user, err)
				}
			}
		})
	}
	work.Wait()
	if cr.t.Failed() {
		cr.t.FailNow()
	}
}

// tell has the backend tell all sessions in IDLE how many messages there are.
func (cr *crowd) tell(messages int) {
	cr.t.Helper()
	nc, err := net.Dial("tcp", cr.backend)
	if err != nil {
		cr.t.Fatal(err)
	}
	c := &crowdClient{nc: nc, in: bufio.NewReader(nc)}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(nc, "x1 XNEWS %d\r\n", messages)
	if err := c.until("x1 OK"); err != nil {
		cr.t.Fatal(err)
	}
}

// A footprint is what the program takes.
type footprint struct{ files, goroutines, sessions, resident int }

func (cr *crowd) footprint() (f footprint) {
	cr.t.Helper()
	open, err := os.ReadDir("/proc/" + strconv.Itoa(cr.p.cmd.Process.Pid) + "/fd")
	if err != nil {
		cr.t.Skipf("LEFT OUT: there is no /proc here: %v", err)
	}
	body := get(cr.t, cr.p.addresses["metrics"], "/metrics")
	f.files, f.resident = len(open), cr.p.status(cr.t, "VmRSS")
	for _, m := range regexp.MustCompile(`(?m)^(go_goroutines|imapgate_sessions\{.*\}) (\d+)$`).FindAllStringSubmatch(body, -1) {
		n, _ := strconv.Atoi(m[2])
		if m[1] == "go_goroutines" {
			f.goroutines = n
		} else {
			f.sessions += n
		}
	}
	return f
}

// settled waits until nothing changes any more, and returns what the program takes then. The program counts
// its goroutines while it answers us with some of them: the most of several looks is what it has at rest.
func (cr *crowd) settled() footprint {
	cr.t.Helper()
	last := cr.footprint()
	most := last.goroutines
	for same, deadline := 0, time.Now().Add(patience); same < 4; {
		if time.Now().After(deadline) {
			cr.t.Fatalf("the program does not come to rest: %+v", last)
		}
		<-time.After(crowdQuiet)
		now := cr.footprint()
		same++
		// Now and then there is a goroutine for something else, such as to answer us.
		if now.files != last.files || now.sessions != last.sessions || max(now.goroutines-last.goroutines, last.goroutines-now.goroutines) > 2 {
			same, most = 0, 0
		}
		last, most = now, max(most, now.goroutines)
	}
	last.goroutines = most
	return last
}

// expectAsBefore waits until the program takes no more than it did before all came.
func (cr *crowd) expectAsBefore(before footprint) {
	cr.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		now := cr.footprint()
		if now.sessions == 0 && now.files <= before.files && now.goroutines <= before.goroutines {
			return
		}
		if time.Now().After(deadline) {
			cr.t.Errorf("when all have gone there is %+v, and there was %+v; what it does stands at the end of its log", now, before)
			cr.p.signal(cr.t, syscall.SIGQUIT) // it ends, and tells of each goroutine
			<-cr.p.done
			cr.t.FailNow()
		}
		<-time.After(crowdQuiet)
	}
}

// A crowdClient is one of many: it has no goroutine.
type crowdClient struct {
	user string
	tcp  net.Conn
	nc   net.Conn
	in   *bufio.Reader
}

// come logs in, selects and goes to IDLE.
func (c *crowdClient) come(address string, trust *tls.Config) (err error) {
	if c.tcp, err = net.Dial("tcp", address); err != nil {
		return err
	}
	c.tcp.SetDeadline(time.Now().Add(2 * time.Minute))
	c.nc = tls.Client(c.tcp, trust)
	c.in = bufio.NewReaderSize(c.nc, 512)
	for _, said := range []struct{ command, answer string }{
		{"", "* OK"}, {"a LOGIN " + c.user + " firetruck\r\n", "a OK"}, {"b SELECT INBOX\r\n", "b OK"}, {"c IDLE\r\n", "+ "},
	} {
		if _, err := io.WriteString(c.nc, said.command); err != nil {
			return err
		}
		if err := c.until(said.answer); err != nil {
			return err
		}
	}
	return nil
}

// until reads up to a line that begins so; only untagged responses may come before it.
func (c *crowdClient) until(begin string) error {
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			return err
		}
		if strings.HasPrefix(line, begin) {
			return nil
		}
		if !strings.HasPrefix(line, "* ") {
			return fmt.Errorf("heard %q in place of %q", line, begin)
		}
	}
}

// hear reads the one line that tells of messages.
func (c *crowdClient) hear(messages int) error {
	line, err := c.in.ReadString('\n')
	if want := fmt.Sprintf("* %d EXISTS\r\n", messages); err == nil && line != want {
		err = fmt.Errorf("heard %q in place of %q", line, want)
	}
	return err
}

func (c *crowdClient) logOut() error {
	if _, err := io.WriteString(c.nc, "DONE\r\n"); err != nil {
		return err
	}
	if err := c.hearAnswer("c OK"); err != nil {
		return err
	}
	if _, err := io.WriteString(c.nc, "d LOGOUT\r\n"); err != nil {
		return err
	}
	if err := c.until("d OK"); err != nil {
		return err
	}
	if b, err := c.in.ReadByte(); err != io.EOF {
		return fmt.Errorf("behind LOGOUT: %q, %v", b, err)
	}
	return c.tcp.Close()
}

// hearAnswer reads one line, which must begin so.
func (c *crowdClient) hearAnswer(begin string) error {
	line, err := c.in.ReadString('\n')
	if err == nil && !strings.HasPrefix(line, begin) {
		err = fmt.Errorf("heard %q in place of %q", line, begin)
	}
	return err
}

func (c *crowdClient) vanish() error { return c.tcp.Close() }
