package translate

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/wire"
)

var update = flag.Bool("update", false, "rewrite testdata")

// golden compares text with a file under testdata.
func golden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != text {
		t.Errorf("%s differs; see the change with go test -update and git diff", path)
	}
}

func TestCapabilityTable(t *testing.T) {
	var b strings.Builder
	seen := map[string]bool{}
	for _, row := range Table() {
		upper := strings.ToUpper(row.Name)
		if seen[upper] || row.Reason == "" || row.Fate == "" {
			t.Errorf("row %+v is twice there or incomplete", row)
		}
		seen[upper] = true
		fmt.Fprintf(&b, "%-26s %-12s %s\n", row.Name, row.Fate, row.Reason)
	}
	golden(t, "capabilities.txt", b.String())
}

func TestCommandTable(t *testing.T) {
	var b strings.Builder
	names := map[string]bool{}
	for _, c := range commandTable() {
		if names[c.Name] || c.States == 0 || c.Class == 0 || c.Name != strings.ToUpper(c.Name) {
			t.Errorf("row %+v is twice there or incomplete", c)
		}
		names[c.Name] = true
		fmt.Fprintf(&b, "%-17s %s %s%s\n", c.Name, states(c.States), [...]string{"", "read", "again", "once"}[c.Class], traits(c))
	}
	golden(t, "commands.txt", b.String())
}

func states(s State) string {
	text := []byte("---")
	for i, mark := range []byte("nas") {
		if s&(1<<i) != 0 {
			text[i] = mark
		}
	}
	return string(text)
}

func traits(c Command) string {
	var b strings.Builder
	for _, trait := range []struct {
		on   bool
		word string
	}{
		{c.Numbers, "numbers"}, {c.Expunge, "expunge"}, {c.Mailbox, "mailbox"}, {c.Destructive, "destructive"},
		{c.Translated, "translated"}, {c.Data != 0, fmt.Sprintf("data=%d", c.Data)},
		{c.Tags == TagArguments, "tag-arguments"}, {c.Tags == TagRegistered, "tag-registered"},
	} {
		if trait.on {
			b.WriteString(" " + trait.word)
		}
	}
	return b.String()
}

// TestExpunge holds the table against RFC 9051 section 7.5.1 and RFC 5256 section 3.
func TestExpunge(t *testing.T) {
	forbidden := []string{"FETCH", "PARTIAL", "STORE", "SEARCH", "SORT", "THREAD", "STARTTLS", "AUTHENTICATE", "LOGIN"}
	for name, c := range commandsByName {
		if c.Expunge == slices.Contains(forbidden, name) {
			t.Errorf("%s: Expunge is %v", name, c.Expunge)
		}
	}
}

func TestLookup(t *testing.T) {
	if c, ok := Lookup("UID FETCH"); !ok || c.Label != "uid_fetch" || Label("UID FETCH") != "uid_fetch" {
		t.Errorf("UID FETCH: %+v", c)
	}
	for _, name := range []string{"UNAUTHENTICATE", "GENURLAUTH", "XFER", "uid fetch", "UID", "UID SELECT", ""} {
		if c, ok := Lookup(name); ok || Label(name) != OtherLabel {
			t.Errorf("Lookup(%q) = %+v", name, c)
		}
	}
	if n := testing.AllocsPerRun(100, func() { Lookup("UID FETCH") }); n != 0 {
		t.Errorf("Lookup allocates %v times", n)
	}
	labels := Labels()
	if !slices.IsSorted(labels) || !slices.Contains(labels, "other") || len(labels) != len(commandTable())+1 {
		t.Errorf("Labels() = %q", labels)
	}
	for _, tr := range All() {
		for _, name := range tr.Commands {
			if _, ok := Lookup(name); !ok {
				t.Errorf("%s of %s is not in the command table", name, tr.Name)
			}
		}
	}
}

func TestSessionCapabilities(t *testing.T) {
	dovecot := "IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE SORT SORT=DISPLAY THREAD=REFERENCES THREAD=REFS UIDPLUS LITERAL- COMPRESS=DEFLATE XPIG-LATIN AUTH=PLAIN"
	for _, c := range []struct {
		name, backend string
		policy        Policy
		want          string
	}{
		{"announce", dovecot + " MOVE", quietPolicy(), "IMAP4rev1 LITERAL+ ID XGWEXTENSIONS MOVE UIDPLUS IDLE ENABLE SORT SORT=DISPLAY THREAD=REFERENCES THREAD=REFS"},
		{"MOVE by translation", "IMAP4rev1 UIDPLUS", Policy{XGWMove: XGWMoveAccept, Move: MoveAuto}, "IMAP4rev1 LITERAL+ ID MOVE UIDPLUS"},
		{"no MOVE", "IMAP4rev1 UIDPLUS", Policy{XGWMove: XGWMoveOff, Move: MoveOff}, "IMAP4rev1 LITERAL+ ID UIDPLUS"},
		{"MOVE needs UIDPLUS", "IMAP4rev1 IDLE", Policy{XGWMove: XGWMoveOff, Move: MoveAuto}, "IMAP4rev1 LITERAL+ ID IDLE"},
		{"IMAP4rev2 implies nothing", "imap4REV2 IMAP4rev1 UIDPLUS", Policy{Move: MoveAuto}, "IMAP4rev1 LITERAL+ ID MOVE UIDPLUS"},
		{"a GroupWise backend's own", "IMAP4rev1 XGWEXTENSIONS XGWMOVE", Policy{XGWMove: XGWMoveOff}, "IMAP4rev1 LITERAL+ ID"},
		{"values keep their case", "imap4rev1 rights=texk XCourierOutbox=INBOX.Outbox appendlimit=5", Policy{}, "IMAP4rev1 LITERAL+ ID RIGHTS=texk APPENDLIMIT=5 XCOURIEROUTBOX=INBOX.Outbox"},
		{"nothing that could end a code", "QUOTA=RES-X] QUOTA=RES-\"a THREAD= IDLE\r QUOTA=RES-é", Policy{}, "IMAP4rev1 LITERAL+ ID IDLE"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := NewStack(Peers{Backend: ParseCaps(c.backend), Policy: c.policy}, All()).CapText()
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestEnableFilter(t *testing.T) {
	session := []imap.Cap{imap.CapIMAP4rev1, imap.CapEnable, imap.CapQResync, imap.CapIdle}
	args := []wire.Token{
		wire.Word("qresync"), wire.Word("CONDSTORE"), wire.Word("IMAP4rev2"), wire.Word("UTF8=ACCEPT"),
		wire.Word("FOO"), wire.Word("IDLE"), wire.Word("QRESYNC"), wire.String("METADATA"),
	}
	if got := render(wire.Command("ENABLE", EnableFilter(args, session)...)); got != "ENABLE QRESYNC CONDSTORE" {
		t.Error(got)
	}
	only := EnableFilter([]wire.Token{wire.Word("UTF8=ACCEPT")}, []imap.Cap{imap.CapUTF8Only})
	if got := render(wire.Command("ENABLE", only...)); got != "ENABLE UTF8=ACCEPT" {
		t.Error(got)
	}
}

func TestCapsOf(t *testing.T) {
	set := CapsOf([]wire.Token{wire.Word("imap4rev1"), wire.Word("idle"), wire.String("EVIL")})
	if len(set) != 2 || !lists(set, imap.CapIMAP4rev1) || !lists(set, imap.CapIdle) {
		t.Errorf("%v", set)
	}
}

func TestAnswering(t *testing.T) {
	for _, c := range []struct {
		head, caps string
		policy     Policy
		want       bool
	}{
		{"MOVE", "UIDPLUS", DefaultPolicy(), true},
		{"UID MOVE", "UIDPLUS MOVE", DefaultPolicy(), false},
		{"MOVE", "IDLE", DefaultPolicy(), true}, // by BAD
		{"MOVE", "UIDPLUS", Policy{Move: MoveOff}, true},
		{"MOVE", "MOVE", Policy{Move: MoveOff}, false},
		{"XMOVE", "MOVE", Policy{Move: MoveOff}, true},
		{"XMOVE", "UIDPLUS", Policy{Move: MoveOff}, false},
		{"UID XMOVE", "UIDPLUS", DefaultPolicy(), true},
		{"UID XMOVE", "IDLE", DefaultPolicy(), false},
		{"UID XAOL-MOVE", "IDLE", DefaultPolicy(), true},
		{"UID XAOL-MOVE", "IDLE", Policy{Move: MoveOff}, false},
		{"XGWMOVE", "", Policy{XGWMove: XGWMoveOff}, false},
		{"UID XGWMOVE", "", Policy{XGWMove: XGWMoveAccept}, true},
		{"XGWEXTENSIONS", "", Policy{XGWMove: XGWMoveAnnounce}, true},
		{"XGWEXTENSIONS", "", Policy{}, false},
	} {
		stack := NewStack(Peers{Backend: ParseCaps(c.caps), Policy: c.policy}, All())
		if _, _, ok := stack.Answering(wire.Command(c.head), new(Memory), Top); ok != c.want {
			t.Errorf("%s with %q and %+v: not %v", c.head, c.caps, c.policy, c.want)
		}
	}
	noop, stack := wire.Command("NOOP"), NewStack(Peers{Policy: DefaultPolicy()}, All())
	if _, _, ok := stack.Answering(noop, new(Memory), Top); ok {
		t.Error("NOOP is translated")
	}
	if n := testing.AllocsPerRun(100, func() { stack.Answering(noop, nil, Top) }); n != 0 {
		t.Errorf("Answering allocates %v times", n)
	}
}
