package backend

import (
	"testing"

	"github.com/imapgate/imapgate/proxy/auth"
)

// Servers that show the line which they did not understand may cut it anywhere.
func TestRepeats(t *testing.T) {
	for _, tt := range []struct {
		said string
		want bool
	}{
		{`Authentication failed.`, false},
		{`unknown command: l1 LOGIN "riley" "fire`, true},
		{`unknown command: l1 LOGIN "riley" "fir...`, true},
		{`unknown command: l1 LOGIN "riley" "`, false},
		{`odd: retruck, really`, false},
		{`odd: FIRETRUCK`, true},
		{`odd: (iretruck`, true},
		{`unknown command: l1 AUTHENTICATE PLAIN AHJpbGV5AGZpcm`, true},
		{`user riley is unknown`, false},
	} {
		if got := repeats(tt.said, auth.Password("riley", "firetruck")); got != tt.want {
			t.Errorf("%q: %v", tt.said, got)
		}
	}
}
