//go:build !race

package proxy

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// A session that is compressed allocates nothing either, once it has begun. The client's octets are made
// before: a stream of bursts that refer to nothing can be said again and again.
func TestCompressedRelayDoesNotAllocate(t *testing.T) {
	nc := road(t, fetches(20, 500), "imapgate", NoTLS)
	if _, err := io.WriteString(nc, "a COMPRESS DEFLATE\r\n"); err != nil {
		t.Fatal(err)
	}
	hearLine(t, nc)
	request := deflated("a FETCH 1:* BODY[]\r\n")
	first := compressedAnswer(t, nc, request)
	hear := make([]byte, 64<<10)
	round := func() {
		if _, err := nc.Write(request); err != nil {
			t.Fatal(err)
		}
		for n := 0; !bytes.HasSuffix(hear[:n], first[len(first)-20:]); { // how it is cut into bursts may differ,
			nc.SetReadDeadline(time.Now().Add(200 * time.Millisecond)) // and then what it ends in differs too
			m, err := nc.Read(hear[n:])
			if n += m; n > 0 && errors.Is(err, os.ErrDeadlineExceeded) {
				return
			}
			if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal(err)
			}
		}
	}
	for range 300 {
		round()
	}
	if n := testing.AllocsPerRun(1000, round); n != 0 {
		t.Errorf("%v allocations a round", n)
	}
}

func hearLine(t *testing.T, nc net.Conn) {
	t.Helper()
	for one := make([]byte, 1); one[0] != '\n'; {
		if _, err := nc.Read(one); err != nil {
			t.Fatal(err)
		}
	}
}

// compressedAnswer asks once and returns the answer as it came.
func compressedAnswer(t *testing.T, nc net.Conn, request []byte) []byte {
	t.Helper()
	if _, err := nc.Write(request); err != nil {
		t.Fatal(err)
	}
	var raw bytes.Buffer
	in := flate.NewReader(io.TeeReader(nc, &raw))
	var text []byte
	for one := make([]byte, 1); !bytes.HasSuffix(text, []byte(answerOK)); {
		if _, err := in.Read(one); err != nil {
			t.Fatal(err)
		}
		text = append(text, one[0])
	}
	return raw.Bytes()
}
