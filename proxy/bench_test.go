package proxy

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"

	"github.com/imapgate/imapgate/proxy/backend"
	"github.com/imapgate/imapgate/proxy/imaptest"
	"github.com/imapgate/imapgate/proxy/translate"
	"github.com/imapgate/imapgate/routing"
)

// BenchmarkRelay carries the same conversations over loopback TCP three ways: straight from the client
// to the backend (direct), through a proxy that only copies (copy), and through imapgate. Client, proxy
// and backend are one process, so cpu-ns/op is what all three together cost; what a way costs beyond
// direct is the proxy alone.
func BenchmarkRelay(b *testing.B) {
	fetch4k := fetches(1000, 4<<10)
	fetch5m := fetches(1, 5<<20)
	dense := denseLines(4000)
	talks := []struct {
		name string
		talk talk
	}{
		{"noop", talk{request: []byte("a NOOP\r\n"), answer: []byte(answerOK)}},
		{"noop-50-pipelined", talk{
			request: bytes.Repeat([]byte("a NOOP\r\n"), 50),
			answer:  bytes.Repeat([]byte(answerOK), 50),
		}},
		{"flags-50-pipelined", talk{
			request: bytes.Repeat([]byte("a STORE 17:19 +FLAGS.SILENT (\\Deleted \\Seen)\r\n"), 50),
			answer:  bytes.Repeat([]byte(answerOK), 50),
		}},
		{"fetch-5MB", talk{request: []byte("a FETCH 1 BODY[]\r\n"), data: fetch5m, answer: concat(fetch5m, answerOK)}},
		{"fetch-1000x4KB", talk{request: []byte("a FETCH 1:* BODY[]\r\n"), data: fetch4k, answer: concat(fetch4k, answerOK)}},
		{"fetch-dense", talk{request: []byte("a FETCH 1:* ALL\r\n"), data: dense, answer: concat(dense, answerOK)}},
		{"append-1MB", talk{
			request: concat([]byte("a APPEND x {1048576+}\r\n"), string(mail(1<<20))+"\r\n"),
			answer:  []byte(answerOK),
		}},
	}
	for _, t := range talks {
		for _, security := range []TLSMode{NoTLS, ImplicitTLS} {
			for _, way := range []string{"direct", "copy", "imapgate"} {
				b.Run(fmt.Sprintf("%s/tls=%s/%s", t.name, security, way), func(b *testing.B) {
					t.talk.run(b, road(b, t.talk.data, way, security))
				})
			}
		}
	}
}

// answerOK is what the backend says to the client's tag. That tag is always the same, so that the
// client knows how many octets it is going to get and costs next to nothing.
const answerOK = "a OK done\r\n"

// A talk is one request of a client and all that it must hear.
type talk struct {
	request []byte
	data    []byte // what the backend sends before the tagged answer
	answer  []byte
}

// run has the talk b.N times.
func (t talk) run(b *testing.B, nc net.Conn) {
	hear := make([]byte, 64<<10)
	t.check(b, nc)
	b.SetBytes(int64(len(t.request) + len(t.answer)))
	b.ReportAllocs()
	b.ResetTimer()
	before := processTime(b)
	for range b.N {
		if err := hearAll(t.ask(nc), hear, len(t.answer)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(processTime(b)-before)/float64(b.N), "cpu-ns/op")
}

// check has the talk once and compares every octet.
func (t talk) check(tb testing.TB, nc net.Conn) {
	tb.Helper()
	got, err := io.ReadAll(io.LimitReader(t.ask(nc), int64(len(t.answer))))
	if err != nil || !bytes.Equal(got, t.answer) {
		tb.Fatalf("heard %d octets where %d must come, %v: %.200q", len(got), len(t.answer), err, got)
	}
}

// ask writes the request, and leaves it to the reader to meet an error.
func (t talk) ask(nc net.Conn) io.Reader {
	nc.Write(t.request)
	return nc
}

// hearAll reads n octets, of which the last must be those of a tagged answer.
func hearAll(r io.Reader, b []byte, n int) error {
	for n > 0 {
		got, err := r.Read(b[:min(n, len(b))])
		if err != nil {
			return err
		}
		if n -= got; n == 0 && b[got-1] != '\n' {
			return fmt.Errorf("the answer ends in %q", b[:got])
		}
	}
	return nil
}

// processTime is the processor time of this process, user and system, in nanoseconds.
func processTime(tb testing.TB) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

func concat(b []byte, s string) []byte { return append(bytes.Clone(b), s...) }

// mail is n octets as messages have them.
func mail(n int) []byte {
	line := []byte("A line of a message, as long as lines of mail are wont to be........\r\n")
	return bytes.Repeat(line, n/len(line)+1)[:n]
}

func fetches(n, size int) []byte {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, "* %d FETCH (UID %d BODY[] {%d}\r\n%s)\r\n", i+1, i+1, size, mail(size))
	}
	return b.Bytes()
}

// denseLines is what a client gets that lists a folder.
func denseLines(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, `* %d FETCH (UID %d FLAGS (\Seen \Answered) RFC822.SIZE 4512 INTERNALDATE "17-Jul-2024 02:44:25 -0700" `+
			`ENVELOPE ("Wed, 17 Jul 2024 02:23:25 -0700" "Re: minutes of the \"IMAP\" group" (("Terry Gray" NIL "gray" "cac.example.edu")) `+
			`NIL NIL (("John Klensin" NIL "klensin" "mit.example.edu")) NIL NIL NIL "<B27397-0100000@cac.example.edu>"))`+"\r\n", i+1, 345+i)
	}
	return b.Bytes()
}

// road opens a connection of a client that is logged in, straight to a backend or by way of a proxy.
func road(tb testing.TB, data []byte, way string, security TLSMode) net.Conn {
	certificate, roots := imaptest.Certificate(tb)
	server := &tls.Config{Certificates: []tls.Certificate{certificate}}
	ln := loopback(tb)
	address := ln.Addr().String()
	switch way {
	case "direct":
		if security == ImplicitTLS {
			ln = tls.NewListener(ln, server)
		}
	case "copy":
		address = copying(tb, address, security, server)
	case "imapgate":
		address = gate(tb, address, security, server)
	}
	serveFixed(tb, ln, data)
	nc, err := net.Dial("tcp", address)
	if err != nil {
		tb.Fatal(err)
	}
	if security == ImplicitTLS {
		nc = tls.Client(nc, &tls.Config{RootCAs: roots, ServerName: "localhost"})
	}
	tb.Cleanup(func() { nc.Close() })
	logIn(tb, nc)
	return nc
}

func loopback(tb testing.TB) net.Listener {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { ln.Close() })
	return ln
}

// logIn reads line by line up to the tagged answer; the greeting is the first of them.
func logIn(tb testing.TB, nc net.Conn) {
	if _, err := io.WriteString(nc, "a LOGIN riley firetruck\r\n"); err != nil {
		tb.Fatal(err)
	}
	var heard []byte
	for one := make([]byte, 1); !bytes.HasSuffix(heard, []byte("\r\n")) || !bytes.Contains(heard, []byte("\r\na ")); {
		if _, err := nc.Read(one); err != nil {
			tb.Fatalf("login: %v behind %q", err, heard)
		}
		heard = append(heard, one...)
	}
	if !bytes.Contains(heard, []byte("\r\na OK")) {
		tb.Fatalf("login: %q", heard)
	}
}

// gate starts imapgate in front of one backend.
func gate(tb testing.TB, address string, security TLSMode, server *tls.Config) string {
	table, err := routing.NewTable(routing.Config{
		Backends: []routing.Backend{{Name: "one"}},
		Routes:   []routing.Route{{Backend: "one"}},
	})
	if err != nil {
		tb.Fatal(err)
	}
	srv, err := NewServer(Options{
		Backends: map[string]*backend.Config{"one": {Name: "one", Address: address, TLS: backend.None}},
		Table:    table,
		Policy:   translate.DefaultPolicy(),
	})
	if err != nil {
		tb.Fatal(err)
	}
	ln := &Listener{Name: "imap", Listener: loopback(tb), TLS: security, TLSConfig: server, AllowPlaintextLogin: true}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(context.Background(), ln) }()
	tb.Cleanup(func() {
		now, cancel := context.WithCancel(context.Background())
		cancel()
		srv.Shutdown(now)
		if err := <-served; err != nil {
			tb.Errorf("serve: %v", err)
		}
	})
	return ln.Addr().String()
}

// copying starts a proxy that understands nothing: two times io.Copy, as the simplest proxies do it. Its
// ReadFrom is hidden, so that the kernel does not move the octets by itself: no proxy that reads what
// it carries can have that.
func copying(tb testing.TB, address string, security TLSMode, server *tls.Config) string {
	ln := loopback(tb)
	go func() {
		front, err := ln.Accept()
		if err != nil {
			return
		}
		if security == ImplicitTLS {
			front = tls.Server(front, server)
		}
		defer front.Close()
		back, err := net.Dial("tcp", address)
		if err != nil {
			return
		}
		go func() {
			defer back.Close()
			io.Copy(struct{ io.Writer }{back}, struct{ io.Reader }{front})
		}()
		io.Copy(struct{ io.Writer }{front}, struct{ io.Reader }{back})
	}()
	return ln.Addr().String()
}

// serveFixed starts a backend for one connection. It says data in answer to whatever is no login and no
// APPEND, and OK to everything.
func serveFixed(tb testing.TB, ln net.Listener, data []byte) {
	go func() {
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		f := &fixed{nc: nc, data: data, b: make([]byte, 128<<10)}
		f.out = append(f.out, "* OK "+fixedCaps+" ready\r\n"...)
		for f.serve() == nil {
		}
	}()
}

const fixedCaps = "[CAPABILITY IMAP4rev1 LITERAL+ SASL-IR AUTH=PLAIN UIDPLUS IDLE BINARY CHILDREN]"

// A fixed backend costs as little as one can, and allocates nothing.
type fixed struct {
	nc   net.Conn
	data []byte
	b    []byte // what was read: b[r:w] is not consumed
	r, w int
	out  []byte
	idle []byte // tag of an IDLE
}

// line returns the next line without its CRLF. What is to be said is said before it waits.
func (f *fixed) line() ([]byte, error) {
	for {
		if i := bytes.IndexByte(f.b[f.r:f.w], '\n'); i >= 0 {
			line := f.b[f.r : f.r+i-1]
			f.r += i + 1
			return line, nil
		}
		if err := f.read(); err != nil {
			return nil, err
		}
	}
}

func (f *fixed) read() error {
	f.w = copy(f.b, f.b[f.r:f.w])
	f.r = 0
	if len(f.out) > 0 {
		if _, err := f.nc.Write(f.out); err != nil {
			return err
		}
		f.out = f.out[:0]
	}
	n, err := f.nc.Read(f.b[f.w:])
	f.w += n
	if n > 0 {
		return nil
	}
	return err
}

// serve answers one command.
func (f *fixed) serve() error {
	line, err := f.line()
	if err != nil {
		return err
	}
	if string(line) == "DONE" {
		f.out = append(append(f.out, f.idle...), " OK done\r\n"...)
		return nil
	}
	tag, rest, _ := bytes.Cut(line, []byte(" "))
	tag = f.keep(tag)
	switch name, _, _ := bytes.Cut(bytes.TrimPrefix(rest, []byte("UID ")), []byte(" ")); string(name) {
	case "IDLE":
		f.out = append(append(f.out, "+ idling\r\n"...), f.data...)
		return nil
	case "LOGOUT":
		return io.EOF
	case "AUTHENTICATE", "LOGIN":
		f.out = append(append(f.out, tag...), " OK "+fixedCaps+" done\r\n"...)
		return nil
	case "APPEND":
		err = f.literal(rest)
	default:
		if len(f.data) > 0 {
			_, err = f.nc.Write(f.data)
		}
	}
	f.out = append(append(f.out, tag...), " OK done\r\n"...)
	return err
}

func (f *fixed) keep(tag []byte) []byte {
	f.idle = append(f.idle[:0], tag...)
	return f.idle
}

// literal reads past the literal that line announces, and the line's rest. It grants one that waits.
func (f *fixed) literal(line []byte) error {
	n, sync := 0, true
	for _, c := range line[bytes.LastIndexByte(line, '{')+1:] {
		if '0' <= c && c <= '9' {
			n = n*10 + int(c-'0')
		}
		sync = sync && c != '+'
	}
	if sync {
		f.out = append(f.out, "+ go on\r\n"...)
	}
	for n -= f.w - f.r; n > 0; n -= f.w {
		f.r = f.w
		if err := f.read(); err != nil {
			return err
		}
	}
	f.r = f.w + n
	_, err := f.line()
	return err
}
