package proxy

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/imaptest"
	"github.com/imapgate/imapgate/proxy/translate"
)

// A message with very many parts has a BODYSTRUCTURE that nobody holds; whoever follows FETCH responses lets
// it pass, for otherwise its sender could keep its reader from the mailbox.
func TestLongFetchLine(t *testing.T) {
	structure := strings.Repeat(`("text" "plain" NIL NIL NIL "7bit" 1 1)`, 50_000)
	line := `* 1 FETCH (BODYSTRUCTURE (` + structure + ` "mixed"))`
	synctest.Test(t, func(t *testing.T) {
		th := startWith(t, func(th *theatre) {
			th.opts.Policy.Polyfills = translate.Choice{Auto: true}
			th.opts.Policy.Add = []imap.Cap{imap.CapIMAP4rev2}
		})
		imaptest.Script{
			imaptest.Send("* OK [CAPABILITY IMAP4rev1] ready"),
			imaptest.Expect(`l1 LOGIN "riley" "firetruck"`),
			imaptest.Send("l1 OK [CAPABILITY IMAP4rev1 UIDPLUS CHILDREN] in"),
			imaptest.Expect(`p3 LIST "" "INBOX"`),
			imaptest.Send("p3 OK done"),
			imaptest.Expect(`p4 SELECT INBOX`),
			imaptest.Send("* 1 EXISTS", "p4 OK done"),
			imaptest.Expect(`p5 FETCH 1 (UID)`),
			imaptest.Send("* 1 FETCH (UID 7)", "p5 OK done"),
			imaptest.Expect("p6 FETCH 1 BODYSTRUCTURE"),
			imaptest.SendRaw(line + "\r\n* 1 FETCH (FLAGS ())\r\np6 OK done\r\n"),
			imaptest.Expect("p8 FETCH 1 (BODYSTRUCTURE BODY.PEEK[])"),
			imaptest.SendRaw(line + "\r\n* 1 FETCH (BODY[] {2}\r\nab FLAGS ())\r\np8 OK done\r\n"),
			imaptest.Expect("p9 LOGOUT"),
		}.Start(t, th.backends)
		th.client(t,
			imaptest.Match(`^\* OK `),
			imaptest.Send("l LOGIN riley firetruck"),
			imaptest.Match("^l OK "),
			imaptest.Send("e ENABLE IMAP4rev2"),
			imaptest.Expect("* ENABLED IMAP4rev2"),
			imaptest.Expect("e OK ENABLE completed"),
			imaptest.Send("s SELECT INBOX"),
			imaptest.Expect("* 1 EXISTS"),
			imaptest.Expect("s OK done"),
			imaptest.Send("a FETCH 1 BODYSTRUCTURE"),
			imaptest.Expect(line),
			imaptest.Expect("* 1 FETCH (UID 7 FLAGS ())"),
			imaptest.Expect("a OK done"),
			imaptest.Send("b FETCH 1 (BODYSTRUCTURE RFC822.PEEK)"),
			imaptest.Expect(line),
			imaptest.Expect("* 1 FETCH (RFC822 {2}"),
			imaptest.Expect("ab FLAGS ())"),
			imaptest.Expect("b OK done"),
		)
	})
}
