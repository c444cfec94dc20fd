package proxy

import (
	"strings"
	"testing"
)

// A literal that is larger than LITERAL- allows is read past, whatever command it is of, and the client is
// told that it is too large (RFC 7888 section 5).
func TestLiteralMinus(t *testing.T) {
	const login = "=== login\nc: * OK [CAPABILITY IMAP4rev1 LITERAL- ID SASL-IR AUTH=PLAIN AUTH=LOGIN] imapgate ready\n" +
		"C: a LOGIN riley firetruck\nb: * OK [CAPABILITY IMAP4rev1] ready\nB: l1 LOGIN \"riley\" \"firetruck\"\n" +
		"b: l1 OK [CAPABILITY IMAP4rev1 UIDPLUS] in\nc: a OK [CAPABILITY IMAP4rev1 LITERAL- ID XGWEXTENSIONS MOVE UIDPLUS] Logged in\n\n"
	const tooBig = "BAD [TOOBIG] Literals of more than 4096 octets have to wait to be asked for"
	options := ` remove="LITERAL+" add="LITERAL-"`
	large, small := strings.Repeat("0123456789", 500), strings.Repeat("01234567", 512)
	for name, text := range map[string]string{
		"a message":                   "C: a APPEND INBOX {5000+}\nC+: " + large + "\nC+: b NOOP\nc: a " + tooBig + "\nB: p2 NOOP\nb: p2 OK done\nc: b OK done\n",
		"a message and more":          "C: a APPEND INBOX {5000+}\nC+: " + large + " {5000+}\nC+: " + large + "\nc: a " + tooBig + "\n",
		"an argument":                 "C: a SEARCH SUBJECT {5000+}\nC+: " + large + "\nc: a " + tooBig + "\n",
		"an argument of what is held": "C: a UID MOVE 1 {5000+}\nC+: " + large + "\nc: a " + tooBig + "\n",
		"behind what is held":         "C: a UID MOVE {1+}\nC+: 1 {5000+}\nC+: " + large + "\nc: a " + tooBig + "\n",
		"one that fits": "C: a APPEND INBOX {4096+}\nC+: " + small + "\nB: p1 APPEND INBOX {4096}\nb: + go on\nB: " + small +
			"\nb: p1 OK done\nc: a OK done\n",
	} {
		t.Run(name, func(t *testing.T) {
			playText(t, strings.Replace(login, "=== login", "=== login"+options, 1)+"=== "+name+" prefix=login"+options+"\n"+text)
		})
	}
}
