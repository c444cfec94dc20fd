package translate

import (
	"bytes"
	"errors"
	"io"
	"strings"
)

// errCTE is the error of a decoder: the text is not what its Content-Transfer-Encoding says.
var errCTE = errors.New("the message part is not encoded as its header says")

// A decoder undoes a Content-Transfer-Encoding (RFC 2045 section 6) while the text passes. Close says
// whether the end was right.
type decoder interface {
	io.WriteCloser
}

// newDecoder returns what decodes to w; nil for an encoding that is unknown. Text without encoding is
// its own decoding.
func newDecoder(encoding string, w io.Writer) decoder {
	switch {
	case encoding == "base64":
		return &base64Decoder{w: w}
	case encoding == "quoted-printable":
		return &quotedDecoder{w: w}
	case isPlain(encoding):
		return identity{w}
	}
	return nil
}

// isPlain reports an encoding that is none.
func isPlain(encoding string) bool {
	switch encoding {
	case "", "7bit", "8bit", "binary":
		return true
	}
	return false
}

type identity struct{ io.Writer }

func (identity) Close() error { return nil }

// A base64Decoder decodes base64 with line breaks and blanks anywhere (RFC 2045 section 6.8). Anything
// else that does not belong is an error.
type base64Decoder struct {
	w     io.Writer
	group [4]byte
	n     int
	pads  int // "=" seen: they end the text
	out   []byte
}

func (d *base64Decoder) Write(p []byte) (int, error) {
	d.out = d.out[:0]
	for _, c := range p {
		v := base64Values[c]
		switch {
		case v == base64Blank:
		case v == base64Odd || d.pads > 0 && v != base64Pad || v == base64Pad && d.n+d.pads < 2 || d.n+d.pads > 3:
			return 0, errCTE
		default:
			d.add(v)
		}
	}
	if len(d.out) > 0 {
		if _, err := d.w.Write(d.out); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// add takes one character. Padding ends the text: "xx==" or "xxx=".
func (d *base64Decoder) add(v byte) {
	if v == base64Pad {
		d.pads++
		return
	}
	d.group[d.n] = v
	if d.n++; d.n < 4 {
		return
	}
	g := d.group
	d.out = append(d.out, g[0]<<2|g[1]>>4, g[1]<<4|g[2]>>2, g[2]<<6|g[3])
	d.n = 0
}

// Close decodes what is left of the last group.
func (d *base64Decoder) Close() error {
	g := d.group
	switch d.n {
	case 0:
		return nil
	case 2:
		_, err := d.w.Write([]byte{g[0]<<2 | g[1]>>4})
		return err
	case 3:
		_, err := d.w.Write([]byte{g[0]<<2 | g[1]>>4, g[1]<<4 | g[2]>>2})
		return err
	}
	return errCTE
}

const (
	base64Pad   = 64
	base64Blank = 65
	base64Odd   = 66
)

var base64Values = func() (t [256]byte) {
	for i := range t {
		t[i] = base64Odd
	}
	for i, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") {
		t[c] = byte(i)
	}
	t['='] = base64Pad
	for _, c := range []byte(" \t\r\n") {
		t[c] = base64Blank
	}
	return t
}()

// maxBlanks is how many blanks are held that may turn out to end a line.
const maxBlanks = 998

// A quotedDecoder decodes quoted-printable (RFC 2045 section 6.7).
type quotedDecoder struct {
	w      io.Writer
	escape []byte // "=", "=4", "=\r": an escape that is not complete
	blanks []byte // that go if the line ends here
	out    []byte
}

func (d *quotedDecoder) Write(p []byte) (int, error) {
	d.out = d.out[:0]
	for _, c := range p {
		if err := d.take(c); err != nil {
			return 0, err
		}
	}
	if _, err := d.w.Write(d.out); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (d *quotedDecoder) take(c byte) error {
	switch {
	case len(d.escape) > 0:
		return d.escaped(c)
	case (c == ' ' || c == '\t') && len(d.blanks) < maxBlanks:
		d.blanks = append(d.blanks, c)
		return nil
	case c != '\r' && c != '\n':
		d.out = append(d.out, d.blanks...)
	}
	d.blanks = d.blanks[:0]
	if c == '=' {
		d.escape = append(d.escape, c)
		return nil
	}
	d.out = append(d.out, c)
	return nil
}

// escaped takes what follows "=": two hexadecimal digits, or the end of the line, with blanks before it.
func (d *quotedDecoder) escaped(c byte) error {
	if len(d.escape) == 1 {
		switch {
		case c == ' ' || c == '\t':
			return nil
		case c == '\n':
			d.escape = d.escape[:0]
			return nil
		}
		d.escape = append(d.escape, c)
		if c != '\r' && !isHex(c) {
			return errCTE
		}
		return nil
	}
	first := d.escape[1]
	d.escape = d.escape[:0]
	switch {
	case first == '\r' && c == '\n':
		return nil
	case first == '\r' || !isHex(c):
		return errCTE
	}
	d.out = append(d.out, hexValue(first)<<4|hexValue(c))
	return nil
}

// Close accepts a soft line break at the very end.
func (d *quotedDecoder) Close() error {
	if len(d.escape) > 1 && d.escape[1] != '\r' {
		return errCTE
	}
	return nil
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'F' || 'a' <= c && c <= 'f'
}

func hexValue(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}

// headerField returns the value of a header field, unfolded, in lower case and without what follows a
// semicolon or a comment; empty where there is none.
func headerField(header []byte, name string) string {
	var value []byte
	found := false
	for line := range bytes.Lines(header) {
		text := bytes.TrimRight(line, "\r\n")
		switch {
		case found && len(text) > 0 && (text[0] == ' ' || text[0] == '\t'):
			value = append(value, text...)
		case found:
			return fieldWord(value)
		default:
			key, rest, ok := bytes.Cut(text, []byte(":"))
			if found = ok && strings.EqualFold(string(bytes.TrimSpace(key)), name); found {
				value = append(value, rest...)
			}
		}
	}
	return fieldWord(value)
}

func fieldWord(value []byte) string {
	text := strings.ToLower(strings.TrimSpace(string(value)))
	if i := strings.IndexAny(text, ";( \t"); i >= 0 {
		text = text[:i]
	}
	return text
}
