package proxy

import (
	"fmt"
	"strings"
	"testing"
)

const listLogin = `=== login
c: * OK [CAPABILITY IMAP4rev1 LITERAL+ ID SASL-IR AUTH=PLAIN AUTH=LOGIN] imapgate ready
C: a LOGIN riley firetruck
b: * OK [CAPABILITY IMAP4rev1] ready
B: l1 LOGIN "riley" "firetruck"
b: l1 OK [CAPABILITY IMAP4rev1] in
c: a OK [CAPABILITY IMAP4rev1 LITERAL+ ID XGWEXTENSIONS] Logged in

`

// boxes are n lines of a listing, as one speaker says or hears them.
func boxes(speaker, attrs string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%s: * LIST (%s) \"/\" \"box %d\"\n", speaker, attrs, i)
		if speaker == "b" {
			speaker = "b+"
		}
	}
	return b.String()
}

// A listing that is larger than what can be held is refused, and the session goes on.
func TestListBeyondBounds(t *testing.T) {
	const n = 20_010
	playText(t, listLogin+
		"=== refused prefix=login polyfills=list-extended\nC: a LIST (SUBSCRIBED) \"\" *\nB: p2 LIST \"\" \"*\"\n"+
		boxes("b", "", n)+"b: p2 OK done\nc: a NO [LIMIT] Too many mailboxes for this form of LIST\n"+
		"C: b NOOP\nB: p3 NOOP\nb: p3 OK done\nc: b OK done\n")
}

// STATUS is asked for twenty mailboxes at once, and for no more than two thousand.
func TestListStatusWindows(t *testing.T) {
	const n = 2005
	var b strings.Builder
	b.WriteString(listLogin + "=== x prefix=login polyfills=\"list-extended list-status\"\nC: a LIST \"\" * RETURN (STATUS (MESSAGES))\nB: p2 LIST \"\" \"*\"\n")
	b.WriteString(boxes("b", `\HasNoChildren`, n) + "b: p2 OK done\n")
	for from := 0; from < n; from += 20 {
		to := min(from+20, n)
		var asked, answered, heard string
		for i := from; i < to; i++ {
			heard += fmt.Sprintf("c: * LIST (\\HasNoChildren) \"/\" \"box %d\"\n", i)
			if i >= 2000 {
				continue
			}
			tag := ownTag(nil, uint64(i+3))
			asked += fmt.Sprintf("B: %s STATUS \"box %d\" (MESSAGES)\n", tag, i)
			answered += fmt.Sprintf("b: * STATUS \"box %d\" (MESSAGES %d)\nb: %s OK done\n", i, i, tag)
			heard += fmt.Sprintf("c: * STATUS \"box %d\" (MESSAGES %d)\n", i, i)
		}
		b.WriteString(asked + answered + heard)
	}
	b.WriteString("c: a OK done\n")
	playText(t, b.String())
}
