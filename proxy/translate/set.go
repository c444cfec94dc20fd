package translate

import (
	"errors"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// MaxMessages is the number of messages that one translated command handles at most.
const MaxMessages = 1 << 20

// star stands for "*" while a set is read; 0 is no message number and no UID.
const star = 0

var (
	errSet     = errors.New("not a sequence set (RFC 3501 section 9): numbers, ranges n:m and * with commas between")
	errCopyUID = errors.New("not the arguments of COPYUID (RFC 4315 section 3): UIDVALIDITY and two UID sets of equal length")
)

// A Range is the numbers from Low to High, both included.
type Range struct{ Low, High uint32 }

// A Set is a sequence set (RFC 3501 section 9) in its shortest form. Its memory depends on the length
// of the text that it was read from, never on how many numbers it spans.
type Set struct {
	ranges []Range // sorted, neither overlapping nor adjacent
	open   uint32  // the lowest n of "n:*"; "*" alone is the same as 4294967295:*; 0 where there is no "*"
}

// ParseSet reads a sequence set. It accepts ranges in either direction and "*" anywhere, but not "$".
func ParseSet(text string) (Set, error) {
	var s Set
	err := eachRange(text, func(from, to uint32) error {
		switch {
		case from == star && to == star:
			s.extend(math.MaxUint32)
		case from == star || to == star:
			s.extend(max(from, to))
		default:
			s.ranges = append(s.ranges, Range{min(from, to), max(from, to)})
		}
		return nil
	})
	if err != nil {
		return Set{}, err
	}
	s.shorten()
	return s, nil
}

func (s *Set) extend(from uint32) {
	if s.open == 0 || from < s.open {
		s.open = from
	}
}

func (s *Set) shorten() {
	slices.SortFunc(s.ranges, func(a, b Range) int {
		switch {
		case a.Low < b.Low:
			return -1
		case a.Low > b.Low:
			return 1
		}
		return 0
	})
	kept := s.ranges[:0]
	for _, r := range s.ranges {
		n := len(kept)
		if n > 0 && uint64(r.Low) <= uint64(kept[n-1].High)+1 {
			kept[n-1].High = max(kept[n-1].High, r.High)
			continue
		}
		kept = append(kept, r)
	}
	s.ranges = kept
}

// Contains reports whether n is in the set when the highest number in use is last. An open range n:*
// holds last even where it is below n (RFC 3501 section 6.4.8), and nothing above last.
func (s Set) Contains(n, last uint32) bool {
	if s.open != 0 && (n == last || n < last && n >= s.open) {
		return true
	}
	i := sort.Search(len(s.ranges), func(i int) bool { return s.ranges[i].High >= n })
	return i < len(s.ranges) && s.ranges[i].Low <= n
}

// Len returns how many numbers the set spans, without what "*" adds.
func (s Set) Len() uint64 {
	var n uint64
	for _, r := range s.ranges {
		n += uint64(r.High-r.Low) + 1
	}
	return n
}

// Count returns how many of the sorted uids are in the set, without what "*" adds.
func (s Set) Count(uids []uint32) int {
	n := 0
	for _, r := range s.ranges {
		from, _ := slices.BinarySearch(uids, r.Low)
		to, last := slices.BinarySearch(uids, r.High)
		if n += to - from; last {
			n++
		}
	}
	return n
}

// Texts formats the set in pieces of at most octets octets; a single range is never cut.
func (s Set) Texts(octets int) []string {
	b := pieces{octets: octets}
	for _, r := range s.ranges {
		b.add(appendRange(nil, r))
	}
	switch s.open {
	case 0:
	case math.MaxUint32:
		b.add([]byte("*"))
	default:
		b.add(append(strconv.AppendUint(nil, uint64(s.open), 10), ":*"...))
	}
	return b.end()
}

// String returns the set as it stands on the wire.
func (s Set) String() string { return strings.Join(s.Texts(math.MaxInt), "") }

// A Chunk is some numbers and their text on the wire.
type Chunk struct {
	Text string
	UIDs []uint32 // part of the slice that was given to Chunks
}

// Chunks formats numbers in their order, with ranges for ascending runs, in sets of at most octets
// octets each. Reading the texts again gives the same numbers in the same order.
func Chunks(uids []uint32, octets int) []Chunk {
	var chunks []Chunk
	var text []byte
	from := 0
	for i := 0; i < len(uids); {
		n := runLength(uids[i:])
		run := appendRange(nil, Range{uids[i], uids[i+n-1]})
		if len(text) > 0 && len(text)+1+len(run) > octets {
			chunks = append(chunks, Chunk{string(text), uids[from:i]})
			text, from = text[:0], i
		}
		if len(text) > 0 {
			text = append(text, ',')
		}
		text = append(text, run...)
		i += n
	}
	if from < len(uids) {
		chunks = append(chunks, Chunk{string(text), uids[from:]})
	}
	return chunks
}

func runLength(uids []uint32) int {
	n := 1
	for n < len(uids) && uids[n-1] != math.MaxUint32 && uids[n] == uids[n-1]+1 {
		n++
	}
	return n
}

func appendRange(b []byte, r Range) []byte {
	b = strconv.AppendUint(b, uint64(r.Low), 10)
	if r.High != r.Low {
		b = strconv.AppendUint(append(b, ':'), uint64(r.High), 10)
	}
	return b
}

// pieces joins elements with commas and begins a new text where one would become too long.
type pieces struct {
	octets int
	text   []byte
	done   []string
}

func (p *pieces) add(element []byte) {
	if len(p.text) > 0 && len(p.text)+1+len(element) > p.octets {
		p.done, p.text = append(p.done, string(p.text)), p.text[:0]
	}
	if len(p.text) > 0 {
		p.text = append(p.text, ',')
	}
	p.text = append(p.text, element...)
}

func (p *pieces) end() []string {
	if len(p.text) > 0 {
		p.done = append(p.done, string(p.text))
	}
	return p.done
}

// eachRange calls f for each element of a set in the order of the text, with star for "*" and equal
// bounds for a single number.
func eachRange(text string, f func(from, to uint32) error) error {
	for more := true; more; {
		var element string
		element, text, more = strings.Cut(text, ",")
		low, high, isRange := strings.Cut(element, ":")
		if !isRange {
			high = low
		}
		from, ok1 := parseBound(low)
		to, ok2 := parseBound(high)
		if !ok1 || !ok2 {
			return errSet
		}
		if err := f(from, to); err != nil {
			return err
		}
	}
	return nil
}

func parseBound(text string) (uint32, bool) {
	if text == "*" {
		return star, true
	}
	n, err := strconv.ParseUint(text, 10, 32)
	return uint32(n), err == nil && n != 0
}

// A CopyUID says which message became which (RFC 4315 section 3). Source and Dest are paired and of
// equal length, at most [MaxMessages].
type CopyUID struct {
	Validity uint32 // UIDVALIDITY of the mailbox copied to
	Source   []uint32
	Dest     []uint32
}

// ParseCopyUID reads the arguments of a COPYUID code. It refuses what spans more than [MaxMessages]
// before it allocates for it.
func ParseCopyUID(args string) (CopyUID, error) {
	fields := strings.Fields(args)
	if len(fields) != 3 {
		return CopyUID{}, errCopyUID
	}
	validity, ok := parseBound(fields[0])
	if !ok || validity == star {
		return CopyUID{}, errCopyUID
	}
	source, err := expand(fields[1])
	if err != nil {
		return CopyUID{}, err
	}
	dest, err := expand(fields[2])
	if err != nil || len(source) != len(dest) {
		return CopyUID{}, errCopyUID
	}
	return CopyUID{validity, source, dest}, nil
}

// expand lists the UIDs of a set in the order of its text; 4:2 is 2, 3, 4 (RFC 4315 section 4).
func expand(text string) ([]uint32, error) {
	var uids []uint32
	err := eachRange(text, func(from, to uint32) error {
		low, high := min(from, to), max(from, to)
		if low == star || uint64(high-low)+1+uint64(len(uids)) > MaxMessages {
			return errCopyUID
		}
		for n := uint64(low); n <= uint64(high); n++ {
			uids = append(uids, uint32(n))
		}
		return nil
	})
	return uids, err
}

// Merge returns the pairs of both; false when the UIDVALIDITY differs or there are too many. The zero
// CopyUID merges with any.
func (u CopyUID) Merge(v CopyUID) (CopyUID, bool) {
	if u.Validity == 0 {
		return v, true
	}
	if u.Validity != v.Validity || len(u.Source)+len(v.Source) > MaxMessages {
		return CopyUID{}, false
	}
	return CopyUID{u.Validity, slices.Concat(u.Source, v.Source), slices.Concat(u.Dest, v.Dest)}, true
}

// Only returns the pairs whose source is in the sorted uids.
func (u CopyUID) Only(uids []uint32) CopyUID {
	kept := CopyUID{Validity: u.Validity}
	for i, uid := range u.Source {
		if _, ok := slices.BinarySearch(uids, uid); ok {
			kept.Source, kept.Dest = append(kept.Source, uid), append(kept.Dest, u.Dest[i])
		}
	}
	return kept
}

// Args returns the arguments of the code; "" without any pair.
func (u CopyUID) Args() string {
	if len(u.Source) == 0 {
		return ""
	}
	source, dest := Chunks(u.Source, math.MaxInt), Chunks(u.Dest, math.MaxInt)
	return strconv.FormatUint(uint64(u.Validity), 10) + " " + source[0].Text + " " + dest[0].Text
}
