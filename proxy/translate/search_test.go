package translate

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

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
func (s *scripted) Memory() *Memory                                      { return &s.memory }
func (s *scripted) Mailbox() Mailbox                                     { return Mailbox{Name: "INBOX", Exists: s.exists} }

// mail is a message with a date in its own zone.
type mail struct {
	uid  uint32
	date time.Time
}

func (m mail) day() string { return m.date.Format("2006-01-02") }

// matches evaluates a search program as a server does: dates disregard time and zone.
func (m mail) matches(t *testing.T, keys []wire.Token) (bool, []wire.Token) {
	t.Helper()
	arg := func() string { return string(keys[1].Text) }
	date := func() string {
		d, err := time.Parse("2-Jan-2006", arg())
		if err != nil {
			t.Fatal(err)
		}
		return d.Format("2006-01-02")
	}
	switch k := keys[0]; {
	case k.Is("ALL"):
		return true, keys[1:]
	case k.Is("NOT"):
		a, rest := m.matches(t, keys[1:])
		return !a, rest
	case k.Is("OR"):
		a, rest := m.matches(t, keys[1:])
		b, rest := m.matches(t, rest)
		return a || b, rest
	case k.Kind == wire.Open:
		all, rest := true, keys[1:]
		for rest[0].Kind != wire.Close {
			var a bool
			a, rest = m.matches(t, rest)
			all = all && a
		}
		return all, rest[1:]
	case k.Is("BEFORE"):
		return m.day() < date(), keys[2:]
	case k.Is("SINCE"):
		return m.day() >= date(), keys[2:]
	case k.Is("UID"):
		s, err := ParseSet(arg())
		if err != nil {
			t.Fatal(err)
		}
		return s.Contains(m.uid, 0), keys[2:]
	}
	t.Fatalf("search key %s", keys[0].Text)
	return false, nil
}

// TestWithinProperty: for any dates in any zones, the expression that stands for OLDER or YOUNGER is true of
// exactly those messages that are.
func TestWithinProperty(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 2))
		now := time.Unix(1_700_000_000+r.Int64N(1<<28), r.Int64N(1e9))
		seconds := 1 + r.Uint32N(5*86400)
		cut := now.Add(-time.Duration(seconds) * time.Second).Truncate(time.Second)
		var box []mail
		for i := range 60 {
			zone := time.FixedZone("", (r.IntN(53)-24)*1800)
			at := cut.Add(time.Duration(r.IntN(6*86400)-3*86400) * time.Second)
			if r.IntN(8) == 0 {
				at = cut
			}
			box = append(box, mail{uint32(3*i + 5), at.In(zone)})
		}
		if seed%2 == 0 {
			slices.SortFunc(box, func(a, b mail) int { return a.date.Compare(b.date) })
			for i := range box {
				box[i].uid = uint32(3*i + 5)
			}
		}
		x := &scripted{do: func(cmd *wire.Message, sink Sink) wire.Status { return serveDates(t, box, cmd, sink) }}
		for _, name := range []string{"OLDER", "YOUNGER"} {
			a := ages{x: x, now: now, edges: make(map[uint32]*edge)}
			keys, err := a.replace(words(fmt.Sprintf("%s %d", name, seconds)))
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range box {
				want := !m.date.After(cut)
				if name == "YOUNGER" {
					want = !m.date.Before(cut)
				}
				if got, rest := m.matches(t, keys); got != want || len(rest) > 0 {
					t.Fatalf("seed %d: %s at %s, message of %s: %v by %s", seed, name, cut, m.date, got, text(keys))
				}
			}
		}
	}
}

// serveDates plays a server whose numbers are places in box.
func serveDates(t *testing.T, box []mail, cmd *wire.Message, sink Sink) wire.Status {
	switch cmd.Name {
	case "SEARCH":
		found := wire.Data("SEARCH")
		for i, m := range box {
			program := append(append(words("("), cmd.Tokens...), words(")")...)
			if ok, _ := m.matches(t, program); ok {
				found.Tokens = append(found.Tokens, wire.Word(decimal(uint64(i+1))))
			}
		}
		sink(found)
	case "FETCH":
		set, err := ParseSet(string(cmd.Tokens[0].Text))
		if err != nil {
			t.Fatal(err)
		}
		for i, m := range box {
			if set.Contains(uint32(i+1), 0) {
				sink(wire.Numbered(uint32(i+1), "FETCH", wire.List(wire.Word("UID"), wire.Word(decimal(uint64(m.uid))),
					wire.Word("INTERNALDATE"), wire.String(m.date.Format("_2-Jan-2006 15:04:05 -0700")))...))
			}
		}
	}
	return wire.Status{Type: "OK"}
}

// TestWithinBounds: dates without any order are refused before the line grows too long.
func TestWithinBounds(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	var box []mail
	for i := range 20_000 {
		box = append(box, mail{uint32(i + 1), now.Add(time.Duration(i%2*2-1) * time.Hour).UTC()})
	}
	x := &scripted{do: func(cmd *wire.Message, sink Sink) wire.Status { return serveDates(t, box, cmd, sink) }}
	a := ages{x: x, now: now.Add(time.Second), edges: make(map[uint32]*edge)}
	_, err := a.replace(words("OLDER 1"))
	var refused *Refused
	if !errors.As(err, &refused) || refused.Status.Code != "LIMIT" {
		t.Errorf("%v", err)
	}
}

// TestLongSets: a saved result that is too long for a line is sent in pieces, with one answer.
func TestLongSets(t *testing.T) {
	var names []string
	x := &scripted{exists: 250_001}
	for uid := uint32(1); uid < 4000; uid += 2 {
		x.memory.saved.ranges = append(x.memory.saved.ranges, Range{uid, uid})
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
	p := program{head: "SEARCH", keys: words("$ SEEN")}
	_, err := p.replace(savedKeys(y))
	var refused *Refused
	if !errors.As(err, &refused) || refused.Status.Code != "LIMIT" {
		t.Errorf("a search in a long set: %v", err)
	}
}

type replying struct {
	*scripted
	reply *wire.Status
}

func (r *replying) Reply(s wire.Status) error { *r.reply = s; return nil }
func (r *replying) Progress(int, int)         {}
func (r *replying) Result(string)             {}

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
