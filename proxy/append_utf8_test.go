package proxy

import (
	"fmt"
	"strings"
	"testing"
)

// Headers and messages that do not fit into what is held of a message.
func TestAppendUTF8OfLargeMessages(t *testing.T) {
	const login = "=== login polyfills=\"enable utf8\"\nc: * OK [CAPABILITY IMAP4rev1 LITERAL+ ID SASL-IR AUTH=PLAIN AUTH=LOGIN] imapgate ready\n" +
		"C: a LOGIN riley firetruck\nb: * OK [CAPABILITY IMAP4rev1] ready\nB: l1 LOGIN \"riley\" \"firetruck\"\n" +
		"b: l1 OK [CAPABILITY IMAP4rev1] in\nc: a OK [CAPABILITY IMAP4rev1 LITERAL+ ID XGWEXTENSIONS ENABLE UTF8=ACCEPT] Logged in\n" +
		"C: e ENABLE UTF8=ACCEPT\nc: * ENABLED UTF8=ACCEPT\nc: e OK ENABLE completed\n\n"
	line := func(header string, n int) string { return header + strings.Repeat("x", n-len(header)) }
	octets := func(lines []string) int { return len(strings.Join(lines, "\r\n")) }
	said := func(lines []string) string { return strings.Join(lines, "\nC+: ") }
	heard := func(lines []string) string { return strings.Join(lines, "\nB: ") }
	const again = "C: b NOOP\nB: p%d NOOP\nb: p%d OK done\nc: b OK done\n"
	for name, tt := range map[string]struct {
		lines  []string
		answer string // empty where the message passes
	}{
		"a large body":              {[]string{"A: b", "", line("é", 100000), "é"}, ""},
		"the largest header":        {[]string{line("A: ", maxHeader-4), "", line("é", 5000)}, ""},
		"a header that is too long": {[]string{line("A: ", maxHeader), "", "é"}, "NO [TOOBIG] The message's header is longer than 65536 octets"},
		"a header alone":            {[]string{line("A: ", maxHeader)}, ""},
		"8-bit at its end":          {[]string{line("A: ", maxHeader-10), "B: é", ""}, "NO [CANNOT] The message's header is not ASCII, and the mail server takes no other"},
	} {
		t.Run(name, func(t *testing.T) {
			text := fmt.Sprintf("C: a APPEND x UTF8 (~{%d+}\nC+: %s)\n", octets(tt.lines), said(tt.lines))
			if tt.answer == "" {
				text += fmt.Sprintf("B: p2 APPEND x {%d}\nb: + go on\nB: %s\nb: p2 OK done\nc: a OK done\n", octets(tt.lines), heard(tt.lines))
			} else {
				text += "c: a " + tt.answer + "\n"
			}
			playText(t, login+"=== append prefix=login polyfills=\"enable utf8\"\n"+text+fmt.Sprintf(again, 3, 3))
		})
	}
}
