package wire

import (
	"bytes"
	"crypto/tls"
	"io"
	"strings"
	"testing"
)

// TestResponsesFlood wants a large buffer while much comes, and none behind a tagged answer or when
// little comes: a session that waits must not hold it.
func TestResponsesFlood(t *testing.T) {
	many := strings.Repeat("* 12 FETCH (UID 345 FLAGS (\\Seen))\r\n", 20000)
	for name, tt := range map[string]struct {
		stream string
		size   func() int
		large  bool
	}{
		"much, then an answer":    {many + "p1 OK done\r\n", whole, true},
		"much, then little":       {many + "* 1 EXISTS\r\n", ending(len(many)), true},
		"much, but little a time": {many + "p1 OK done\r\n", func() int { return 1448 }, false},
	} {
		var out bytes.Buffer
		r := NewResponses(&peer{data: []byte(tt.stream), size: tt.size}, NewWriter(&out))
		var m Message
		large := false
		for r.Next(&m) == nil {
			if err := r.Pass(); err != nil {
				t.Fatal(name, err)
			}
			large = large || len(r.b) == largeBuffer
		}
		if large != tt.large {
			t.Errorf("%s: large buffer: %v", name, large)
		}
		if len(r.b) > smallBuffer {
			t.Errorf("%s: waits with a buffer of %d", name, len(r.b))
		}
		if out.String() != tt.stream {
			t.Errorf("%s: passed %d octets of %d", name, out.Len(), len(tt.stream))
		}
	}
}

// ending gives all up to n octets as fast as it is read, and the rest by itself.
func ending(n int) func() int {
	return func() int {
		size := min(n, largeBuffer/2)
		n -= size
		return max(size, 1448)
	}
}

// TestConnReadsAhead reads with little room and with much in turn: what was read ahead must not be lost
// when its buffer is exchanged.
func TestConnReadsAhead(t *testing.T) {
	c, p, _ := tlsPair(t, tls.VersionTLS13)
	want := bytes.Repeat([]byte("0123456789 abcdefghijklmnopqrstuvwxyz\r\n"), 50000)
	go func() {
		p.Write(want)
		p.CloseWrite()
	}()
	var got []byte
	b := make([]byte, largeBuffer)
	largest := 0
	for i := 0; ; i++ {
		n, err := c.Read(b[:[]int{100, largeBuffer, largeBuffer, 5000}[i%4]])
		got = append(got, b[:n]...)
		largest = max(largest, len(c.rec.b))
		if err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(got, want) || c.rec.b != nil {
		t.Errorf("read %d octets of %d, a buffer is held: %v", len(got), len(want), c.rec.b != nil)
	}
	if largest != largeBuffer {
		t.Errorf("read ahead into %d octets only", largest)
	}
}
