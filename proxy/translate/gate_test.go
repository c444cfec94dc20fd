package translate

import (
	"bytes"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/wire"
)

// read returns a command as a session gets it, its literals held.
func read(t testing.TB, line string) *wire.Message {
	t.Helper()
	c := wire.NewCommands(bytes.NewReader([]byte("a " + line + "\r\n")))
	var m wire.Message
	if err := c.Next(&m); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	if err := c.Collect(&m, 1000, func() error { return nil }); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return &m
}

func gateOf(backend, remove string) *Gate {
	p := DefaultPolicy()
	for name := range strings.FieldsSeq(remove) {
		p.Remove = append(p.Remove, imap.Cap(name))
	}
	caps := ParseCaps(backend)
	return NewStack(Peers{Backend: caps, Policy: p}, All()).Gate()
}

const everything = "IMAP4rev1 UIDPLUS MOVE ENABLE CONDSTORE QRESYNC ESEARCH SEARCHRES SORT ESORT CONTEXT=SEARCH CONTEXT=SORT PARTIAL THREAD=REFS " +
	"WITHIN OBJECTID SAVEDATE PREVIEW BINARY LIST-EXTENDED LIST-STATUS LIST-MYRIGHTS SPECIAL-USE CREATE-SPECIAL-USE STATUS=SIZE UTF8=ACCEPT " +
	"SEARCH=FUZZY FILTERS X-GM-EXT-1 ACL RIGHTS=texk QUOTA QUOTASET QUOTA=RES-STORAGE METADATA REPLACE MULTIAPPEND"

func TestGate(t *testing.T) {
	for _, tt := range []struct{ remove, command, want string }{
		{"CONDSTORE", `SELECT x (CONDSTORE)`, "CONDSTORE"},
		{"CONDSTORE", `SELECT CONDSTORE`, ""},
		{"CONDSTORE", `SELECT "(CONDSTORE)"`, ""},
		{"CONDSTORE", `EXAMINE x (qresync (1 2 (3 4)) condstore)`, "QRESYNC"},
		{"QRESYNC", `EXAMINE x (CONDSTORE)`, ""},
		{"CONDSTORE", `FETCH 1 MODSEQ`, "CONDSTORE"},
		{"CONDSTORE", `FETCH 1 (BODY[HEADER.FIELDS (TO CC)]<0.9> MODSEQ)`, "CONDSTORE"},
		{"CONDSTORE", `FETCH 1 (BODY.PEEK[HEADER.FIELDS (MODSEQ)] FLAGS)`, ""},
		{"CONDSTORE", `FETCH 1 BODY.PEEK[HEADER.FIELDS (X] MODSEQ)] (CHANGEDSINCE 5)`, "CONDSTORE"},
		{"CONDSTORE", `FETCH 1 FLAGS (CHANGEDSINCE 5)`, "CONDSTORE"},
		{"CONDSTORE", `FETCH 1 (PREVIEW (LAZY) FLAGS) (CHANGEDSINCE 5 VANISHED)`, "CONDSTORE"},
		{"CONDSTORE", `FETCH 1 PREVIEW (LAZY) (CHANGEDSINCE 5)`, "CONDSTORE"},
		{"QRESYNC", `UID FETCH 1 FLAGS (CHANGEDSINCE 5 VANISHED)`, "QRESYNC"},
		{"CONDSTORE", `STORE 1 (UNCHANGEDSINCE 5) FLAGS (\Seen)`, "CONDSTORE"},
		{"CONDSTORE", `STORE 1 FLAGS (UNCHANGEDSINCE)`, ""},
		{"CONDSTORE", `SEARCH OR (MODSEQ "/flags/\\Seen" all 5) SEEN`, "CONDSTORE"},
		{"WITHIN", `SEARCH MODSEQ "/flags/\\Seen" all 5 YOUNGER 3`, "WITHIN"},
		{"CONDSTORE", `SEARCH HEADER MODSEQ MODSEQ NOT SUBJECT MODSEQ`, ""},
		{"CONDSTORE", `STATUS x (HIGHESTMODSEQ)`, "CONDSTORE"},
		{"WITHIN", `UID SEARCH CHARSET UTF-8 NOT (OLDER 5)`, "WITHIN"},
		{"WITHIN", `SORT (SUBJECT) UTF-8 YOUNGER 5`, "WITHIN"},
		{"WITHIN", `SORT (FROM TO) OLDER ALL`, ""},
		{"WITHIN", `THREAD REFS UTF-8 YOUNGER 5`, "WITHIN"},
		{"ESEARCH", `SEARCH RETURN (MIN) ALL`, "ESEARCH"},
		{"ESEARCH", `SEARCH RETURN () ALL`, "ESEARCH"},
		{"ESEARCH", `SEARCH SUBJECT RETURN ALL`, ""},
		{"SEARCHRES", `SEARCH RETURN (SAVE MIN) ALL`, "SEARCHRES"},
		{"SEARCHRES", `SEARCH UID $`, "SEARCHRES"},
		{"SEARCHRES", `SEARCH NOT $`, "SEARCHRES"},
		{"SEARCHRES", `UID MOVE $ x`, "SEARCHRES"},
		{"SEARCHRES", `UID STORE $ FLAGS ()`, "SEARCHRES"},
		{"SEARCHRES", `COPY 1 $`, ""},
		{"PARTIAL", `SEARCH RETURN (PARTIAL 1:5) ALL`, ""}, // CONTEXT=SEARCH has it too
		{"PARTIAL CONTEXT=SEARCH", `SEARCH RETURN (PARTIAL 1:5) ALL`, "PARTIAL"},
		{"ESORT", `SORT RETURN (COUNT) (DATE) UTF-8 ALL`, "ESORT"},
		{"SORT", `UID SORT (DATE) UTF-8 ALL`, "SORT"},
		{"THREAD=REFS", `THREAD REFS UTF-8 ALL`, "THREAD=*"},
		{"OBJECTID", `FETCH 1 (UID EMAILID)`, "OBJECTID"},
		{"OBJECTID", `SEARCH THREADID T1`, "OBJECTID"},
		{"OBJECTID", `STATUS x (MAILBOXID)`, "OBJECTID"},
		{"SAVEDATE", `SEARCH SAVEDBEFORE 1-Jan-2020`, "SAVEDATE"},
		{"BINARY", `FETCH 1 BINARY.SIZE[1]`, "BINARY"},
		{"BINARY", `FETCH 1 BODY[1]`, ""},
		{"LIST-EXTENDED", `LIST "" (a b)`, "LIST-EXTENDED"},
		{"LIST-EXTENDED", `LIST () "" x`, "LIST-EXTENDED"},
		{"LIST-EXTENDED", `LIST "" x RETURN (STATUS (SIZE))`, ""},
		{"STATUS=SIZE", `LIST "" x RETURN (STATUS (SIZE))`, "STATUS=SIZE"},
		{"LIST-STATUS", `LIST "" {1+}` + "\r\nx RETURN (CHILDREN STATUS (MESSAGES))", "LIST-STATUS"},
		{"ACL", `LIST "" x RETURN (MYRIGHTS)`, "LIST-MYRIGHTS"},
		{"ACL", `GETACL x`, "ACL"},
		{"QUOTA", `SETQUOTA "" (STORAGE 5)`, "QUOTASET"},
		{"QUOTASET", `GETQUOTA ""`, ""},
		{"CREATE-SPECIAL-USE", `CREATE x (USE (\Sent))`, "CREATE-SPECIAL-USE"},
		{"UTF8=ACCEPT", `APPEND x UTF8 ({1+}` + "\r\nx)", "UTF8=ACCEPT"},
		{"UTF8=ACCEPT", `APPEND UTF8 {1+}` + "\r\nx", ""},
		{"MULTIAPPEND", `APPEND x {1+}` + "\r\nx {1+}\r\nx", "MULTIAPPEND"},
		{"REPLACE", `UID REPLACE 1 x {1+}` + "\r\nx", "REPLACE"},
		{"X-GM-EXT-1", `STORE 1 +X-GM-LABELS (x)`, "X-GM-EXT-1"},
		{"UIDPLUS", `UID EXPUNGE 1`, "UIDPLUS"},
		{"UIDPLUS", `EXPUNGE`, ""},
		{"SEARCH=FUZZY", `SEARCH FUZZY SUBJECT x`, "SEARCH=FUZZY"},
	} {
		if c, refused := gateOf(everything, tt.remove).Refuses(read(t, tt.command)); string(c) != tt.want || refused != (c != "") {
			t.Errorf("without %s, %q: got %q %v, want %q", tt.remove, tt.command, c, refused, tt.want)
		}
	}
}

// What is not removed has no gate, and what is removed costs only those who look like it.
func TestGateIsFree(t *testing.T) {
	if gateOf(everything, "") != nil {
		t.Error("there is a gate although nothing is removed")
	}
	fetch, search := read(t, "FETCH 1:* (UID FLAGS BODY.PEEK[HEADER.FIELDS (TO)])"), read(t, "UID SEARCH UNSEEN SUBJECT x")
	for name, g := range map[string]*Gate{"none": nil, "of other commands": gateOf(everything, "MOVE"), "of these": gateOf(everything, "CONDSTORE ESEARCH")} {
		if n := testing.AllocsPerRun(100, func() { g.Refuses(fetch); g.Refuses(search); g.Walks("LIST") }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// The table removes URLs from a backend that has them, and from no other.
func TestGateOfTheTable(t *testing.T) {
	const command = `APPEND x CATENATE (URL "/INBOX")`
	if c, refused := gateOf("IMAP4rev1 CATENATE", "").Refuses(read(t, command)); !refused || c != "CATENATE" {
		t.Errorf("got %q %v", c, refused)
	}
	if gateOf("IMAP4rev1 XLIST XAOL-OPTION MAILBOX-REFERRALS", "") != nil {
		t.Error("commands that translations answer are refused by the table")
	}
}

// Every capability and every place of the tables of uses exists, and each command that has a place is known.
func TestUsesFitTheTables(t *testing.T) {
	for _, row := range capCommands {
		if _, known := CapRow(row.cap); !known {
			t.Errorf("%s is in no row of the capability table", row.cap)
		}
	}
	used := map[place]bool{threadBy: true}
	for _, row := range argumentUses {
		used[row.place] = true
		for c := range strings.FieldsSeq(row.caps) {
			if _, known := CapRow(imap.Cap(c)); !known {
				t.Errorf("%s is in no row of the capability table", c)
			}
		}
		for word := range strings.FieldsSeq(row.words) {
			if len(word) >= maxWord {
				t.Errorf("%s is longer than maxWord", word)
			}
		}
	}
	for name, places := range placesOf {
		if _, known := Lookup(name); !known {
			t.Errorf("%s is no command", name)
		}
		for _, p := range places {
			if !used[p] {
				t.Errorf("nothing is at the place %q", p)
			}
		}
	}
	for _, c := range commandTable() {
		if _, known := commandsByName[c.Name]; known && commandsByName[c.Name].Cap != capsByCommand[c.Name] {
			t.Errorf("%s has the capability %q", c.Name, commandsByName[c.Name].Cap)
		}
	}
}

// Whatever a client sends, the gate comes to an end.
func FuzzGate(f *testing.F) {
	for _, line := range []string{
		`FETCH 1 (BODY[HEADER.FIELDS (TO)]<0.9> MODSEQ) (CHANGEDSINCE 5)`, `SEARCH RETURN (SAVE) OR (MODSEQ 5) $`, `LIST (A (B)) "" (x y) RETURN (STATUS (SIZE))`,
		`SORT (DATE) UTF-8 ALL`, `APPEND x (\Seen) UTF8 ({1+}`, `STORE $ (UNCHANGEDSINCE 5) +FLAGS x`, `THREAD`, `FETCH (( ))) (`, `SELECT x (QRESYNC (1 2 (3`,
	} {
		f.Add(line)
	}
	g := gateOf(everything, "CONDSTORE QRESYNC ESEARCH SEARCHRES LIST-EXTENDED UTF8=ACCEPT MULTIAPPEND BINARY")
	f.Fuzz(func(t *testing.T, line string) {
		var m wire.Message
		c := wire.NewCommands(strings.NewReader("a " + line + "\r\n"))
		if c.Next(&m) != nil {
			return
		}
		was := m.Clone()
		g.Refuses(&m)
		g.RefusesMore(m.Tokens)
		if m.Name != was.Name || len(m.Tokens) != len(was.Tokens) {
			t.Error("the gate changed the command")
		}
	})
}
