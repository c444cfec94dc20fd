package translate

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/wire"
)

// A lister is a backend with mailboxes and subscriptions, and what its client hears.
type lister struct {
	Exchange
	t          testing.TB
	peers      Peers
	boxes      []string
	subscribed []string
	// LSUB lists what is above a subscribed name: with "%" alone, as RFC 3501 says, or always.
	alwaysAbove bool

	failing int         // the step at which the backend does nothing but answer instead, or vanishes
	instead wire.Status // without a type it vanishes

	asked   []string
	heard   []string
	answers int
}

func (f *lister) Peers() Peers { return f.peers }

func (f *lister) Send(m *wire.Message) error {
	s, err := f.Do(m, nil)
	if err != nil {
		return err
	}
	return f.Reply(s)
}

func (f *lister) Untagged(m *wire.Message) error {
	f.heard = append(f.heard, render(m))
	return nil
}

func (f *lister) Reply(s wire.Status) error {
	f.heard = append(f.heard, s.String())
	f.answers++
	return nil
}

func (f *lister) DoAll(cmds []*wire.Message, sink Sink) (answers []wire.Status, err error) {
	for _, cmd := range cmds {
		s, err := f.Do(cmd, sink)
		if err != nil {
			return nil, err
		}
		answers = append(answers, s)
	}
	return answers, nil
}

func (f *lister) Progress(int, int) {}

func (f *lister) Do(cmd *wire.Message, sink Sink) (wire.Status, error) {
	f.asked = append(f.asked, render(cmd))
	if len(f.asked) == f.failing {
		if f.instead.Type == "" {
			return wire.Status{}, errVanished
		}
		return f.instead, nil
	}
	switch pattern := cmd.Tokens[len(cmd.Tokens)-1].Value(); cmd.Name {
	case "LIST":
		for _, line := range f.list(f.boxes, pattern, false) {
			if err := f.say("LIST", line, sink); err != nil {
				return wire.Status{}, err
			}
		}
	case "LSUB":
		for _, line := range f.list(f.subscribed, pattern, f.alwaysAbove) {
			if err := f.say("LSUB", line, sink); err != nil {
				return wire.Status{}, err
			}
		}
	}
	return wire.Status{Type: "OK", Text: "done"}, nil
}

// list gives what matches, and as \Noselect what is above, where "%" ends the pattern or always.
func (f *lister) list(names []string, pattern string, always bool) (lines [][2]string) {
	if pattern == "" {
		return [][2]string{{`\Noselect`, ""}}
	}
	seen := map[string]bool{}
	for _, name := range names {
		if matches(pattern, name, "/") && !seen[name] {
			seen[name] = true
			lines = append(lines, [2]string{"", name})
		}
	}
	for _, name := range names {
		for above := range ancestors(name, "/") {
			if (always || strings.HasSuffix(pattern, "%")) && matches(pattern, above, "/") && !seen[above] {
				seen[above] = true
				lines = append(lines, [2]string{`\Noselect`, above})
			}
		}
	}
	return lines
}

func (f *lister) say(name string, line [2]string, sink Sink) error {
	var attrs []wire.Token
	if line[0] != "" {
		attrs = append(attrs, wire.Word(line[0]))
	}
	m := wire.Data(name, append(wire.List(attrs...), wire.String("/"), wire.String(line[1]))...)
	v := Pass
	if sink != nil {
		var err error
		if v, err = sink(m); err != nil {
			return err
		}
	}
	if v != Drop {
		f.heard = append(f.heard, render(m))
	}
	return nil
}

// run lets one translation answer a command.
func (f *lister) run(tr *Translation, line string) []string {
	m, err := parsed(line)
	if err != nil {
		f.t.Fatal(err)
	}
	f.heard, f.asked = nil, nil
	m.Name = "LIST"
	err = tr.Run(m, f)
	if refused, is := err.(*Refused); is {
		f.heard = append(f.heard, refused.Status.String())
	} else if err != nil {
		f.t.Fatal(err)
	}
	return f.heard
}

// RFC 5258 by its words: which names (SUBSCRIBED RECURSIVEMATCH) lists, and how.
func recursiveModel(boxes, subscribed []string, pattern string) (lines []string) {
	exists := func(name string) bool { return slices.Contains(boxes, name) }
	all := slices.Concat(boxes, subscribed)
	for _, name := range slices.Clone(all) {
		all = slices.AppendSeq(all, ancestors(name, "/"))
	}
	slices.Sort(all)
	for _, name := range slices.Compact(all) {
		var below, hidden bool
		for _, s := range subscribed {
			if strings.HasPrefix(s, name+"/") {
				below = true
				hidden = hidden || !matches(pattern, s, "/")
			}
		}
		member := slices.Contains(subscribed, name)
		if !matches(pattern, name, "/") || !member && !hidden {
			continue
		}
		var attrs []string
		if !exists(name) {
			attrs = append(attrs, `\NonExistent`)
		}
		if member {
			attrs = append(attrs, `\Subscribed`)
		}
		line := fmt.Sprintf(`* LIST (%s) "/" "%s"`, strings.Join(attrs, " "), name)
		if below {
			line += ` ("CHILDINFO" ("SUBSCRIBED"))`
		}
		lines = append(lines, line)
	}
	return lines
}

// Whatever is subscribed, and whatever way LSUB has, the answer is what RFC 5258 says of these mailboxes.
func TestListExtendedModel(t *testing.T) {
	patterns := []string{"*", "%", "%/%", "a", "a/%", "a/*", "%b", "*b", "b/a", "%/b", "*/b", "c%"}
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 1))
		name := func() string {
			parts := make([]string, 1+r.IntN(3))
			for i := range parts {
				parts[i] = string("abc"[r.IntN(3)])
			}
			return strings.Join(parts, "/")
		}
		f := &lister{t: t, alwaysAbove: seed%2 == 0, peers: Peers{Backend: imap.CapSet{}}}
		for range r.IntN(6) {
			f.subscribed = append(f.subscribed, name())
		}
		for range r.IntN(6) {
			box := name()
			f.boxes = append(append(f.boxes, box), slices.Collect(ancestors(box, "/"))...)
		}
		pattern := patterns[r.IntN(len(patterns))]
		got := f.run(listExtended(), `(SUBSCRIBED RECURSIVEMATCH) "" `+pattern)
		want := append(recursiveModel(f.boxes, f.subscribed, pattern), "OK LIST completed")
		slices.Sort(got[:len(got)-1])
		slices.Sort(want[:len(want)-1])
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d: %s of %q, subscribed %q, always %v\nasked %q\ngot  %q\nwant %q", seed, pattern, f.boxes, f.subscribed, f.alwaysAbove, f.asked, got, want)
		}
	}
}

// Each name has the right one of the two attributes, for at most two commands.
func TestChildrenModel(t *testing.T) {
	for seed := range uint64(1000) {
		r := rand.New(rand.NewPCG(seed, 2))
		f := &lister{t: t, peers: Peers{Backend: imap.CapSet{}}}
		for range 1 + r.IntN(8) {
			box := ""
			for range 1 + r.IntN(3) {
				if box += string("abc"[r.IntN(3)]); !slices.Contains(f.boxes, box) {
					f.boxes = append(f.boxes, box)
				}
				box += "/"
			}
		}
		pattern := []string{"*", "%", "%/%", "a", "a/%", "%a"}[r.IntN(6)]
		heard := f.run(children(), `"" `+pattern)
		for _, line := range heard[:len(heard)-1] {
			name := strings.Split(line, `"`)[3]
			has := slices.ContainsFunc(f.boxes, func(b string) bool { return strings.HasPrefix(b, name+"/") })
			if strings.Contains(line, `\HasChildren`) != has || strings.Contains(line, `\HasNoChildren`) == has {
				t.Fatalf("seed %d: %s of %q: %s", seed, pattern, f.boxes, line)
			}
		}
		if len(f.asked) > 2 {
			t.Errorf("%q", f.asked)
		}
	}
}

// A listing that is larger than what can be held passes without the attributes, and nothing is lost.
func TestChildrenBeyondBounds(t *testing.T) {
	f := &lister{t: t, peers: Peers{Backend: imap.CapSet{}}}
	for i := range maxListed + 10 {
		f.boxes = append(f.boxes, fmt.Sprint(i))
	}
	// The model of patterns is too slow for so many names.
	heard := f.run(children(), `"" *`)
	if len(heard) != len(f.boxes)+1 || strings.Contains(strings.Join(heard, ""), "Children") || len(f.asked) != 1 {
		t.Errorf("%d lines, asked %q", len(heard), f.asked)
	}
	slices.Sort(heard)
	if len(slices.Compact(heard)) != len(f.boxes)+1 {
		t.Error("a name is there twice")
	}
}

// A command that needs nothing of the family costs nothing.
func TestPlainListCostsNothing(t *testing.T) {
	stack := NewStack(Peers{Backend: ParseCaps("IMAP4rev1 CHILDREN"), Policy: DefaultPolicy()}, All())
	for _, line := range []string{`"" "*"`, `"" %`, `"" ""`} {
		m, err := parsed(line)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"LIST", "LSUB"} {
			m.Name = name
			st := new(Memory)
			n := testing.AllocsPerRun(100, func() {
				if tr, _, ok := stack.Answering(m, st, Top); ok {
					t.Errorf("%s %s goes to %s", name, line, tr.Name)
				}
			})
			if n != 0 {
				t.Errorf("%s %s: %v allocations", name, line, n)
			}
		}
	}
}
