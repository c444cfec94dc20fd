package proxy

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/imapgate/imapgate/proxy/imaptest"
	"github.com/imapgate/imapgate/proxy/translate"
)

// many renders n lines or words, numbered from 1.
func many(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i+1)
	}
	return b.String()
}

// reads reads n lines that are all equal.
func reads(n int, text string) imaptest.Step {
	return func(p *imaptest.Peer) error {
		for i := range n {
			line, err := p.Reader.ReadString('\n')
			if err != nil || line != text+"\r\n" {
				return fmt.Errorf("line %d of %d: %q, %w", i+1, n, line, err)
			}
		}
		return nil
	}
}

// TestLargeSearch: a search in a mailbox of 100,000 messages of which half are found, saved by number, and
// then nearly all messages go one by one.
func TestLargeSearch(t *testing.T) {
	const n = 100_000
	synctest.Test(t, func(t *testing.T) {
		th := startWith(t, func(th *theatre) {
			th.opts.Policy.Polyfills = translate.Choice{Names: []string{"esearch", "searchres"}}
		})
		imaptest.Script{
			imaptest.Send("* OK [CAPABILITY IMAP4rev1] ready"),
			imaptest.Expect(`l1 LOGIN "riley" "firetruck"`),
			imaptest.Send("l1 OK [CAPABILITY IMAP4rev1] in"),
			imaptest.Expect("p1 SELECT INBOX"),
			imaptest.Send(fmt.Sprintf("* %d EXISTS", n), "p1 OK done"),
			imaptest.Expect("p3 SEARCH NOT SEEN"),
			imaptest.SendRaw("* SEARCH" + many(n/2, " %d0") + "\r\np3 OK done\r\n"),
			imaptest.Expect("p5 UID SEARCH ALL"),
			imaptest.SendRaw("* SEARCH" + many(n, " %d") + "\r\np5 OK done\r\n"),
			imaptest.Expect("p7 SEARCH UNSEEN"),
			imaptest.SendRaw("* SEARCH" + many(n/2, " %d") + "\r\n* SEARCH 99996 99998 100000\r\np7 OK done\r\n"),
			imaptest.Expect(fmt.Sprintf("p8 FETCH 1:%d (UID)", n)),
			imaptest.SendRaw(many(n, "* %[1]d FETCH (UID %[1]d7)\r\n") + "p8 OK done\r\n"),
			imaptest.Expect("p9 NOOP"),
			imaptest.SendRaw(strings.Repeat("* 1 EXPUNGE\r\n", n-5) + "p9 OK done\r\n"),
			imaptest.Expect("pa FETCH 1,3,5 FLAGS"),
			imaptest.Send("pa OK done"),
			imaptest.Expect("pb LOGOUT"),
		}.Start(t, th.backends)
		th.client(t,
			imaptest.Match(`^\* OK `),
			imaptest.Send("l LOGIN riley firetruck"),
			imaptest.Match("^l OK "),
			imaptest.Send("s SELECT INBOX"),
			imaptest.Expect(fmt.Sprintf("* %d EXISTS", n)),
			imaptest.Expect("s OK done"),
			imaptest.Send("a SEARCH RETURN (COUNT MAX) NOT SEEN"),
			imaptest.Expect(fmt.Sprintf(`* ESEARCH (TAG "a") MAX %d0 COUNT %d`, n/2, n/2)),
			imaptest.Expect("a OK done"),
			imaptest.Send("b UID SEARCH RETURN (ALL) ALL"),
			imaptest.Expect(fmt.Sprintf(`* ESEARCH (TAG "b") UID ALL 1:%d`, n)),
			imaptest.Expect("b OK done"),
			imaptest.Send("c SEARCH RETURN (SAVE COUNT) UNSEEN"),
			imaptest.Expect(fmt.Sprintf(`* ESEARCH (TAG "c") COUNT %d`, n/2+3)),
			imaptest.Expect("c OK done"),
			imaptest.Send("d NOOP"),
			reads(n-5, "* 1 EXPUNGE"),
			imaptest.Expect("d OK done"),
			imaptest.Send("e FETCH $ FLAGS"),
			imaptest.Expect("e OK done"),
		)
	})
}

// TestLongSearchLine: a response of a quarter of a million numbers is never held as tokens.
func TestLongSearchLine(t *testing.T) {
	const n = 250_000
	synctest.Test(t, func(t *testing.T) {
		th := startWith(t, func(th *theatre) {
			th.opts.Policy.Polyfills = translate.Choice{Names: []string{"esearch"}}
		})
		line := "* SEARCH" + many(n, " %d") + " (MODSEQ 7)\r\np2 OK done\r\n"
		var before, after runtime.MemStats
		imaptest.Script{
			imaptest.Send("* OK [CAPABILITY IMAP4rev1] ready"),
			imaptest.Expect(`l1 LOGIN "riley" "firetruck"`),
			imaptest.Send("l1 OK [CAPABILITY IMAP4rev1] in"),
			imaptest.Expect("p2 UID SEARCH ALL"),
			func(*imaptest.Peer) error { runtime.ReadMemStats(&before); return nil },
			imaptest.SendRaw(line),
			imaptest.Expect("p3 LOGOUT"),
		}.Start(t, th.backends)
		th.client(t,
			imaptest.Match(`^\* OK `),
			imaptest.Send("l LOGIN riley firetruck"),
			imaptest.Match("^l OK "),
			imaptest.Send("a UID SEARCH RETURN (COUNT) ALL"),
			imaptest.Expect(fmt.Sprintf(`* ESEARCH (TAG "a") UID COUNT %d MODSEQ 7`, n)),
			imaptest.Expect("a OK done"),
			func(*imaptest.Peer) error { runtime.ReadMemStats(&after); return nil },
		)
		// The line itself has 1.7 MB, in a buffer that was doubled up to it.
		if all := after.TotalAlloc - before.TotalAlloc; all > 8<<20 {
			t.Errorf("%d octets were allocated", all)
		}
	})
}
