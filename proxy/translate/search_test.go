package translate

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/wire"
)

// words makes tokens as a reader would, of text without quotes and literals.
func words(text string) []wire.Token {
	text = strings.NewReplacer("(", " ( ", ")", " ) ").Replace(text)
	var tokens []wire.Token
	for _, w := range strings.Fields(text) {
		switch w {
		case "(":
			tokens = append(tokens, wire.Token{Kind: wire.Open})
		case ")":
			tokens = append(tokens, wire.Token{Kind: wire.Close})
		default:
			tokens = append(tokens, wire.Word(w))
		}
	}
	return tokens
}

func TestReadProgram(t *testing.T) {
	for _, tt := range []struct{ head, text, ret, args, keys string }{
		{"SEARCH", "ALL", "", "", "ALL"},
		{"UID SEARCH", "RETURN (MIN MAX) CHARSET UTF-8 NOT (OR SEEN 1:*)", "RETURN (MIN MAX)", "CHARSET UTF-8", "NOT (OR SEEN 1:*)"},
		{"SORT", "RETURN () (REVERSE DATE) UTF-8 ALL", "RETURN ()", "(REVERSE DATE) UTF-8", "ALL"},
		{"UID THREAD", "REFERENCES UTF-8 ALL", "", "REFERENCES UTF-8", "ALL"},
	} {
		p, err := readProgram(wire.Command(tt.head, words(tt.text)...))
		if err != nil || text(p.ret) != tt.ret || text(p.args) != tt.args || text(p.keys) != tt.keys {
			t.Errorf("%s %s: %q, %q, %q, %v", tt.head, tt.text, text(p.ret), text(p.args), text(p.keys), err)
		}
		if got := text(p.message().Tokens); got != tt.text {
			t.Errorf("%s becomes %s", tt.text, got)
		}
	}
	for _, bad := range []string{"", "RETURN", "RETURN (", "RETURN (ALL)", "RETURN ALL SEEN", "CHARSET UTF-8", "CHARSET"} {
		if _, err := readProgram(wire.Command("SEARCH", words(bad)...)); err == nil {
			t.Errorf("SEARCH %s is taken", bad)
		}
	}
	for _, bad := range []string{"", "(", "ALL", "() UTF-8", "DATE UTF-8 ALL"} {
		if _, err := readProgram(wire.Command("SORT", words(bad)...)); err == nil {
			t.Errorf("SORT %s is taken", bad)
		}
	}
}

// text renders tokens with canonical spaces.
func text(tokens []wire.Token) string {
	var b bytes.Buffer
	w := wire.NewWriter(&b)
	w.Begin()
	w.Head(nil, "")
	w.Tokens(tokens)
	w.EndFlush()
	return strings.TrimSpace(b.String())
}

func TestReplace(t *testing.T) {
	put := func(key []wire.Token) ([]wire.Token, error) {
		if isSaved(key[0]) {
			return words("UID 7"), nil
		}
		return nil, nil
	}
	for in, want := range map[string]string{
		"$":                              "UID 7",
		"SUBJECT $ $":                    "SUBJECT $ UID 7",
		"OR $ (NOT $ HEADER $ $)":        "OR UID 7 (NOT UID 7 HEADER $ $)",
		"keyword $ uid 1:* $":            "keyword $ uid 1:* UID 7",
		"FUZZY TEXT $ MODSEQ 5 $":        "FUZZY TEXT $ MODSEQ 5 UID 7",
		"NOT NOT NOT $":                  "NOT NOT NOT UID 7",
		"1,2:3 *:4 $ OLDER 5 SMALLER 70": "1,2:3 *:4 UID 7 OLDER 5 SMALLER 70",
	} {
		p, err := program{head: "SEARCH", keys: words(in)}.replace(put)
		if got := text(p.keys); err != nil || got != want {
			t.Errorf("%s becomes %s, %v; want %s", in, got, err, want)
		}
	}
	for _, in := range []string{"FRED $", "SUBJECT", "HEADER a", "SUBJECT (a)", "\"a\"", "SEEN SUBJECT"} {
		if p, err := (program{head: "SEARCH", keys: words(in)}).replace(put); err == nil {
			t.Errorf("%s becomes %s", in, text(p.keys))
		}
	}
}

// FuzzProgram: what is not replaced stays, in its order, and one pass is enough for any depth.
func FuzzProgram(f *testing.F) {
	f.Add("RETURN (ALL) CHARSET UTF-8 OR $ NOT (SUBJECT {1+}\r\n$ OLDER 5)")
	f.Add(strings.Repeat("(", 60) + "$" + strings.Repeat(")", 60))
	f.Add(strings.Repeat("NOT ", 200) + "$")
	f.Add(`MODSEQ "/flags/\\draft" all 5 $ "x"`)
	f.Fuzz(func(t *testing.T, line string) {
		r := wire.NewCommands(strings.NewReader("a SEARCH " + line + "\r\n"))
		var m wire.Message
		if r.Next(&m) != nil || r.Collect(&m, 1<<16, func() error { return nil }) != nil {
			return
		}
		p, err := readProgram(&m)
		if err != nil {
			return
		}
		if !slices.EqualFunc(p.message().Tokens, m.Tokens, sameToken) {
			t.Fatalf("%q becomes %q", text(m.Tokens), text(p.message().Tokens))
		}
		var seen []wire.Token
		q, err := p.replace(func(key []wire.Token) ([]wire.Token, error) {
			if len(key) == 0 || len(key) > 4 {
				t.Fatalf("a key of %d tokens", len(key))
			}
			seen = append(seen, key...)
			return nil, nil
		})
		if err == nil && (!slices.EqualFunc(seen, p.keys, sameToken) || !slices.EqualFunc(q.keys, p.keys, sameToken)) {
			t.Fatalf("%q becomes %q", text(p.keys), text(q.keys))
		}
	})
}

func sameToken(a, b wire.Token) bool { return a.Kind == b.Kind && bytes.Equal(a.Text, b.Text) }

func TestWantsNoMore(t *testing.T) {
	plain := wire.Command("SEARCH", words("UNSEEN OR (FROM x) NOT 5:7")...)
	fetch := wire.Command("UID FETCH", words("1:5 (FLAGS)")...)
	var mem Memory
	for _, tr := range []*Translation{searchRes(), esearch(), within()} {
		for _, m := range []*wire.Message{plain, fetch} {
			if slices.Contains(tr.Commands, m.Name) && tr.Wants(m, &mem) {
				t.Errorf("%s wants %s %s", tr.Name, m.Name, text(m.Tokens))
			}
			if n := testing.AllocsPerRun(100, func() { tr.Wants(m, &mem) }); n != 0 {
				t.Errorf("%s: Wants allocates %v times", tr.Name, n)
			}
		}
	}
}

func TestHits(t *testing.T) {
	h := new(hits)
	for n := uint32(2*maxRuns + 10); n > 2; n -= 2 {
		h.add(n)
	}
	if !h.tooMany || len(h.found.ranges) > maxRuns {
		t.Errorf("%d runs, too many: %v", len(h.found.ranges), h.tooMany)
	}
	h = new(hits)
	for n := uint32(1 << 20); n > 0; n-- {
		h.add(n)
	}
	if h.found.shorten(); h.tooMany || h.found.String() != "1:1048576" {
		t.Errorf("a million in falling order: %d runs, too many: %v", len(h.found.ranges), h.tooMany)
	}
}

// scripted answers commands by a function; what else it is asked for it does not have.
type scripted struct {
	Exchange
	do     func(cmd *wire.Message, sink Sink) wire.Status
	sent   *wire.Message
	memory Memory
	exists uint32
}

func (s *scripted) Do(cmd *wire.Message, sink Sink) (wire.Status, error) { return s.do(cmd, sink), nil }
func (s *scripted) Send(m *wire.Message) error                           { s.sent = m; return nil }
func (s *scripted) Progress(int, int)                                    {}
func (s *scripted) Memory() *Memory                                      { return &s.memory }
func (s *scripted) Mailbox() Mailbox                                     { return Mailbox{Name: "INBOX", Exists: s.exists} }

// TestLongSets: a saved result that is too long for a line is sent in pieces, with one answer.
func TestLongSets(t *testing.T) {
	var names []string
	x := &scripted{exists: 250_001}
	for uid := uint32(1); uid < 4000; uid += 2 {
		x.memory.saved().uids.ranges = append(x.memory.saved().uids.ranges, Range{uid, uid})
	}
	answered := 0
	x.do = func(cmd *wire.Message, _ Sink) wire.Status {
		line := cmd.Name + " " + text(cmd.Tokens)
		if answered++; len(line) > 7000 {
			t.Errorf("a line of %d octets", len(line))
		}
		names = append(names, cmd.Name)
		set := string(cmd.Tokens[0].Text)
		switch cmd.Name {
		case "UID COPY":
			return wire.Status{Type: "OK", Code: "COPYUID", Args: "7 " + set + " " + set}
		case "UID STORE":
			return wire.Status{Type: "OK", Code: "MODIFIED", Args: decimal(uint64(answered))}
		}
		return wire.Status{Type: "NO", Code: "INUSE"}
	}
	var reply wire.Status
	y := &replying{scripted: x, reply: &reply}
	for head, want := range map[string]string{"COPY Archive": "COPYUID", "UID STORE +FLAGS (a)": "MODIFIED", "UID FETCH FLAGS": "INUSE"} {
		names, answered = nil, 0
		name, rest, _ := strings.Cut(head, " ")
		if name == "UID" {
			second, more, _ := strings.Cut(rest, " ")
			name, rest = name+" "+second, more
		}
		m := wire.Command(name, append(words("$"), words(rest)...)...)
		if err := runSearchRes(m, y); err != nil {
			t.Fatal(err)
		}
		if reply.Code != want || want != "INUSE" && len(names) < 2 {
			t.Errorf("%s: %s after %v", head, reply, names)
		}
	}
	for keys, want := range map[string]int{"$ SEEN": 2, "$ NOT SEEN": 2, "OR SEEN $": 2, "NOT $": 0, "$ $": 0, "NOT SEEN $": 0, "3:9 $": 0, "$ 3:9": 0} {
		pieces, err := resolveSaved(program{head: "UID SEARCH", keys: words(keys)}, y)
		var refused *Refused
		if len(pieces) != want || want == 0 && (!errors.As(err, &refused) || refused.Status.Code != "LIMIT") {
			t.Errorf("%s: %d pieces, %v", keys, len(pieces), err)
		}
	}
}

// A replying exchange keeps the answer, and throws data away.
type replying struct {
	*scripted
	reply *wire.Status
}

func (r *replying) Reply(s wire.Status) error    { *r.reply = s; return nil }
func (r *replying) Untagged(*wire.Message) error { return nil }
func (r *replying) Tag() string                  { return "a" }
func (r *replying) Result(string)                {}

// TestSearchGate: while a client waits for numbers, nothing is asked that lets the backend renumber, and a
// UID command with numbers in it comes after all that was asked for it.
func TestSearchGate(t *testing.T) {
	for _, line := range []string{
		"SEARCH RETURN (SAVE MIN) OLDER 5 $ MODSEQ 5", "UID SEARCH RETURN (SAVE MAX COUNT) 3:9 YOUNGER 5 OLDER 7",
		"FETCH $ FLAGS", "STORE $ +FLAGS x", "SORT (DATE) UTF-8 $ OLDER 5", "THREAD REFS UTF-8 $", "COPY $ Old", "UID FETCH $ FLAGS",
	} {
		name, rest, _ := strings.Cut(line, " ")
		if name == "UID" {
			second, more, _ := strings.Cut(rest, " ")
			name, rest = name+" "+second, more
		}
		var asked []string
		x := &scripted{exists: 9}
		x.memory.saved().uids.ranges = []Range{{20, 30}, {50, 50}}
		var reply wire.Status
		y := &replying{scripted: x, reply: &reply}
		x.do = func(cmd *wire.Message, sink Sink) wire.Status {
			asked = append(asked, cmd.Name)
			switch cmd.Name {
			case "SEARCH", "UID SEARCH":
				sink(wire.Data("SEARCH", words("2 3 (MODSEQ 7)")...))
			case "FETCH":
				sink(wire.Numbered(2, "FETCH", words("(UID 20 MODSEQ (7))")...))
			}
			return wire.Status{Type: "OK"}
		}
		m := wire.Command(name, words(rest)...)
		for _, tr := range []*Translation{searchRes(), esearch(), within()} {
			if slices.Contains(tr.Commands, m.Name) && tr.Wants(m, &x.memory) {
				x.sent = nil
				if err := tr.Run(m, y); err != nil {
					t.Fatalf("%s: %v", line, err)
				}
				if m = x.sent; m == nil {
					break
				}
			}
		}
		if m != nil {
			asked = append(asked, m.Name)
		}
		client, _ := Lookup(name)
		for i, head := range asked {
			cmd, _ := Lookup(head)
			if cmd.Expunge && (!client.Expunge || i+1 < len(asked) && !uidForm(asked[i+1])) {
				t.Errorf("%s: %v", line, asked)
			}
		}
	}
}

func TestShifting(t *testing.T) {
	for line, want := range map[string]bool{
		"UID SEARCH 3:9 UID 1": true, "UID SEARCH OR * SEEN": true, "UID SEARCH FRED UID 1": true,
		"UID SEARCH UID 1 LARGER 5 SUBJECT 7": false, "SEARCH 3:9 UID 1": false,
	} {
		name, rest, _ := strings.Cut(strings.TrimPrefix(line, "UID "), " ")
		if strings.HasPrefix(line, "UID ") {
			name = "UID " + name
		}
		if got := shifting(wire.Command(name, words(rest)...)); got != want {
			t.Errorf("%s: %v", line, got)
		}
	}
}

// TestSearchLayers says when each is a layer.
func TestSearchLayers(t *testing.T) {
	for caps, want := range map[string]string{
		"IMAP4rev1":                            "searchres esearch within",
		"IMAP4rev1 ESEARCH":                    "searchres within",
		"IMAP4rev1 ESEARCH SEARCHRES":          "within",
		"IMAP4rev1 WITHIN":                     "searchres esearch",
		"IMAP4rev1 ESEARCH SEARCHRES WITHIN":   "",
		"IMAP4rev2 IMAP4rev1 ESEARCH WITHIN X": "searchres",
	} {
		p := Peers{Backend: ParseCaps(caps), Enabled: imap.CapSet{}, Policy: quietPolicy()}
		p.Policy.Polyfills = Choice{Names: []string{"searchres", "esearch", "within"}}
		var names []string
		for _, l := range NewStack(p, All()).Layers() {
			if l.Polyfill {
				names = append(names, l.Name)
			}
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s: %s, want %s", caps, got, want)
		}
	}
}
