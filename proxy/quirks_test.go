package proxy

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

const quirkLogin = "=== login caps=\"IMAP4rev1 UIDPLUS MOVE\"\nc: * OK [CAPABILITY IMAP4rev1 LITERAL+ ID SASL-IR AUTH=PLAIN AUTH=LOGIN] imapgate ready\n" +
	"C: a LOGIN riley firetruck\nb: * OK [CAPABILITY IMAP4rev1] ready\nB: l1 LOGIN \"riley\" \"firetruck\"\n" +
	"b: l1 OK [CAPABILITY ${caps}] in\nc: a OK [CAPABILITY IMAP4rev1 LITERAL+ ID XGWEXTENSIONS MOVE UIDPLUS] Logged in\n\n"

// evens is a set of count even UIDs from 1000, of five octets each.
func evens(from, count int) string {
	var b strings.Builder
	for i := range count {
		fmt.Fprintf(&b, ",%d", from+2*i)
	}
	return b.String()[1:]
}

// TestLongSets plays a server that takes lines of 1000 octets: each piece of a set fits, all of it is
// there once, and the client has one answer.
func TestLongSets(t *testing.T) {
	whole, first, second := evens(1000, 300), evens(1000, 192), evens(1384, 108)
	for name, text := range map[string]string{
		"FETCH": "C: a UID FETCH " + whole + " FLAGS\nB: p2 UID FETCH " + first + " FLAGS\n" +
			"b: * 1 FETCH (UID 1000 FLAGS ())\nc: * 1 FETCH (UID 1000 FLAGS ())\nb: p2 OK done\n" +
			"B: p3 UID FETCH " + second + " FLAGS\nb: * 2 FETCH (UID 1384 FLAGS ())\nc: * 2 FETCH (UID 1384 FLAGS ())\n" +
			"b: p3 OK all done\nc: a OK all done\n",
		"the second piece fails": "C: a UID FETCH " + whole + " FLAGS\nB: p2 UID FETCH " + first + " FLAGS\nb: p2 OK done\n" +
			"B: p3 UID FETCH " + second + " FLAGS\nb: p3 NO [UNAVAILABLE] later\nc: a NO [UNAVAILABLE] later\n",
		"the first piece fails": "C: a UID FETCH " + whole + " FLAGS\nB: p2 UID FETCH " + first + " FLAGS\nb: p2 BAD no\nc: a BAD no\n",
		"COPY": "C: a UID COPY " + whole + " S\nB: p2 UID COPY " + evens(1000, 193) + " S\nb: p2 OK [COPYUID 7 1000,1002 1:2] done\n" +
			"B: p3 UID COPY " + evens(1386, 107) + " S\nb: p3 OK [COPYUID 7 1384 3] done\nc: a OK [COPYUID 7 1000,1002,1384 1:3] done\n",
		"COPY into a mailbox that is made anew meanwhile": "C: a UID COPY " + whole + " S\nB: p2 UID COPY " + evens(1000, 193) + " S\nb: p2 OK [COPYUID 7 1000,1002 1:2] done\n" +
			"B: p3 UID COPY " + evens(1386, 107) + " S\nb: p3 OK [COPYUID 8 1384 3] done\nc: a NO [SERVERBUG] The mailbox was replaced while messages were copied to it\n",
		"COPY with a COPYUID that says nothing": "C: a UID COPY " + whole + " S\nB: p2 UID COPY " + evens(1000, 193) + " S\nb: p2 OK [COPYUID 7 1000,1002 1:2] done\n" +
			"B: p3 UID COPY " + evens(1386, 107) + " S\nb: p3 OK [COPYUID 7  ] done\nc: a OK done\n",
		"numbers that change": "C: a STORE " + whole + " FLAGS (x)\nB: p2 STORE " + evens(1000, 190) + " FLAGS (x)\nb: * 3 EXPUNGE\nc: * 3 EXPUNGE\nb: p2 OK done\n" +
			"c: a NO [EXPUNGEISSUED] Message numbers have changed, the rest was left alone\n",
		"UIDs do not change": "C: a UID STORE " + whole + " FLAGS (x)\nB: p2 UID STORE " + evens(1000, 190) + " FLAGS (x)\nb: * 3 EXPUNGE\nc: * 3 EXPUNGE\nb: p2 OK done\n" +
			"B: p3 UID STORE " + evens(1380, 110) + " FLAGS (x)\nb: p3 OK done\nc: a OK done\n",
		"SEARCH in numbers that change": "C: a SEARCH " + whole + "\nB: p2 SEARCH " + evens(1000, 194) + "\nb: * 3 EXPUNGE\nc: * 3 EXPUNGE\nb: p2 OK done\n" +
			"c: a NO [EXPUNGEISSUED] Message numbers have changed, the rest was left alone\n",
		"COPY of which a part fails": "C: a UID COPY " + whole + " S\nB: p2 UID COPY " + evens(1000, 193) + " S\nb: p2 OK [COPYUID 7 1000,1002 1:2] done\n" +
			"B: p3 UID COPY " + evens(1386, 107) + " S\nb: p3 NO [OVERQUOTA] full\nc: a NO [OVERQUOTA] full\n",
		"MOVE": "C: a UID MOVE " + whole + " S\nB: p2 UID MOVE " + evens(1000, 193) + " S\nb: * OK [COPYUID 7 1000 1] moved\nc: * OK [COPYUID 7 1000 1] moved\n" +
			"b: * 1 EXPUNGE\nc: * 1 EXPUNGE\nb: p2 OK done\n" +
			"B: p3 UID MOVE " + evens(1386, 107) + " S\nb: p3 OK done\nc: a OK done\n",
		"STORE that others forestall": "C: a UID STORE " + whole + " (UNCHANGEDSINCE 9) FLAGS (x)\n" +
			"B: p2 UID STORE " + evens(1000, 184) + " (UNCHANGEDSINCE 9) FLAGS (x)\nb: p2 NO [MODIFIED 1000] some\n" +
			"B: p3 UID STORE " + evens(1368, 116) + " (UNCHANGEDSINCE 9) FLAGS (x)\nb: p3 OK [MODIFIED 1400] some\nc: a NO [MODIFIED 1000,1400] some\n",
		"SEARCH": "C: a UID SEARCH UNSEEN UID " + whole + "\nB: p2 UID SEARCH UNSEEN UID " + evens(1000, 190) + "\nb: * SEARCH 1004 1002\nb: p2 OK done\n" +
			"B: p3 UID SEARCH UNSEEN UID " + evens(1380, 110) + "\nb: * SEARCH 1380\nb: p3 OK done\nc: * SEARCH 1002 1004 1380\nc: a OK done\n",
		"SEARCH that has to be whole": "C: a UID SEARCH NOT UID " + whole + "\nB: p1 UID SEARCH NOT UID " + whole + "\nb: * SEARCH 1\nc: * SEARCH 1\nb: p1 OK done\nc: a OK done\n",
		"SEARCH that fails": "C: a UID SEARCH UID " + whole + "\nB: p2 UID SEARCH UID " + evens(1000, 192) + "\nb: * SEARCH 1004\nb: p2 OK done\n" +
			"B: p3 UID SEARCH UID " + evens(1384, 108) + "\nb: p3 NO oops\nc: a NO oops\n",
		"a set that becomes short": "C: a UID FETCH " + strings.Repeat("5,", 600) + "5 FLAGS\nB: p2 UID FETCH 5 FLAGS\nb: p2 OK done\nc: a OK done\n",
		"what is no set":           "C: a UID FETCH " + strings.Repeat("x", 1200) + " FLAGS\nB: p1 UID FETCH " + strings.Repeat("x", 1200) + " FLAGS\nb: p1 BAD no set\nc: a BAD no set\n",
		"the backend goes between": "C: a UID EXPUNGE " + whole + "\nB: p2 UID EXPUNGE " + evens(1000, 193) + "\nb: * 1 EXPUNGE\nc: * 1 EXPUNGE\nb: p2 OK done\n" +
			"B: p3 UID EXPUNGE " + evens(1386, 107) + "\nb: <EOF>\nc: a NO [UNAVAILABLE] The command was interrupted, its result is not known\n" +
			"c: * BYE [UNAVAILABLE] The mail server ended the connection, try again later\nc: <EOF>\nB: <EOF>\n",
		"a short set": "C: a UID FETCH " + evens(1000, 100) + " FLAGS\nB: p1 UID FETCH " + evens(1000, 100) + " FLAGS\nb: p1 OK done\nc: a OK done\n",
	} {
		t.Run(name, func(t *testing.T) {
			playText(t, quirkLogin+"=== long prefix=login quirks=\"uw\" caps=\"IMAP4rev1 UIDPLUS MOVE\"\n"+text)
		})
	}
}

// TestLongLiterals plays a server that takes literals of 10,000 octets, and 20 of them.
func TestLongLiterals(t *testing.T) {
	long := strings.Repeat("x", 10_001)
	many := "C\"a SEARCH"
	for i := range 21 {
		many += fmt.Sprintf(" SUBJECT {2+}\\r\\n\\xc3\\x%x", 0xa0+i)
	}
	for name, text := range map[string]string{
		"long": "C: a SEARCH SUBJECT {10001+}\nC+: " + long + "\nc: a BAD The mail server does not take so long or so many literals\n",
		"many": many + "\\r\\n\"\nc: a BAD The mail server does not take so long or so many literals\n",
	} {
		t.Run(name, func(t *testing.T) {
			playText(t, quirkLogin+"=== long prefix=login quirks=\"uw\" caps=\"IMAP4rev1 UIDPLUS MOVE\"\n"+text)
		})
	}
}

// Some servers print no more than 80 octets of a tag.
func TestTagsAreShort(t *testing.T) {
	if tag := ownTag(nil, math.MaxUint64); len(tag) > 14 {
		t.Errorf("%s has %d octets", tag, len(tag))
	}
}

// Messages pass as they come, also where ENVELOPEs are put right: only short literals are held.
func TestLongLiteralsOfFetch(t *testing.T) {
	mail := strings.Repeat(`\(mail`, 1000)
	playText(t, quirkLogin+"=== long prefix=login quirks=\"groupwise\" caps=\"IMAP4rev1 UIDPLUS MOVE\"\nC: a FETCH 1 (ENVELOPE BODY.PEEK[])\n"+
		"B: p1 FETCH 1 (ENVELOPE BODY.PEEK[])\nb: * 1 FETCH (ENVELOPE (\"\\(\" {1}\nb+: x) BODY[] {6000}\nb+: "+mail+" FLAGS (\\Seen) X \"\\(\")\n"+
		"c: * 1 FETCH (ENVELOPE (\"(\" {1}\nc: x) BODY[] {6000}\nc: "+mail+" FLAGS (\\Seen) X \"\\(\")\nb: p1 OK done\nc: a OK done\n")
}
