package translate

import (
	"strings"
	"testing"

	"github.com/imapgate/imapgate/proxy/wire"
)

func xgwConversations() []conversation {
	return []conversation{
		{
			name: "XGWMOVE to MOVE", caps: "IMAP4rev1 UIDPLUS MOVE", uids: []uint32{301, 302, 305}, head: "UID XGWMOVE", set: "301,305",
			want: `
S: UID MOVE 301,305 "Archive"
C: * OK [COPYUID 77 301,305 501:502] Moved
C: * 1 EXPUNGE
C: * 2 EXPUNGE
C: a OK UID XGWMOVE completed`,
			source: []uint32{302}, copies: 2,
		},
		{
			name: "XGWMOVE by number to MOVE without UIDPLUS", caps: "IMAP4rev1 MOVE", uids: []uint32{301}, head: "XGWMOVE", set: "*",
			want:   "S: MOVE * \"Archive\"\nC: * 1 EXPUNGE\nC: a OK XGWMOVE completed",
			copies: 1,
		},
		{
			name: "XGWMOVE refused by MOVE", caps: "IMAP4rev1 MOVE", uids: []uint32{301}, head: "XGWMOVE", set: "1", to: "Nowhere",
			want:   "S: MOVE 1 \"Nowhere\"\nC: a NO [TRYCREATE] No such mailbox",
			source: []uint32{301},
		},
		{
			name: "XGWMOVE with UIDPLUS", caps: plusCaps, uids: []uint32{301}, head: "XGWMOVE", set: "1",
			want: `
S: FETCH 1 (UID FLAGS)
S: UID COPY 301 "Archive"
S: UID STORE 301 +FLAGS.SILENT (\Deleted)
C: * OK [COPYUID 77 301 501] Moved
S: UID EXPUNGE 301
C: * 1 EXPUNGE
C: a OK XGWMOVE completed`,
			copies: 1,
		},
		{
			name: "XGWMOVE without UIDPLUS", caps: "IMAP4rev1", uids: []uint32{301, 305}, head: "UID XGWMOVE", set: "301,305",
			before: func(f *fake) { f.flag(301, `\Seen`) },
			want: `
S: UID FETCH 301,305 (UID FLAGS)
S: UID COPY 301,305 "Archive"
S: UID STORE 301,305 +FLAGS (\Deleted)
C: * 1 FETCH (UID 301 FLAGS (\Seen \Deleted))
C: * 2 FETCH (UID 305 FLAGS (\Deleted))
C: a OK UID XGWMOVE completed (originals marked deleted)`,
			source: []uint32{301, 305}, marked: []uint32{301, 305}, copies: 2,
		},
		{
			name: "XGWMOVE without UIDPLUS, COPY refused", caps: "IMAP4rev1", uids: []uint32{301}, head: "UID XGWMOVE", set: "301",
			before: func(f *fake) { f.faults[2] = answerNO },
			want:   "S: UID FETCH 301 (UID FLAGS)\nS: UID COPY 301 \"Archive\"\nC: a NO [OVERQUOTA] no",
			source: []uint32{301},
		},
		{
			name: "XGWMOVE without UIDPLUS, STORE refused", caps: "IMAP4rev1", uids: []uint32{301}, head: "UID XGWMOVE", set: "301",
			before: func(f *fake) { f.faults[3] = answerBAD },
			want: `
S: UID FETCH 301 (UID FLAGS)
S: UID COPY 301 "Archive"
S: UID STORE 301 +FLAGS (\Deleted)
R: partial
C: a NO [SERVERBUG] copied, but the originals could not be marked`,
			source: []uint32{301}, copies: 1,
		},
	}
}

func TestXGWExtensions(t *testing.T) {
	f := newFake(t, "IMAP4rev1")
	if err := f.doMessage(wire.Command("XGWEXTENSIONS")); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(f.log, "\n"); got != "C: * XGWEXTENSIONS XGWMOVE\nC: a OK XGWEXTENSIONS completed" {
		t.Errorf("got:\n%s", got)
	}
	f = newFake(t, "IMAP4rev1")
	if err := f.doMessage(wire.Command("XGWEXTENSIONS", wire.Word("x"))); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(f.log, "\n"); got != "C: a BAD XGWEXTENSIONS takes no arguments" {
		t.Errorf("got:\n%s", got)
	}
}
