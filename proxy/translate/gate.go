package translate

import (
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/wire"
)

// A Gate refuses the commands of clients that use a capability which was taken away: by the policy, or by
// the capability table from a backend that has it. What a translation sends does not pass it. Nil refuses
// nothing and costs nothing. It never changes, and sessions share it.
type Gate struct {
	commands map[string]imap.Cap           // refused whole
	words    map[place]map[string]imap.Cap // refused for a word
	walked   map[string]bool               // commands in whose arguments words are looked for
}

// newGate returns what has to be refused in sessions that are offered caps; nil for nothing.
func newGate(p Peers, offered []imap.Cap) *Gate {
	g := &Gate{commands: make(map[string]imap.Cap), words: make(map[place]map[string]imap.Cap), walked: make(map[string]bool)}
	b := bouncer{p, make(imap.CapSet)}
	for _, c := range offered {
		b.offered[c] = struct{}{}
	}
	for _, row := range capCommands {
		if b.withdrawn(row.cap) {
			for name := range strings.SplitSeq(row.commands, ",") {
				g.commands[name] = row.cap
			}
		}
	}
	for _, row := range argumentUses {
		if c, removed := b.allRemoved(strings.Fields(row.caps)); removed {
			for word := range strings.FieldsSeq(row.words) {
				g.refuse(row.place, word, c)
			}
		}
	}
	b.algorithms(g)
	for name, places := range placesOf {
		if slices.ContainsFunc(places, func(p place) bool { return g.words[p] != nil }) {
			g.walked[name] = true
		}
	}
	if len(g.commands)+len(g.words) == 0 {
		return nil
	}
	return g
}

func (g *Gate) refuse(p place, word string, c imap.Cap) {
	if g.words[p] == nil {
		g.words[p] = make(map[string]imap.Cap)
	}
	g.words[p][word] = c
}

// A bouncer knows what was taken away from sessions.
type bouncer struct {
	Peers
	offered imap.CapSet
}

// removed reports whether a capability was taken away. One that another one contains which is offered was
// not: IMAP4rev2 has SEARCHRES in it, QRESYNC has CONDSTORE.
func (b bouncer) removed(c imap.Cap) bool {
	row, known := CapRow(c)
	taken := b.Policy.Removes(c) || known && row.Fate == Removed && lists(b.Real, c)
	return taken && !b.offered.Has(c)
}

// withdrawn reports whether the policy has taken a capability away, or all that was there of a family.
func (b bouncer) withdrawn(c imap.Cap) bool {
	family, ok := strings.CutSuffix(string(c), "*")
	if !ok {
		return b.Policy.Removes(c) && !b.offered.Has(c)
	}
	some := b.Policy.Removes(c)
	for each := range b.Backend {
		some = some || strings.HasPrefix(string(each), family) && b.Policy.Removes(each)
	}
	for each := range b.offered {
		some = some && !strings.HasPrefix(string(each), family)
	}
	return some
}

// allRemoved reports whether nothing is left that a word could belong to, and what was taken.
func (b bouncer) allRemoved(names []string) (which imap.Cap, removed bool) {
	for _, name := range names {
		c := imap.Cap(name)
		if b.offered.Has(c) {
			return "", false
		}
		if !removed && b.removed(c) {
			which, removed = c, true
		}
	}
	return which, removed
}

// algorithms refuses the algorithms of THREAD that were taken away while others are left.
func (b bouncer) algorithms(g *Gate) {
	for c := range b.Backend {
		if name, ok := strings.CutPrefix(string(c), "THREAD="); ok && b.removed(c) {
			g.refuse(threadBy, name, c)
		}
	}
}

// Walks reports whether words are looked for in a command's arguments. Those have to be held then, up to
// message data.
func (g *Gate) Walks(name string) bool { return g != nil && g.walked[name] }

// Refuses returns the capability that a command uses although it was taken away. Nothing is allocated
// for commands that it does not have to look into.
func (g *Gate) Refuses(m *wire.Message) (c imap.Cap, refused bool) {
	if g == nil {
		return "", false
	}
	if c, refused = g.commands[m.Name]; refused || !g.walked[m.Name] {
		return c, refused
	}
	w := cursor{gate: g, tokens: m.Tokens}
	w.walk(m.Name)
	return w.taken, w.taken != ""
}

// RefusesMore is [Gate.Refuses] for the line behind a message that is under way.
func (g *Gate) RefusesMore(tokens []wire.Token) (c imap.Cap, refused bool) {
	w := cursor{gate: g, tokens: tokens}
	w.appended(1)
	return w.taken, w.taken != ""
}

func (g *Gate) word(p place, word []byte) (imap.Cap, bool) {
	words := g.words[p]
	if c, ok := words[string(word)]; ok {
		return c, true
	}
	if knownWords[p][string(word)] {
		return "", false
	}
	c, ok := words[anyWord]
	return c, ok
}

// knownWords are the words that have a row of their own, so that [anyWord] does not speak for them.
var knownWords = indexWords()

func indexWords() map[place]map[string]bool {
	index := make(map[place]map[string]bool)
	for _, row := range argumentUses {
		if index[row.place] == nil {
			index[row.place] = make(map[string]bool)
		}
		for word := range strings.FieldsSeq(row.words) {
			index[row.place][word] = true
		}
	}
	return index
}

// Used returns the label under which the use of a capability is counted that was not offered: the name of
// its row in the table, else [UnknownCap].
func Used(c imap.Cap) string {
	if row, ok := CapRow(c); ok {
		return row.Name
	}
	return UnknownCap
}

// UsedBy returns the capability that a command belongs to which nobody takes; false where it has none or
// where that is offered.
func UsedBy(name string, offered []imap.Cap) (imap.Cap, bool) {
	c, ok := capsByCommand[name]
	return c, ok && !slices.Contains(offered, c)
}

// Removes reports whether the policy takes a capability away: by its name, its family, or what it belongs
// to.
func (p *Policy) Removes(c imap.Cap) bool {
	for c != "" {
		for _, r := range p.Remove {
			family, ok := strings.CutSuffix(string(r), "*")
			if r == c || ok && strings.HasPrefix(string(c), family) {
				return true
			}
		}
		row, _ := CapRow(c)
		if row.Unmapped && p.Names.On() {
			return true
		}
		c = row.Of
	}
	return false
}
