package wire

import (
	"bytes"
	"fmt"
	"io"
	"testing"
)

// An endless source repeats b, and ends at its end after rounds repetitions.
type endless struct {
	b      []byte
	at     int
	rounds int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.at == len(e.b) {
		if e.rounds--; e.rounds <= 0 {
			return 0, io.EOF
		}
		e.at = 0
	}
	n := copy(p, e.b[e.at:])
	e.at += n
	return n, nil
}

func benchmarkPass(b *testing.B, stream []byte) {
	b.Helper()
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	src := &endless{b: stream, rounds: b.N}
	r := NewResponses(src, NewWriter(io.Discard))
	var m Message
	b.ResetTimer()
	for {
		if err := r.Next(&m); err == io.EOF {
			return
		} else if err != nil {
			b.Fatal(err)
		}
		if m.Name == "ESEARCH" { // as a session asks whether anybody wants this name
			b.Fatal("nobody sent this")
		}
		if err := r.Pass(); err != nil {
			b.Fatal(err)
		}
	}
}

// denseFetch is n lines of about 300 octets, as a client gets that lists a folder.
func denseFetch(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, `* %d FETCH (UID %d FLAGS (\Seen \Answered) RFC822.SIZE 4512 INTERNALDATE "17-Jul-2024 02:44:25 -0700" `+
			`ENVELOPE ("Wed, 17 Jul 2024 02:23:25 -0700" "Re: minutes of the \"IMAP\" group" (("Terry Gray" NIL "gray" "cac.example.edu")) `+
			`NIL NIL (("John Klensin" NIL "klensin" "mit.example.edu")) NIL NIL NIL "<B27397-0100000@cac.example.edu>"))`+"\r\n", i+1, 345+i)
	}
	return b.Bytes()
}

func BenchmarkBulkLiterals(b *testing.B) {
	var s bytes.Buffer
	s.WriteString("* 1 FETCH (UID 7 BODY[] {5242880}\r\n")
	s.Write(bytes.Repeat([]byte("A line of a message, as long as lines of mail are wont to be........\r\n"), 80000)[:5242880])
	s.WriteString(")\r\n")
	benchmarkPass(b, s.Bytes())
}

func BenchmarkSmallLiterals(b *testing.B) {
	var s bytes.Buffer
	for i := range 256 {
		fmt.Fprintf(&s, "* %d FETCH (UID %d BODY[] {4096}\r\n", i+1, i+1)
		s.Write(bytes.Repeat([]byte("mail\r\n.."), 512))
		s.WriteString(")\r\n")
	}
	benchmarkPass(b, s.Bytes())
}

func BenchmarkTokenDenseFetch(b *testing.B) { benchmarkPass(b, denseFetch(4096)) }

func BenchmarkShortFetch(b *testing.B) {
	var s bytes.Buffer
	for i := range 8192 {
		fmt.Fprintf(&s, "* %d FETCH (UID %d FLAGS (\\Seen))\r\n", i+1, i+1)
	}
	benchmarkPass(b, s.Bytes())
}

func BenchmarkSmallCommands(b *testing.B) {
	stream := []byte("a1 NOOP\r\na2 UID FETCH 1:100 (UID FLAGS)\r\na3 SELECT \"Sent Items\"\r\n" +
		"a4 UID STORE 5 +FLAGS.SILENT (\\Seen)\r\na5 STATUS \"Work/2024\" (MESSAGES UNSEEN)\r\n")
	stream = bytes.Repeat(stream, 100)
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	c := NewCommands(&endless{b: stream, rounds: b.N})
	w := NewWriter(io.Discard)
	tag := []byte("p1")
	var m Message
	b.ResetTimer()
	for {
		if err := c.Next(&m); err == io.EOF {
			break
		} else if err != nil {
			b.Fatal(err)
		}
		w.Begin()
		w.Head(tag, m.Name)
		w.Tokens(m.Tokens)
		w.CRLF()
		if err := w.End(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*500), "ns/command")
}
