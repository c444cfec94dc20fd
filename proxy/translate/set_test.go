package translate

import (
	"math"
	"slices"
	"strings"
	"testing"
)

func TestParseSet(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"1", "1"}, {"3:1", "1:3"}, {"5,1:2,3", "1:3,5"}, {"1:5,2:3", "1:5"}, {"*", "*"}, {"*:4", "4:*"},
		{"7:*,4:*,1", "1,4:*"}, {"*:*", "*"}, {"1:4294967295", "1:4294967295"}, {"4294967295,1", "1,4294967295"}, {"007", "7"},
	} {
		s, err := ParseSet(c.in)
		if err != nil || s.String() != c.want {
			t.Errorf("ParseSet(%q) = %q, %v; want %q", c.in, s, err, c.want)
		}
	}
	for _, in := range []string{"", ",", "1,", "0", "1:0", "a", "1:2:3", "4294967296", "-1", "+1", "$", "1 2", "1:", "1_0"} {
		if s, err := ParseSet(in); err == nil {
			t.Errorf("ParseSet(%q) = %q", in, s)
		}
	}
}

func TestSetContains(t *testing.T) {
	for _, c := range []struct {
		set     string
		n, last uint32
		want    bool
	}{
		{"2:4", 3, 9, true}, {"2:4", 5, 9, false}, {"*", 9, 9, true}, {"*", 8, 9, false},
		{"5:*", 5, 9, true}, {"5:*", 4, 9, false}, {"12:*", 9, 9, true}, {"12:*", 8, 9, false}, {"1,12:*", 1, 9, true},
		{"*", 10, 9, false}, {"5:*", 10, 9, false}, {"5", 0, 9, false},
	} {
		s, err := ParseSet(c.set)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Contains(c.n, c.last); got != c.want {
			t.Errorf("%s contains %d of %d: %v", c.set, c.n, c.last, got)
		}
	}
}

func TestChunksKeepOrder(t *testing.T) {
	for _, c := range []struct {
		uids   []uint32
		octets int
		want   string
	}{
		{[]uint32{1, 2, 3, 7, 9, 10}, 100, "1:3,7,9:10"},
		{[]uint32{1, 2, 3, 7, 9, 10}, 5, "1:3,7|9:10"},
		{[]uint32{9, 3, 4, 1}, 100, "9,3:4,1"},
		{[]uint32{math.MaxUint32 - 1, math.MaxUint32}, 3, "4294967294:4294967295"},
		{nil, 100, ""},
	} {
		var texts []string
		for _, chunk := range Chunks(c.uids, c.octets) {
			texts = append(texts, chunk.Text)
		}
		if got := strings.Join(texts, "|"); got != c.want {
			t.Errorf("Chunks(%v, %d) = %q, want %q", c.uids, c.octets, got, c.want)
		}
	}
}

func TestCopyUID(t *testing.T) {
	u, err := ParseCopyUID("38505 304,321:319 3956:3958,1")
	if err != nil || u.Validity != 38505 || !slices.Equal(u.Source, []uint32{304, 319, 320, 321}) || !slices.Equal(u.Dest, []uint32{3956, 3957, 3958, 1}) {
		t.Fatalf("%+v, %v", u, err)
	}
	if got := u.Args(); got != "38505 304,319:321 3956:3958,1" {
		t.Errorf("Args = %q", got)
	}
	if got := u.Only([]uint32{304, 320}).Args(); got != "38505 304,320 3956,3958" {
		t.Errorf("Only = %q", got)
	}
	if v, ok := u.Merge(CopyUID{38505, []uint32{400}, []uint32{2}}); !ok || v.Args() != "38505 304,319:321,400 3956:3958,1:2" {
		t.Errorf("Merge = %q, %v", v.Args(), ok)
	}
	if _, ok := u.Merge(CopyUID{1, []uint32{400}, []uint32{2}}); ok {
		t.Error("merged although UIDVALIDITY differs")
	}
	for _, in := range []string{"", "1", "1 2", "1 2 3 4", "1 1:2 3", "0 1 1", "* 1 1", "1 * 1", "1 1 1:*", "1  1", "1 1 x"} {
		if u, err := ParseCopyUID(in); err == nil {
			t.Errorf("ParseCopyUID(%q) = %+v", in, u)
		}
	}
}

func TestHostileCopyUIDAllocatesLittle(t *testing.T) {
	line := "1 1:4294967295 1:4294967295"
	if n := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := ParseCopyUID(line); err == nil {
				b.Fatal("accepted")
			}
		}
	}).AllocedBytesPerOp(); n > 1024 {
		t.Errorf("%d octets for a hostile range", n)
	}
	s, err := ParseSet("1:4294967295")
	if err != nil || s.Len() != math.MaxUint32 {
		t.Errorf("Len = %d, %v", s.Len(), err)
	}
}

// FuzzSet: what is read and written again means the same, and pieces mean the whole.
func FuzzSet(f *testing.F) {
	for _, in := range []string{"1", "3:1,*", "5:*,1,2", "4294967295:1", "1:2,4:5,9", "*:*"} {
		f.Add(in, uint32(3), uint32(7))
	}
	f.Fuzz(func(t *testing.T, in string, n, last uint32) {
		s, err := ParseSet(in)
		if err != nil {
			return
		}
		again, err := ParseSet(s.String())
		if err != nil || again.String() != s.String() {
			t.Fatalf("%q became %q, then %q: %v", in, s, again, err)
		}
		want, found := naive(in, n, last), s.Contains(n, last)
		if n != 0 && n <= last && want != found {
			t.Errorf("%q contains %d of %d: %v, want %v", in, n, last, found, want)
		}
		checkPieces(t, s, n, last)
	})
}

func checkPieces(t *testing.T, s Set, n, last uint32) {
	found := false
	for _, text := range s.Texts(24) {
		piece, err := ParseSet(text)
		if err != nil || len(text) > 24 {
			t.Fatalf("piece %q: %v", text, err)
		}
		found = found || piece.Contains(n, last)
	}
	if found != s.Contains(n, last) {
		t.Errorf("the pieces of %q disagree on %d", s, n)
	}
}

// naive follows the words of RFC 3501 section 9 without any shortening.
func naive(text string, n, last uint32) bool {
	found := false
	_ = eachRange(text, func(from, to uint32) error {
		if from == star {
			from = last
		}
		if to == star {
			to = last
		}
		found = found || min(from, to) <= n && n <= max(from, to)
		return nil
	})
	return found
}

// FuzzCopyUID: pairs survive, and memory follows the limit.
func FuzzCopyUID(f *testing.F) {
	f.Add("38505 304,321:319 3956:3958,1")
	f.Add("1 1:4294967295 1:4294967295")
	f.Fuzz(func(t *testing.T, in string) {
		u, err := ParseCopyUID(in)
		if err != nil {
			return
		}
		if len(u.Source) != len(u.Dest) || len(u.Source) == 0 || len(u.Source) > MaxMessages {
			t.Fatalf("%d and %d UIDs", len(u.Source), len(u.Dest))
		}
		again, err := ParseCopyUID(u.Args())
		if err != nil || !slices.Equal(again.Source, u.Source) || !slices.Equal(again.Dest, u.Dest) {
			t.Fatalf("%q: %v", u.Args(), err)
		}
	})
}
