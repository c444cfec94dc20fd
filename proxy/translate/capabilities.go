package translate

import (
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/wire"
)

// UnknownCap is the label that [Used] gives to names that are in no row of the capability table.
const UnknownCap = "other"

// capTable is [Table] with an index by upper-case name, families without their "*".
type capTable struct {
	rows     []Capability
	exact    map[string]int
	families map[string]int
}

var caps = indexCaps(Table())

func indexCaps(rows []Capability) capTable {
	t := capTable{rows: rows, exact: make(map[string]int), families: make(map[string]int)}
	for i, row := range rows {
		if prefix, ok := strings.CutSuffix(row.Name, "*"); ok {
			t.families[prefix] = i
			continue
		}
		t.exact[strings.ToUpper(row.Name)] = i
	}
	return t
}

// row finds the row of a name: its own, else its family's.
func (t *capTable) row(name string) (int, bool) {
	upper := strings.ToUpper(name)
	if i, ok := t.exact[upper]; ok {
		return i, true
	}
	for prefix, i := range t.families {
		if len(upper) > len(prefix) && strings.HasPrefix(upper, prefix) {
			return i, true
		}
	}
	return 0, false
}

// CapRow returns the row of the capability table that decides on a name.
func CapRow(c imap.Cap) (Capability, bool) {
	i, ok := caps.row(string(c))
	if !ok {
		return Capability{}, false
	}
	return caps.rows[i], true
}

// ParseCaps reads what stands behind CAPABILITY in a response or a response code. Names come out in
// upper case, but IMAP4rev1 and IMAP4rev2 as they are always written, and the values of RIGHTS= and
// XCOURIEROUTBOX= as they came, because case means something there. What cannot be an atom (RFC 3501
// section 9) is left out.
func ParseCaps(line string) imap.CapSet {
	set := make(imap.CapSet)
	for _, name := range strings.Fields(line) {
		if isAtom(name) {
			set[canonical(name)] = struct{}{}
		}
	}
	return set
}

// CapsOf reads the arguments of a "* CAPABILITY" or "* ENABLED" response.
func CapsOf(tokens []wire.Token) imap.CapSet {
	set := make(imap.CapSet)
	for _, t := range tokens {
		if name := string(t.Text); t.Kind == wire.Atom && isAtom(name) {
			set[canonical(name)] = struct{}{}
		}
	}
	return set
}

// ReadCap returns a capability as clients are told it, and whether its name can be one (RFC 3501 section 9).
func ReadCap(name string) (imap.Cap, bool) {
	bare := strings.TrimSuffix(name, "*") // a family of the table
	return canonical(name), isAtom(bare)
}

func canonical(name string) imap.Cap {
	upper := strings.ToUpper(name)
	if i, ok := caps.exact[upper]; ok {
		return imap.Cap(caps.rows[i].Name)
	}
	for _, family := range [...]string{"RIGHTS=", "XCOURIEROUTBOX="} {
		if strings.HasPrefix(upper, family) {
			return imap.Cap(family + name[len(family):])
		}
	}
	return imap.Cap(upper)
}

func isAtom(name string) bool {
	for i := 0; i < len(name); i++ {
		if c := name[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`(){%*"\]`, c) >= 0 {
			return false
		}
	}
	return name != ""
}

// Format returns a capability list as it stands behind CAPABILITY.
func Format(list []imap.Cap) string {
	var b strings.Builder
	for i, c := range list {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(string(c))
	}
	return b.String()
}

// ownRev2Needs is what a backend has to name beside its own IMAP4rev2: in front of one that does not,
// translations offer these, and read answers to SEARCH as IMAP4rev1 has them.
var ownRev2Needs = []imap.Cap{imap.CapEnable, imap.CapESearch, imap.CapSearchRes, imap.CapMove}

// Session returns what is offered to the client of a session after login, in the order of the table:
// what the proxy keeps itself, what the backend has and passes, and what translations offer; less what
// the policy removes. What the policy adds passes although the table does not let it, where the backend
// or a translation has it.
func Session(p Peers, offered imap.CapSet) []imap.Cap {
	byRow := make([][]imap.Cap, len(caps.rows)+1) // the last is for what is in no row
	add := func(c imap.Cap, fates ...Fate) {
		i, ok := caps.row(string(c))
		if !ok {
			i = len(caps.rows)
		}
		known := ok && slices.Contains(fates, caps.rows[i].Fate)
		if ok && caps.rows[i].Fate == BeforeLogin {
			return // AUTH=OAUTHBEARER may be added, and is over with the login
		}
		if c == imap.CapLiteralMinus && !p.Policy.literalMinus() {
			return
		}
		if (known || slices.Contains(p.Policy.Add, c)) && !p.Policy.Removes(c) && !slices.Contains(byRow[i], c) {
			byRow[i] = append(byRow[i], c)
		}
	}
	for _, row := range caps.rows {
		if row.Fate == Ours { // Policy.Add takes what somebody has, not what nobody keeps
			add(imap.Cap(row.Name), Ours)
		}
	}
	for c := range p.Real {
		if c != imap.CapIMAP4rev2 || !slices.ContainsFunc(ownRev2Needs, func(need imap.Cap) bool { return !lists(p.Real, need) }) {
			add(c, Passed)
		}
	}
	for c := range offered {
		add(c, Passed, Translated)
	}
	return flatten(byRow)
}

func flatten(byRow [][]imap.Cap) []imap.Cap {
	var list []imap.Cap
	for _, names := range byRow {
		slices.Sort(names)
		list = append(list, names...)
	}
	return list
}

// EnableFilter returns those arguments that may pass, of a client's ENABLE towards the backend and of
// a backend's "* ENABLED" towards the client alike: names that ENABLE takes and that stand in the
// session's list. Each passes once, in its canonical form.
func EnableFilter(args []wire.Token, session []imap.Cap) []wire.Token {
	var passed []wire.Token
	var seen []imap.Cap
	for _, t := range args {
		c := canonical(string(t.Text))
		if t.Kind != wire.Atom || slices.Contains(seen, c) || !enableable(c, session) {
			continue
		}
		seen = append(seen, c)
		passed = append(passed, wire.Word(string(c)))
	}
	return passed
}

func enableable(c imap.Cap, session []imap.Cap) bool {
	row, ok := CapRow(c)
	if !ok || !row.Enable {
		return false
	}
	if c == imap.CapUTF8Accept && slices.Contains(session, imap.CapUTF8Only) {
		return true
	}
	if c == imap.CapCondStore && slices.Contains(session, imap.CapQResync) {
		return true // RFC 7162 section 3.2.3: QRESYNC is CONDSTORE and more
	}
	return slices.Contains(session, c)
}

// lists reports whether c itself stands in the set; imap.CapSet.Has also says yes to what IMAP4rev2
// contains, which a client that speaks IMAP4rev1 cannot count on.
func lists(set imap.CapSet, c imap.Cap) bool {
	_, ok := set[c]
	return ok
}
