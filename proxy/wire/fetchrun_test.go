package wire

import (
	"strings"
	"testing"
)

// What passes without a closer look is a FETCH response that is whole, and in no way odd.
func TestPlainFetch(t *testing.T) {
	for _, e := range []struct {
		say   string
		plain bool
	}{
		{"* 1 FETCH (FLAGS ())\r\n", true},
		{"* 999999999 FETCH (UID 3)\r\n", true},
		{"* 1 FETCH ()\r\n", true},
		{"* 1 FETCH (BODY[] {3}\r\nabc)\r\n", false},
		{"* 1 FETCH (BODY[] \"{3}\r\nabc)\r\n", false},
		{"* 1 FETCH (FLAGS ())\n", false},
		{"* 1 FETCH (FLAGS\r())\r\n", false},
		{"* 1 FETCH (FLAGS ())\r", false},
		{"* 1 FETCH (FLAGS ()", false},
		{"* 1 FETCH (\n", false},
		{"* 1 FETCH (", false},
		{"* 0 FETCH (FLAGS ())\r\n", false},
		{"* 01 FETCH (FLAGS ())\r\n", false},
		{"* 1234567890 FETCH (FLAGS ())\r\n", false},
		{"* 1 fetch (FLAGS ())\r\n", false},
		{"* 1 FETCHED (FLAGS ())\r\n", false},
		{"* 1 EXPUNGE\r\n* 2 FETCH ()\r\n", false},
		{"a 1 FETCH (FLAGS ())\r\n", false},
	} {
		for _, behind := range []string{"", "* 2 EXISTS\r\n"} {
			if !e.plain && !strings.HasSuffix(e.say, "\n") && behind != "" {
				continue // which would make another line of it
			}
			want := 0
			if e.plain {
				want = len(e.say)
			}
			if n := plainFetch([]byte(e.say + behind)); n != want {
				t.Errorf("%q: %d octets, want %d", e.say+behind, n, want)
			}
		}
	}
}
