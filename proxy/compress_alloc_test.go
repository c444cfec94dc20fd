//go:build !race

package proxy

import (
	"io"
	"net"
	"testing"

	"github.com/imapgate/imapgate/proxy/wire"
)

// A session that is compressed allocates nothing either, once it has begun. The client is compressed in the
// same way, so neither does it.
func TestCompressedRelayDoesNotAllocate(t *testing.T) {
	busyOnly(t)
	mail := fetches(20, 500)
	nc := road(t, mail, "imapgate", NoTLS)
	if _, err := io.WriteString(nc, "a COMPRESS DEFLATE\r\n"); err != nil {
		t.Fatal(err)
	}
	hearLine(t, nc)
	client := wire.NewConn(nc)
	client.Deflate()
	request, hear := []byte("a FETCH 1:* BODY[]\r\n"), make([]byte, len(mail)+len(answerOK))
	round := func() {
		if _, err := client.Write(request); err != nil {
			t.Fatal(err)
		}
		if err := hearAll(client, hear, len(hear)); err != nil {
			t.Fatal(err)
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
