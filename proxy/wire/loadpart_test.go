package wire

import (
	"errors"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

// loadParts reads one response in parts and returns its tokens, and the largest part.
func loadParts(line string, size int) (tokens []Token, largest int, err error) {
	r := NewResponses(strings.NewReader(line+"\r\n* OK next\r\n"), NewWriter(io.Discard))
	var m Message
	if err := r.Next(&m); err != nil {
		return nil, 0, err
	}
	for more := true; more; {
		if more, err = r.LoadPart(&m, size); err != nil {
			return tokens, largest, err
		}
		largest = max(largest, len(m.Tokens))
		for _, t := range m.Tokens {
			tokens = append(tokens, t.Clone())
		}
	}
	if err := r.Skip(); err != nil {
		return nil, 0, err
	}
	if err := r.Next(&m); err != nil || m.Name != "OK" {
		return nil, 0, errors.Join(err, errors.New("the next response is not found"))
	}
	return tokens, largest, nil
}

// loadWhole is the same by Load.
func loadWhole(line string) ([]Token, error) {
	r := NewResponses(strings.NewReader(line+"\r\n"), NewWriter(io.Discard))
	var m Message
	if err := r.Next(&m); err != nil {
		return nil, err
	}
	if err := r.Load(&m); err != nil {
		return nil, err
	}
	return m.Clone().Tokens, nil
}

// FuzzLoadPart: the parts of a line together are the line.
func FuzzLoadPart(f *testing.F) {
	f.Add("1 2 3 4 5 6 7 8 9 (MODSEQ 5)", 2)
	f.Add(`1 2"a b" (3 (4 5) 6)7 8`, 1)
	f.Add("1 2 3 x", 3)
	f.Add("1 2 3 )", 1)
	f.Fuzz(func(t *testing.T, line string, size int) {
		if size < 1 || strings.ContainsAny(line, "\r\n{") {
			return
		}
		line = "* SEARCH " + line
		want, wantErr := loadWhole(line)
		got, _, err := loadParts(line, size)
		if (err == nil) != (wantErr == nil) {
			var fault *Fault
			if !errors.As(err, &fault) || fault != faultLength {
				t.Fatalf("%q: %v, want %v", line, err, wantErr)
			}
			return
		}
		if err != nil {
			return
		}
		if len(got) != len(want) {
			t.Fatalf("%q: %d tokens, want %d", line, len(got), len(want))
		}
		for i := range got {
			if got[i].Kind != want[i].Kind || string(got[i].Text) != string(want[i].Text) || got[i].Glued != want[i].Glued {
				t.Fatalf("%q: token %d is %v, want %v", line, i, got[i], want[i])
			}
		}
	})
}

// TestLoadPartBounds: however long a line is, a part is not.
func TestLoadPartBounds(t *testing.T) {
	var b strings.Builder
	b.WriteString("* SEARCH")
	for range 50_000 {
		b.WriteString(" " + strconv.Itoa(rand.IntN(1e6)))
	}
	tokens, largest, err := loadParts(b.String(), 1000)
	if err != nil || len(tokens) != 50_000 || largest != 1000 {
		t.Errorf("%d tokens, parts of %d, %v", len(tokens), largest, err)
	}
	for _, line := range []string{"* SEARCH (" + strings.Repeat("1 ", 20_000) + ")", "* SEARCH " + strings.Repeat("()", 20_000)} {
		if _, largest, err := loadParts(line, 1000); err == nil || largest > 1000 {
			t.Errorf("%.20q: parts of %d, %v", line, largest, err)
		}
	}
}
