package translate

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/imapgate/imapgate/proxy/wire"
)

// A nameServer is a backend that lists by the words of RFC 3501.
type nameServer struct {
	names     []string
	separator string
}

// list answers LIST, with parents that are no mailboxes where the pattern ends in % (RFC 3501 section
// 6.3.8).
func (b nameServer) list(m *wire.Message) (found []*wire.Message) {
	l, ok := parseListArgs(m.Tokens)
	if !ok {
		return nil
	}
	seen := map[string]bool{}
	show := func(name, attribute string) {
		if !seen[name] {
			seen[name] = true
			found = append(found, wire.Data("LIST", append(wire.List(wire.Word(attribute)), wire.String(b.separator), wire.String(name))...))
		}
	}
	for _, at := range l.patterns {
		pattern := m.Tokens[l.reference].Value() + m.Tokens[at].Value()
		for _, name := range b.names {
			if matches(pattern, name, b.separator) || isInbox(name) && matchesInbox(pattern) {
				show(name, `\Marked`)
			}
		}
		for _, name := range b.names {
			for i := range name {
				if above := name[:i]; strings.HasSuffix(pattern, "%") && name[i:i+1] == b.separator && matches(pattern, above, b.separator) {
					show(above, `\Noselect`)
				}
			}
		}
	}
	return found
}

// ask runs a LIST of a client's as a session does, and returns the names that it sees.
func (b nameServer) ask(t *testing.T, m NameMap, st *Memory, cmd *wire.Message) (seen []string) {
	t.Helper()
	dialect := NewDialect(Names(m))
	l, ok := parseListArgs(cmd.Tokens)
	if !ok {
		t.Fatal("no LIST")
	}
	n := nameList{m: m, listArgs: l, utf8: st.UTF8()}
	cmds, show := []*wire.Message{cmd}, Sink(func(*wire.Message) (Verdict, error) { return Pass, nil })
	if n.plan(cmd.Tokens) {
		cmds, show = n.commands(cmd), n.show
	}
	for _, c := range cmds {
		up, err := dialect.Up(st, c)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range b.list(up) {
			if v, err := dialect.Down(st, r); err != nil || v == Drop {
				t.Errorf("%v: %v", r, err)
			}
			if v, err := show(r); err != nil || v == Drop {
				continue
			}
			seen = append(seen, r.Tokens[len(r.Tokens)-1].Value())
		}
	}
	slices.Sort(seen)
	return seen
}

// hasTop reports whether the top of what is outside is asked for by a pattern that cannot mean what lies
// there.
func (b nameServer) hasTop(cmd *wire.Message) bool {
	l, _ := parseListArgs(cmd.Tokens)
	return b.outside() && slices.ContainsFunc(l.patterns, func(at int) bool {
		pattern := cmd.Tokens[l.reference].Value() + cmd.Tokens[at].Value()
		return matches(pattern, Outside, "/") && !mayBegin(pattern, Outside+"/", "/")
	})
}

// outside reports whether the backend has other namespaces.
func (b nameServer) outside() bool {
	return slices.ContainsFunc(b.names, func(name string) bool {
		return strings.HasPrefix(name, Outside+"/") && !strings.HasPrefix(name, Outside+"/INBOX/")
	})
}

// What a client sees of a server through the map is what it would see of one that has the mapped names.
func TestListIsWhatAServerWithTheMappedNamesShows(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(from []string, most int, between string) string {
		var parts []string
		for range 1 + random.IntN(most) {
			parts = append(parts, from[random.IntN(len(from))])
		}
		return strings.Join(parts, between)
	}
	levels := []string{"a", "b", "INBOX", "inbox", "Int", Outside, "v1/2", "&AOk-", "&AOkA,A-", "&xx", "R&-D", "ab", "&AGE-"}
	tops := []string{"INBOX", "INBOX", "INBOX", "shared", "#shared", "INBOXES"}
	pieces := []string{"a", "b", "*", "%", "/", "I", "INBOX", Outside, "#", ".", "é", "ü", "R&D", "inbox", "&", "\uFFFD"}
	for i := range 20000 {
		st := new(Memory)
		st.utf8.Store(i%2 == 0)
		m := courierMap()
		switch i % 5 {
		case 3:
			m.Prefix = ""
		case 4:
			m = NameMap{}
		}
		server := nameServer{names: []string{"INBOX"}, separator: "."}
		for range random.IntN(8) {
			name := pick(tops, 1, "") + "." + pick(levels, 3, ".")
			if strings.Contains(name, ".inbox.") {
				continue // a level above that is INBOX
			}
			if !slices.Contains(server.names, name) {
				server.names = append(server.names, name)
			}
		}
		mapped := nameServer{separator: "."}
		if m.On() {
			mapped.separator = "/"
		}
		see := (&names{m, m.On()}).downText
		for _, name := range server.names {
			mapped.names = append(mapped.names, see(st, name, aName))
		}
		ref, pattern := "", pick(pieces, 4, "")
		if m.Prefix != "" && random.IntN(3) == 0 {
			ref = pick(pieces, 2, "")
		}
		if strings.Contains(ref+pattern, "*") && strings.HasSuffix(pattern, "%") {
			pattern += "*" // levels that are no mailboxes are not found then
		}
		if r, _ := utf8.DecodeLastRuneInString(pattern); r >= 0x80 {
			pattern += "b" // it may be left to a wildcard, which finds levels then
		}
		cmd := wire.Command("LIST", wire.String(ref), wire.String(pattern))
		if random.IntN(3) == 0 && !strings.Contains(ref+pattern, "*") { // levels of one pattern are names for "*"
			cmd = wire.Command("LIST", append([]wire.Token{wire.String(ref)}, wire.List(wire.String(pattern), wire.String(strings.ReplaceAll(pick(pieces, 3, ""), "*", "%")+"b"))...)...)
		}
		var want []string
		for _, r := range mapped.list(cmd) {
			want = append(want, r.Tokens[len(r.Tokens)-1].Value())
		}
		if m.Prefix != "" && !slices.Contains(want, Outside) && mapped.hasTop(cmd) {
			want = append(want, Outside) // a level that is no mailbox, but is there
		}
		slices.Sort(want)
		// The level above INBOX.INBOX is INBOX for the backend.
		odd := func(name string) bool {
			return m.Prefix != "" && (name == Outside+"/INBOX" || name == Outside && !mapped.outside())
		}
		want = slices.DeleteFunc(want, odd)
		if got := slices.DeleteFunc(server.ask(t, m, st, cmd), odd); !slices.Equal(got, want) {
			t.Fatalf("%d: %+v, UTF-8 %v: of %q\n%s shows\n%q, not\n%q", i, m, st.UTF8(), server.names, fmt.Sprint(render(cmd)), got, want)
		}
	}
}
