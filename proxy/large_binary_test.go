package proxy

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/imapgate/imapgate/proxy/imaptest"
	"github.com/imapgate/imapgate/proxy/translate"
)

// TestLargeBinary: a part of many megabytes is decoded on its way, and never held.
func TestLargeBinary(t *testing.T) {
	const lines = 1_200_000 // of 54 octets in 72 characters
	line := []byte(strings.Repeat("AGFi", 18) + "\r\n")
	decoded := bytes.Repeat([]byte("\x00ab"), 18)
	literal := func(p *imaptest.Peer) error {
		block := bytes.Repeat(line, 1000)
		for range lines / 1000 {
			if _, err := p.Conn.Write(block); err != nil {
				return err
			}
		}
		return nil
	}
	size := lines * len(line)
	var before, now runtime.MemStats
	most := uint64(0)
	synctest.Test(t, func(t *testing.T) {
		th := startWith(t, func(th *theatre) {
			th.opts.Policy.Polyfills = translate.Choice{Names: []string{"binary"}}
		})
		imaptest.Script{
			imaptest.Send("* OK [CAPABILITY IMAP4rev1] ready"),
			imaptest.Expect(`l1 LOGIN "riley" "firetruck"`),
			imaptest.Send("l1 OK [CAPABILITY IMAP4rev1] in"),
			imaptest.Expect("p2 FETCH 1 (BODY.PEEK[2.MIME])"),
			imaptest.SendRaw("* 1 FETCH (BODY[2.MIME] {37}\r\nContent-Transfer-Encoding: base64\r\n\r\n)\r\np2 OK done\r\n"),
			imaptest.Expect("p3 FETCH 1 (BODY.PEEK[2])"),
			imaptest.SendRaw(fmt.Sprintf("* 1 FETCH (BODY[2] {%d}\r\n", size)),
			literal,
			imaptest.SendRaw(")\r\np3 OK done\r\n"),
			imaptest.Expect("p4 FETCH 1 (BODY.PEEK[2])"),
			imaptest.SendRaw(fmt.Sprintf("* 1 FETCH (BODY[2] {%d}\r\n", size)),
			literal,
			imaptest.SendRaw(")\r\np4 OK done\r\n"),
			imaptest.Expect("p5 LOGOUT"),
		}.Start(t, th.backends)
		th.client(t,
			imaptest.Match(`^\* OK `),
			imaptest.Send("l LOGIN riley firetruck"),
			imaptest.Match("^l OK "),
			func(*imaptest.Peer) error { runtime.GC(); runtime.ReadMemStats(&before); return nil },
			imaptest.Send("a FETCH 1 BINARY.PEEK[2]"),
			imaptest.Expect(fmt.Sprintf("* 1 FETCH (BINARY[2] ~{%d}", lines*len(decoded))),
			func(p *imaptest.Peer) error {
				got := make([]byte, len(decoded))
				for i := range lines {
					if i%10_000 == 0 {
						runtime.ReadMemStats(&now)
						most = max(most, now.HeapAlloc)
					}
					if _, err := io.ReadFull(p.Reader, got); err != nil || !bytes.Equal(got, decoded) {
						return fmt.Errorf("line %d is %q, %w", i, got, err)
					}
				}
				return nil
			},
			imaptest.Expect(")"),
			imaptest.Expect("a OK done"),
		)
	})
	if most > 2*before.HeapAlloc+16<<20 { // the collector lets the heap double
		t.Errorf("the heap grew from %d to %d octets for a part of %d", before.HeapAlloc, most, size)
	}
}
