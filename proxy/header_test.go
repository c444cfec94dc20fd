package proxy

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

const sigV2 = "\r\n\r\n\x00\r\nQUIT\n"

const (
	tcp4 = "\xc0\x00\x02\x01\x0a\x00\x00\x01\x30\x39\x00\x8f" // 192.0.2.1:12345 to 10.0.0.1:143
	tcp6 = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x30\x39\x00\x8f"
	authority = "\x02\x00\x10imap.example.org"
	secure    = "\x20\x00\x05\x01\x00\x00\x00\x00" // PP2_TYPE_SSL: the client came over TLS
)

// v2 is a header of version 2: command and family, and what follows.
func v2(command, family byte, rest string) string {
	return sigV2 + string([]byte{command, family, byte(len(rest) >> 8), byte(len(rest))}) + rest
}

// What follows a header is the client's, perhaps TLS: not one octet of it may be missing.
func TestHeaderIsReadToItsEnd(t *testing.T) {
	long := "PROXY UNKNOWN " + strings.Repeat("f", 107-16) + "\r\n"
	for _, tt := range []struct{ name, header, source string }{
		{"version 1, IPv4", "PROXY TCP4 192.0.2.1 10.0.0.1 12345 143\r\n", "192.0.2.1:12345"},
		{"version 1, IPv6", "PROXY TCP6 2001:db8::1 2001:db8::2 12345 143\r\n", "[2001:db8::1]:12345"},
		{"version 1, IPv4 in IPv6", "PROXY TCP6 ::ffff:192.0.2.1 ::1 12345 143\r\n", "192.0.2.1:12345"},
		{"version 1, unknown", "PROXY UNKNOWN\r\n", "local"},
		{"version 1, 107 octets", long, "local"},
		{"version 2, IPv4", v2(0x21, 0x11, tcp4), "192.0.2.1:12345"},
		{"version 2, IPv6", v2(0x21, 0x21, tcp6), "[2001:db8::1]:12345"},
		{"version 2, more behind it", v2(0x21, 0x11, tcp4+authority+secure), "192.0.2.1:12345"},
		{"version 2, 4096 octets", v2(0x21, 0x11, tcp4+"\x04\x0f\xf1"+strings.Repeat("n", 4096-15)), "192.0.2.1:12345"},
		{"version 2, Unix", v2(0x21, 0x31, strings.Repeat("\x00", 216)), "unix"},
		{"version 2, local", v2(0x20, 0x00, ""), "local"},
		{"version 2, local with addresses", v2(0x20, 0x11, tcp4), "local"},
		{"version 2, local with the beginning of addresses", v2(0x20, 0x11, "xyz"), "local"},
		{"version 2, for somebody unknown", v2(0x21, 0x00, ""), "local"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := strings.NewReader(tt.header + "behind")
			h, err := readHeader(iotest.OneByteReader(r))
			if err != nil {
				t.Fatal(err)
			}
			if rest, _ := io.ReadAll(r); string(rest) != "behind" {
				t.Errorf("left %q", rest)
			}
			source := "local"
			if !h.Command.IsLocal() {
				source = (&client{addr: addrPort(h.SourceAddr)}).from()
			}
			if source != tt.source {
				t.Errorf("source %s, want %s", source, tt.source)
			}
		})
	}
}

func TestHeaderThatIsNone(t *testing.T) {
	for _, tt := range []struct{ name, header string }{
		{"a command", "a1 LOGIN riley firetruck\r\n"},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00"},
		{"no CR", "PROXY TCP4 192.0.2.1 10.0.0.1 12345 143\n"},
		{"no such family", "PROXY UDP4 192.0.2.1 10.0.0.1 12345 143\r\n"},
		{"no address", "PROXY TCP4 192.0.2 10.0.0.1 12345 143\r\n"},
		{"a zone", "PROXY TCP6 fe80::1%eth0 fe80::2 12345 143\r\n"},
		{"no such port", "PROXY TCP4 192.0.2.1 10.0.0.1 65536 143\r\n"},
		{"108 octets", "PROXY UNKNOWN " + strings.Repeat("f", 108-16) + "\r\n"},
		{"version 3", v2(0x31, 0x11, tcp4)},
		{"no such command", v2(0x22, 0x11, tcp4)},
		{"no such address family", v2(0x21, 0x41, tcp4)},
		{"datagrams", v2(0x21, 0x12, tcp4)},
		{"half an address", v2(0x21, 0x11, tcp4[:11])},
		{"4097 octets", v2(0x21, 0x11, tcp4+strings.Repeat("n", 4097-12))},
	} {
		if h, err := readHeader(strings.NewReader(tt.header)); err == nil {
			t.Errorf("%s: taken as %+v", tt.name, h)
		}
	}
	whole := v2(0x21, 0x11, tcp4)
	for n := range len(whole) {
		want := io.ErrUnexpectedEOF
		if n == 0 {
			want = io.EOF
		}
		if _, err := readHeader(strings.NewReader(whole[:n])); !errors.Is(err, want) {
			t.Errorf("cut behind %d octets: %v", n, err)
		}
	}
}

// FuzzHeader holds that what comes in pieces is what comes at once, that a header is bounded, and that
// what was taken names a client.
func FuzzHeader(f *testing.F) {
	f.Add([]byte("PROXY TCP4 192.0.2.1 10.0.0.1 12345 143\r\nx"))
	f.Add([]byte("PROXY UNKNOWN\r\n"))
	f.Add([]byte(v2(0x21, 0x11, tcp4+authority+secure) + "x"))
	f.Add([]byte(v2(0x21, 0x31, strings.Repeat("\x00", 216))))
	f.Add([]byte(v2(0x20, 0x00, "")))
	f.Add([]byte(v2(0x21, 0x11, tcp4+strings.Repeat("n", 5000))))
	f.Fuzz(func(t *testing.T, b []byte) {
		once, pieces := bytes.NewReader(b), bytes.NewReader(b)
		h, err := readHeader(once)
		other, perr := readHeader(iotest.OneByteReader(pieces))
		if (err == nil) != (perr == nil) || once.Len() != pieces.Len() {
			t.Fatalf("at once %v and %d left, in pieces %v and %d left", err, once.Len(), perr, pieces.Len())
		}
		if read := len(b) - once.Len(); read > 16+maxHeaderV2 {
			t.Fatalf("%d octets read", read)
		}
		if err != nil || h.Command.IsLocal() {
			return
		}
		if h.SourceAddr == nil || h.DestinationAddr == nil || !h.EqualTo(other) {
			t.Fatalf("%+v and %+v", h, other)
		}
	})
}
