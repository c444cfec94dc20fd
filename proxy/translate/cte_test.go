package translate

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime/quotedprintable"
	"strings"
	"testing"
)

func decoded(encoding string, pieces ...string) (string, error) {
	var b bytes.Buffer
	d := newDecoder(encoding, &b)
	for _, p := range pieces {
		if _, err := d.Write([]byte(p)); err != nil {
			return b.String(), err
		}
	}
	err := d.Close()
	return b.String(), err
}

func TestDecoders(t *testing.T) {
	for _, c := range []struct {
		encoding, text, want string
		broken               bool
	}{
		{"base64", "", "", false},
		{"base64", "YWJj\r\nZGU=\r\n", "abcde", false},
		{"base64", "YW Jj ZA = =\r\n", "abcd", false},
		{"base64", "YWJjZA", "abcd", false},
		{"base64", "YWJjZGU", "abcde", false},
		{"base64", "Y", "", true},
		{"base64", "Y===", "", true},
		{"base64", "=", "", true},
		{"base64", "YWJj=", "", true},
		{"base64", "YWI=YWI=", "", true},
		{"base64", "YWI==", "", true},
		{"base64", "YWJj-- \r\nfooter", "", true},
		{"quoted-printable", "a=3Db=c3=A9", "a=b\xc3\xa9", false},
		{"quoted-printable", "a=\r\nb=\nc \t\r\n d =  \r\ne", "abc\r\n d e", false},
		{"quoted-printable", "end=", "end", false},
		{"quoted-printable", "a=4", "", true},
		{"quoted-printable", "a=G1", "", true},
		{"quoted-printable", "a=\rb", "", true},
		{"8bit", "=3D\xff", "=3D\xff", false},
	} {
		for cut := range len(c.text) + 1 {
			got, err := decoded(c.encoding, c.text[:cut], c.text[cut:])
			if (err != nil) != c.broken || !c.broken && got != c.want {
				t.Fatalf("%s %q cut at %d: %q, %v", c.encoding, c.text, cut, got, err)
			}
		}
	}
	if newDecoder("x-uuencode", io.Discard) != nil {
		t.Error("an unknown encoding has a decoder")
	}
}

func TestHeaderField(t *testing.T) {
	for header, want := range map[string]string{
		"": "", "Content-Transfer-Encoding: BASE64\r\n": "base64", "X: y\r\ncontent-transfer-encoding :\r\n Quoted-Printable (x)\r\n\r\n": "quoted-printable",
		"Content-Transfer-Encoding: base64; x=y": "base64", "Content-Transfer-Encoding:\r\nX: y\r\n": "", " folded nothing\r\n": "",
	} {
		if got := headerField([]byte(header), "Content-Transfer-Encoding"); got != want {
			t.Errorf("%q: %q", header, got)
		}
	}
}

// FuzzDecoders holds the decoders against the standard library's where that takes the text, and checks
// that the pieces in which text comes do not matter.
func FuzzDecoders(f *testing.F) {
	f.Add("YWJj\r\nZGU=", 3)
	f.Add("a=3D \r\n=\r\nb", 5)
	f.Fuzz(func(t *testing.T, text string, cut int) {
		cut = min(max(cut, 0), len(text))
		for _, encoding := range []string{"base64", "quoted-printable"} {
			whole, err := decoded(encoding, text)
			parts, err2 := decoded(encoding, text[:cut], text[cut:])
			if (err == nil) != (err2 == nil) || err == nil && whole != parts {
				t.Fatalf("%s %q at %d: %q, %v and %q, %v", encoding, text, cut, whole, err, parts, err2)
			}
			if len(whole) > len(text) {
				t.Fatalf("%q grew to %q", text, whole)
			}
		}
		got, err := decoded("base64", text)
		if want, strict := base64.StdEncoding.DecodeString(strings.NewReplacer("\r", "", "\n", "").Replace(text)); strict == nil && (err != nil || got != string(want)) {
			t.Fatalf("base64 %q: %q, %v", text, got, err)
		}
		var plain strings.Builder
		w := quotedprintable.NewWriter(&plain)
		w.Binary = true
		w.Write([]byte(text))
		w.Close()
		if got, err := decoded("quoted-printable", plain.String()); err != nil || got != text {
			t.Fatalf("quoted-printable %q: %q, %v", plain.String(), got, err)
		}
	})
}
