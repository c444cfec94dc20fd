package translate

import (
	"math"
	"slices"
	"strconv"

	"github.com/imapgate/imapgate/proxy/wire"
)

// maxRuns bounds the result of a search: ranges of numbers without gaps, of 8 octets each, 1 MB. A quarter
// of a million messages of which every second one is found have as many.
const maxRuns = 1 << 17

// hits are the result of a search, from any number of SEARCH responses.
type hits struct {
	found      Set
	modseq     uint64 // the highest mod-sequence of what was found (RFC 7162 section 3.1.6)
	renumbered bool   // messages went while the search ran
	tooMany    bool
}

// sink takes SEARCH responses.
func (h *hits) sink(m *wire.Message) (Verdict, error) {
	if _, gone := removed(m); gone {
		h.renumbered = true
		return Pass, nil
	}
	if m.Name != "SEARCH" || m.Num != 0 {
		return Pass, nil
	}
	for i, t := range m.Tokens {
		n, ok := t.Number()
		if ok && n != 0 {
			h.add(n)
			continue
		}
		if rest := m.Tokens[i:]; t.Kind == wire.Open && len(rest) == 4 && rest[1].Is("MODSEQ") {
			h.modseq = max(h.modseq, modSeqOf(rest[2]))
		}
		break
	}
	return Drop, nil
}

// modSeqOf reads a mod-sequence; 0 for none.
func modSeqOf(t wire.Token) uint64 {
	n, err := strconv.ParseUint(string(t.Text), 10, 63)
	if err != nil {
		return 0
	}
	return n
}

// add notes a number. Those of most servers ascend.
func (h *hits) add(n uint32) {
	runs := h.found.ranges
	switch last := len(runs) - 1; {
	case h.tooMany:
	case last >= 0 && runs[last].High == n-1:
		runs[last].High = n
	case last >= 0 && runs[last].Low <= n && n <= runs[last].High:
	case len(runs) < maxRuns:
		h.found.ranges = append(runs, Range{n, n})
	default:
		h.found.shorten()
		if h.tooMany = len(h.found.ranges) > maxRuns/2; !h.tooMany {
			h.found.ranges = append(h.found.ranges, Range{n, n})
		}
	}
}

// search runs one search after the other and returns what they found, sorted. The status is the backend's.
// Numbers that changed while a search by number ran would be other messages than those that were found.
func search(x Exchange, pieces ...program) (h *hits, s wire.Status, err error) {
	h = new(hits)
	for i, p := range pieces {
		x.Progress(i, len(pieces))
		if s, err = x.Do(p.command(), h.sink); err != nil || !s.OK() {
			return h, s, err
		}
	}
	h.found.shorten()
	switch {
	case h.tooMany:
		return h, s, no("LIMIT", "The search finds too many messages")
	case h.renumbered && !uidForm(pieces[0].head):
		return h, s, no("EXPUNGEISSUED", "Message numbers have changed during the search")
	}
	return h, s, nil
}

func uidForm(head string) bool { return len(head) > 4 && head[:4] == "UID " }

func unUID(head string) string {
	if uidForm(head) {
		return head[4:]
	}
	return head
}

// Result options of RFC 4731 section 3.1 and RFC 5182 section 2.1.
type results uint8

const (
	resultMin results = 1 << iota
	resultMax
	resultCount
	resultAll
	resultSave
)

var resultNames = map[string]results{
	"MIN": resultMin, "MAX": resultMax, "COUNT": resultCount, "ALL": resultAll, "SAVE": resultSave,
}

// readResults reads RETURN and its list, of which those options are known that are in known. An empty list
// means ALL (RFC 4731 section 3.1).
func readResults(ret []wire.Token, known results) (results, error) {
	if len(ret) == 3 {
		return resultAll, nil
	}
	var opts results
	for _, t := range ret[2 : len(ret)-1] {
		o, ok := resultNames[upperAtom(t)]
		if !ok || o&known == 0 {
			return 0, bad("A result option is unknown")
		}
		opts |= o
	}
	return opts, nil
}

// answer writes the ESEARCH response. It comes also when nothing was found; then without MIN, MAX and ALL
// (RFC 4731 section 3.1).
func (h *hits) answer(x Exchange, head string, opts results) error {
	tokens := wire.List(wire.Word("TAG"), wire.String(x.Tag()))
	if uidForm(head) {
		tokens = append(tokens, wire.Word("UID"))
	}
	add := func(name, value string) { tokens = append(tokens, wire.Word(name), wire.Word(value)) }
	runs := h.found.ranges
	if len(runs) > 0 {
		if opts&resultMin != 0 {
			add("MIN", decimal(uint64(runs[0].Low)))
		}
		if opts&resultMax != 0 {
			add("MAX", decimal(uint64(runs[len(runs)-1].High)))
		}
	}
	if opts&resultCount != 0 {
		add("COUNT", decimal(h.found.Len()))
	}
	if len(runs) > 0 && opts&resultAll != 0 {
		add("ALL", h.found.String())
	}
	if len(runs) > 0 && h.modseq != 0 {
		add("MODSEQ", decimal(h.modseq))
	}
	return x.Untagged(wire.Data("ESEARCH", tokens...))
}

// perLine is how many numbers stand in one SEARCH response.
const perLine = 1000

// list writes SEARCH responses, several where there are many hits.
func (h *hits) list(x Exchange) error {
	line := wire.Data("SEARCH")
	for _, r := range h.found.ranges {
		for n := uint64(r.Low); n <= uint64(r.High); n++ {
			if len(line.Tokens) == perLine {
				if err := x.Untagged(line); err != nil {
					return err
				}
				line.Tokens = line.Tokens[:0]
			}
			line.Tokens = append(line.Tokens, wire.Word(decimal(n)))
		}
	}
	if h.modseq != 0 {
		line.Tokens = append(line.Tokens, wire.List(wire.Word("MODSEQ"), wire.Word(decimal(h.modseq)))...)
	}
	return x.Untagged(line)
}

func decimal(n uint64) string { return strconv.FormatUint(n, 10) }

// only returns the members of the result that opts name: the lowest, the highest or both, unless COUNT or
// ALL is among them or nothing is (RFC 5182 section 2.4).
func (h *hits) only(opts results) Set {
	runs := h.found.ranges
	if len(runs) == 0 || opts&(resultMin|resultMax) == 0 || opts&(resultCount|resultAll) != 0 {
		return h.found
	}
	var s Set
	if opts&resultMin != 0 {
		s.ranges = append(s.ranges, Range{runs[0].Low, runs[0].Low})
	}
	if high := runs[len(runs)-1].High; opts&resultMax != 0 {
		s.ranges = append(s.ranges, Range{high, high})
	}
	s.shorten()
	return s
}

// modSeqs makes the mod-sequence that of the messages which are returned, where those are the lowest, the
// highest or both of what was found (RFC 4731 section 3.2).
func (h *hits) modSeqs(x Exchange, head string, opts results) error {
	if h.modseq == 0 || opts&(resultMin|resultMax) == 0 || opts&(resultCount|resultAll) != 0 {
		return nil
	}
	name := "FETCH"
	if uidForm(head) {
		name = "UID FETCH"
	}
	asked := h.only(opts)
	highest := uint64(0)
	sink := func(m *wire.Message) (Verdict, error) {
		f, ok := readFetch(m)
		modseq, told := fetchedModSeq(m)
		num := m.Num
		if uidForm(head) {
			num = f.uid
		}
		if !ok || !told || !asked.Contains(num, math.MaxUint32) {
			return Pass, nil
		}
		highest = max(highest, modseq)
		if f.flags {
			return Pass, nil
		}
		return Drop, nil
	}
	items := wire.List(wire.Word("MODSEQ"))
	s, err := x.Do(wire.Command(name, append([]wire.Token{wire.Word(asked.String())}, items...)...), sink)
	if s.OK() {
		h.modseq = highest
	} else {
		h.modseq = 0
	}
	return err
}

// fetchedModSeq reads MODSEQ (n) in a FETCH response.
func fetchedModSeq(m *wire.Message) (uint64, bool) {
	i := slices.IndexFunc(m.Tokens, func(t wire.Token) bool { return t.Is("MODSEQ") })
	if i < 0 || i+2 >= len(m.Tokens) {
		return 0, false
	}
	n := modSeqOf(m.Tokens[i+2])
	return n, n != 0
}
