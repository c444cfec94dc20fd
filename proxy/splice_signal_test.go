package proxy

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/imapgate/imapgate/proxy/backend"
	"github.com/imapgate/imapgate/routing"
)

const (
	splicedSize = 5 << 20
	splicedPart = 3 << 20 // that is there when the signal comes; more than what is kept on the way
)

// A splicedRig is a session over TCP in the middle of a literal that the kernel moves.
type splicedRig struct {
	srv     *Server
	client  net.Conn
	heard   *bufio.Reader // by the client
	backend net.Conn
	got     *bufio.Reader // by the backend
}

func startSpliced(t *testing.T) *splicedRig {
	table, err := routing.NewTable(routing.Config{
		Backends: []routing.Backend{{Name: "one"}},
		Routes:   []routing.Route{{Backend: "one"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	back := loopback(t)
	srv, err := NewServer(Options{
		Backends: map[string]*backend.Config{"one": {Name: "one", Address: back.Addr().String(), TLS: backend.None}},
		Table:    table,
		Policy:   quietPolicy(),
	})
	if err != nil {
		t.Fatal(err)
	}
	ln := &Listener{Name: "imap", Listener: loopback(t), TLS: NoTLS, AllowPlaintextLogin: true}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(context.Background(), ln) }()
	r := &splicedRig{srv: srv}
	t.Cleanup(func() {
		r.client.Close()
		r.backend.Close()
		now, cancel := context.WithCancel(context.Background())
		cancel()
		srv.Shutdown(now)
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	if r.client, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	r.heard = bufio.NewReader(r.client)
	r.client.SetDeadline(time.Now().Add(time.Minute))
	fmt.Fprint(r.client, "a LOGIN riley firetruck\r\n")
	if r.backend, err = back.Accept(); err != nil {
		t.Fatal(err)
	}
	r.got = bufio.NewReader(r.backend)
	r.backend.SetDeadline(time.Now().Add(time.Minute))
	fmt.Fprintf(r.backend, "* OK %s ready\r\n", fixedCaps)
	login := wants(t, r.got, "")
	own, _, _ := strings.Cut(login, " ")
	fmt.Fprintf(r.backend, "%s OK %s in\r\n", own, fixedCaps)
	wants(t, r.heard, "* OK")
	wants(t, r.heard, "a OK")
	return r
}

// wants reads a line and compares its beginning.
func wants(t *testing.T, from *bufio.Reader, begin string) string {
	t.Helper()
	line, err := from.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, begin) {
		t.Fatalf("%q in place of %q, %v", line, begin, err)
	}
	return line
}

// octets reads n octets of mail from offset at on.
func octets(t *testing.T, from io.Reader, at, n int) {
	t.Helper()
	b := make([]byte, n)
	if _, err := io.ReadFull(from, b); err != nil {
		t.Fatal(err)
	}
	if string(b) != string(mail(splicedSize)[at:at+n]) {
		t.Fatal("the octets of the literal are not those that were sent")
	}
}

var spliceSignals = map[string]func(*Server, string) bool{
	"drain": (*Server).Drain, "pause": (*Server).Pause, "kick": (*Server).Kick,
}

// A signal that comes while the kernel moves a message to the client waits for its end, except for a kick: that
// cuts the client off, and says nothing within the message.
func TestSignalInDownload(t *testing.T) {
	for name, signal := range spliceSignals {
		t.Run(name, func(t *testing.T) {
			r := startSpliced(t)
			fmt.Fprint(r.client, "b FETCH 1 BODY[]\r\n")
			wants(t, r.got, "p1 FETCH")
			fmt.Fprintf(r.backend, "* 1 FETCH (BODY[] {%d}\r\n%s", splicedSize, mail(splicedSize)[:splicedPart])
			wants(t, r.heard, "* 1 FETCH")
			octets(t, r.heard, 0, splicedPart)
			signal(r.srv, r.srv.Sessions()[0].ID)
			if name == "kick" {
				if rest, _ := io.ReadAll(r.heard); len(rest) > 0 {
					t.Fatalf("%q behind a part of a message", rest)
				}
				return
			}
			fmt.Fprintf(r.backend, "%s)\r\np1 OK done\r\n", mail(splicedSize)[splicedPart:])
			octets(t, r.heard, splicedPart, splicedSize-splicedPart)
			wants(t, r.heard, ")")
			wants(t, r.heard, "b OK done")
			if name == "pause" {
				fmt.Fprint(r.client, "c NOOP\r\n")
			}
			r.afterSignal(t, name)
		})
	}
}

// A signal that comes while the kernel moves a message to the backend waits for its end, except for a kick: the
// backend never gets the rest of that command.
func TestSignalInUpload(t *testing.T) {
	for name, signal := range spliceSignals {
		t.Run(name, func(t *testing.T) {
			r := startSpliced(t)
			fmt.Fprintf(r.client, "b APPEND x {%d+}\r\n%s", splicedSize, mail(splicedSize)[:splicedPart])
			wants(t, r.got, "p1 APPEND")
			octets(t, r.got, 0, splicedPart)
			signal(r.srv, r.srv.Sessions()[0].ID)
			if name == "kick" {
				if rest, _ := io.ReadAll(r.got); len(rest) > 0 {
					t.Fatalf("%q behind a part of a message", rest)
				}
				wants(t, r.heard, "b NO [UNAVAILABLE]")
				wants(t, r.heard, "* BYE [UNAVAILABLE]")
				return
			}
			fmt.Fprintf(r.client, "%s\r\nc NOOP\r\n", mail(splicedSize)[splicedPart:])
			octets(t, r.got, splicedPart, splicedSize-splicedPart)
			wants(t, r.got, "\r\n")
			fmt.Fprint(r.backend, "p1 OK done\r\n")
			wants(t, r.heard, "b OK done")
			if name == "pause" {
				r.backend.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
				if line, err := r.got.ReadString('\n'); line != "" || err == nil {
					t.Fatalf("%q goes up in a pause", line)
				}
				r.backend.SetReadDeadline(time.Now().Add(time.Minute))
			}
			r.afterSignal(t, name)
		})
	}
}

// afterSignal is what follows the message: BYE, or the next command when the pause is over.
func (r *splicedRig) afterSignal(t *testing.T, name string) {
	t.Helper()
	if name == "drain" {
		wants(t, r.heard, "* BYE [UNAVAILABLE]")
		wants(t, r.got, "p2 LOGOUT")
		return
	}
	r.srv.Resume(r.srv.Sessions()[0].ID)
	wants(t, r.got, "p2 NOOP")
	fmt.Fprint(r.backend, "p2 OK done\r\n")
	wants(t, r.heard, "c OK done")
}
