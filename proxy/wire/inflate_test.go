package wire

import (
	"bytes"
	"compress/flate"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// unpackAll decodes stream, of which at most step octets are there at a time, into room octets at a time.
func unpackAll(stream []byte, step, room int) ([]byte, error) {
	z := new(inflater)
	var all []byte
	p := make([]byte, room)
	for {
		n, err := z.inflate(p)
		all = append(all, p[:n]...)
		switch {
		case errors.Is(err, errEnded):
			return all, io.EOF
		case errors.Is(err, errMore) && len(z.in) > 0:
			return all, errors.New("it wants more and has not taken all")
		case errors.Is(err, errMore) && len(stream) == 0:
			return all, io.ErrUnexpectedEOF
		case errors.Is(err, errMore):
			m := min(step, len(stream))
			z.in, stream = stream[:m], stream[m:]
		case err != nil:
			if _, again := z.inflate(p); !errors.Is(again, err) {
				return all, errors.New("an error that goes away")
			}
			return all, err
		}
	}
}

// packAll compresses text at a level, with a flush behind each of its pieces.
func packAll(t testing.TB, level int, pieces ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, level)
	if err != nil {
		t.Fatal(err)
	}
	for _, piece := range pieces {
		io.WriteString(w, piece)
		w.Flush()
	}
	return b.Bytes()
}

// texts are what compresses well, badly, and not at all.
func texts() map[string]string {
	r := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 100<<10)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	words := strings.Fields("the quick brown fox * FETCH FLAGS (\\Seen) BODY[HEADER] {310} OK done")
	var prose strings.Builder
	for prose.Len() < 200<<10 {
		prose.WriteString(words[r.IntN(len(words))])
		prose.WriteByte(' ')
	}
	return map[string]string{
		"nothing": "", "one": "a", "a command": "a1 NOOP\r\n", "noise": string(noise), "prose": prose.String(),
		"zeros": strings.Repeat("\x00", 300<<10), "a period": strings.Repeat("abcdefg", 50<<10),
		"far matches": string(noise[:windowSize-1]) + string(noise[:windowSize-1]),
	}
}

// All that compress/flate makes is decoded, however it is cut.
func TestInflate(t *testing.T) {
	for name, text := range texts() {
		for level := flate.HuffmanOnly; level <= flate.BestCompression; level++ {
			half := len(text) / 2
			stream := packAll(t, level, text[:half], text[half:])
			for _, cut := range [][2]int{{1 << 20, 1 << 20}, {1, 7}, {13, 1}, {4096, 16384}} {
				got, err := unpackAll(stream, cut[0], cut[1])
				if string(got) != text || !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("%s, level %d, cut %v: %d octets of %d, %v", name, level, cut, len(got), len(text), err)
				}
			}
		}
	}
}

// zlib's Z_PARTIAL_FLUSH ends in the middle of an octet; everything before it is decoded nevertheless.
func TestInflatePartialFlush(t *testing.T) {
	z := new(inflater)
	p := make([]byte, 1000)
	for _, one := range []struct{ stream, text string }{
		{"4a540876f571750e51f0f473f28fe0e50208", "a SELECT INBOX\r\n"},
		{"a024053f7fff005e2e8000", "b NOOP\r\n"},
		{"4a46130708", "c SELECT INBOX\r\n"},
	} {
		var err error
		if z.in, err = hex.DecodeString(one.stream); err != nil {
			t.Fatal(err)
		}
		n, err := z.inflate(p)
		if string(p[:n]) != one.text || err != nil {
			t.Errorf("%q, %v, want %q", p[:n], err, one.text)
		}
	}
}

// The last block ends the stream.
func TestInflateEnd(t *testing.T) {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(w, "z LOGOUT\r\n")
	w.Close()
	got, err := unpackAll(append(b.Bytes(), "more"...), 1, 100)
	if string(got) != "z LOGOUT\r\n" || !errors.Is(err, io.EOF) {
		t.Errorf("%q, %v", got, err)
	}
}

func TestInflateHostile(t *testing.T) {
	for name, stream := range map[string]string{
		"a block of no kind":              "\x06",
		"the same as the last block":      "\x07",
		"a stored size that differs":      "\x00\x05\x00\x00\x00",
		"a match before the beginning":    "\x02\x04",             // fixed: length 3, distance 1
		"text":                            "b NOOP\r\nc NOOP\r\n", // perhaps garbage, never a hang
		"too many codes":                  "\xfc\xff\xff\xff",
		"code lengths that are too many":  "\x04\x00\xfe\xff\xff\xff\xff\xff\xff\xff",
		"nothing but ones":                strings.Repeat("\xff", 100),
		"a repeated length without first": "\x04\xe0\x81\x08\x00\x00\x00\x00\x20\x07\xeb\x3f\xae\xff\xff",
	} {
		got, err := unpackAll([]byte(stream), 1, 10)
		_, want := io.ReadAll(flate.NewReader(strings.NewReader(stream)))
		var corrupt flate.CorruptInputError
		if errors.As(want, &corrupt) != errors.Is(err, ErrDeflate) {
			t.Errorf("%s: %q, %v; compress/flate says %v", name, got, err, want)
		}
	}
}

// A stream that grows a thousandfold is let through as far as one message of zeros may need, and then ends.
func TestInflateBomb(t *testing.T) {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	for range 100 {
		w.Write(zeros)
	}
	w.Flush()
	z, p, total := &inflater{in: b.Bytes()}, make([]byte, 16<<10), 0
	for err = nil; err == nil; {
		var n int
		n, err = z.inflate(p)
		total += n
	}
	if !errors.Is(err, ErrBomb) || total < bombFree || total > bombFree+bombRatio*b.Len()+len(p) {
		t.Errorf("%d octets, of %d compressed, %v", total, b.Len(), err)
	}
	if _, err := z.inflate(p); !errors.Is(err, ErrBomb) {
		t.Errorf("it goes on: %v", err)
	}
}

// FuzzInflate: whatever comes, in whatever pieces, is decoded to what compress/flate makes of it, and is
// wrong where that says so, at the latest with the next 15 bits. Of a stream that is cut, compress/flate may
// keep back the last match.
func FuzzInflate(f *testing.F) {
	for _, text := range []string{"", "a1 NOOP\r\n", strings.Repeat("abc", 1000)} {
		for _, level := range []int{flate.HuffmanOnly, flate.NoCompression, flate.BestSpeed, flate.BestCompression} {
			f.Add(packAll(f, level, text, text), uint8(1), uint8(3))
		}
	}
	f.Add([]byte("b NOOP\r\n"), uint8(2), uint8(2))
	f.Add([]byte{4, 0, 0xfe, 0xff, 0xff}, uint8(1), uint8(1))
	f.Fuzz(func(t *testing.T, stream []byte, step, room uint8) {
		if len(stream) > 10<<10 { // no bombs: what is compared is held
			return
		}
		want, wantErr := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(stream)), bombFree))
		got, err := unpackAll(stream, 1+int(step), 1+int(room))
		if !bytes.HasPrefix(got, want) || wantErr == nil && len(got) > len(want) || len(got) > len(want)+2*258 {
			t.Fatalf("%d octets, compress/flate has %d", len(got), len(want))
		}
		var corrupt flate.CorruptInputError
		switch {
		case wantErr == nil && !errors.Is(err, io.EOF),
			errors.Is(wantErr, io.ErrUnexpectedEOF) && !errors.Is(err, io.ErrUnexpectedEOF),
			errors.As(wantErr, &corrupt) && !errors.Is(err, ErrDeflate) && !errors.Is(err, io.ErrUnexpectedEOF):
			t.Fatalf("%v, compress/flate says %v", err, wantErr)
		}
	})
}
