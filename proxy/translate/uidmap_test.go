package translate

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/imapgate/imapgate/proxy/wire"
)

// mapped returns a map that follows a mailbox with these UIDs.
func mapped(uids []uint32) *uidMap {
	u := &uidMap{attached: true, counted: true, count: uint32(len(uids))}
	u.list.grow(len(uids))
	for i, uid := range uids {
		if uid != 0 {
			u.list.set(i, uid)
		}
	}
	return u
}

func ascending(n, step int) []uint32 {
	uids := make([]uint32, n)
	for i := range uids {
		uids[i] = uint32((i + 1) * step)
	}
	return uids
}

func (u *uidMap) listed() []uint32 {
	var uids []uint32
	for _, uid := range u.list.all() {
		uids = append(uids, uid)
	}
	return uids
}

func fetchUID(num, uid uint32) *wire.Message {
	return wire.Numbered(num, "FETCH", wire.List(wire.Word("UID"), wire.Word(decimal(uint64(uid))))...)
}

// consistent checks what a list says of itself.
func consistent(t *testing.T, l *uidList) {
	t.Helper()
	n, unknown, reach := 0, 0, 0
	for _, b := range l.blocks {
		known := 0
		for _, uid := range b.uids {
			if n++; uid == 0 {
				unknown++
				continue
			}
			known++
			reach = n
		}
		if known != b.known || len(b.uids) == 0 || len(b.uids) > blockSize {
			t.Fatalf("a block of %d says %d of %d known", len(b.uids), b.known, known)
		}
	}
	if n != l.n || unknown != l.unknown || reach > l.reach {
		t.Fatalf("%d messages, %d unknown up to %d; the list says %d, %d, %d", n, unknown, reach, l.n, l.unknown, l.reach)
	}
	if len(l.blocks) > 2*(l.n/blockSize)+2 {
		t.Fatalf("%d blocks for %d messages", len(l.blocks), l.n)
	}
}

// model is a mailbox that is followed in the simplest way.
type model struct {
	uids []uint32 // 0: not asked for, or not told
	real []uint32
	next uint32
}

// step does to the model and to the map what an octet of ops says, and reports whether the map goes on.
func (d *model) step(t *testing.T, u *uidMap, op, at byte) bool {
	n := len(d.real)
	i := 0
	if n > 0 {
		i = int(at) * n / 256
	}
	switch {
	case op < 96 && n > 0:
		d.real = slices.Delete(d.real, i, i+1)
		if i < len(d.uids) {
			d.uids = slices.Delete(d.uids, i, i+1)
		}
		d.watch(t, u, wire.Numbered(uint32(i+1), "EXPUNGE"))
	case op < 128 && n > 0 && u.list.unknown == 0:
		to := min(n, i+int(op%4)+1)
		gone := Chunks(d.real[i:to], 1<<20)[0].Text
		d.real = slices.Delete(d.real, i, to)
		if i < len(d.uids) {
			d.uids = slices.Delete(d.uids, i, min(to, len(d.uids)))
		}
		d.watch(t, u, wire.Data("VANISHED", wire.Word(gone)))
	case op < 192:
		for range int(at) * int(op%8) {
			d.next += 1 + uint32(op)%3
			d.real = append(d.real, d.next)
		}
		d.watch(t, u, wire.Numbered(uint32(len(d.real)), "EXISTS"))
	case op < 224:
		u.list.grow(len(d.real))
		for len(d.uids) < len(d.real) {
			d.uids = append(d.uids, 0)
		}
	case n > 0:
		d.watch(t, u, fetchUID(uint32(i+1), d.real[i]))
		if i < len(d.uids) {
			d.uids[i] = d.real[i]
		}
	}
	return true
}

func (d *model) watch(t *testing.T, u *uidMap, m *wire.Message) {
	t.Helper()
	if err := u.Watch(m); err != nil {
		t.Fatalf("%s %d: %v", m.Name, m.Num, err)
	}
}

// check compares the map with the model.
func (d *model) check(t *testing.T, u *uidMap) {
	t.Helper()
	consistent(t, &u.list)
	if !u.counted || u.count != uint32(len(d.real)) || !slices.Equal(u.listed(), d.uids) {
		t.Fatalf("the map has %v of %d, want %v of %d", u.listed(), u.count, d.uids, len(d.real))
	}
	var uids Set
	var numbers []uint32
	for i, uid := range d.uids {
		if uid != 0 && uid%3 == 0 {
			uids.ranges = append(uids.ranges, Range{uid, uid})
			numbers = append(numbers, uint32(i+1))
		}
	}
	found := u.numbers(uids)
	back := u.uids(found)
	for i, uid := range d.uids {
		num := uint32(i + 1)
		_, want := slices.BinarySearch(numbers, num)
		if found.Contains(num, 0) != want || uid != 0 && back.Contains(uid, 0) != want {
			t.Fatalf("message %d with UID %d: found %v, %v", num, uid, found.Contains(num, 0), back.Contains(uid, 0))
		}
	}
}

// TestUIDMapModel plays random mailboxes.
func TestUIDMapModel(t *testing.T) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 1))
		u, d := mapped(nil), &model{}
		for range 400 {
			d.step(t, u, byte(r.Uint32()), byte(r.Uint32()))
		}
		d.check(t, u)
	}
}

func FuzzUIDMap(f *testing.F) {
	f.Add([]byte{190, 255, 200, 0, 230, 9, 10, 100, 100, 50, 230, 200})
	f.Fuzz(func(t *testing.T, ops []byte) {
		u, d := mapped(nil), &model{}
		for i := 0; i+1 < len(ops) && i < 2000 && len(d.real) < 5000; i += 2 {
			d.step(t, u, ops[i], ops[i+1])
		}
		d.check(t, u)
	})
}

// FuzzUIDMapHostile: whatever a backend says, nothing panics and nothing grows, and the session ends or the
// map says of itself what is true.
func FuzzUIDMapHostile(f *testing.F) {
	f.Add([]byte("\x00\x05\x01\x05\x02\x05\x03\x05\x04\x01"))
	f.Fuzz(func(t *testing.T, ops []byte) {
		u := mapped(ascending(40, 10))
		for i := 0; i+1 < len(ops); i += 2 {
			n := uint32(ops[i+1])
			m := wire.Numbered(n, "EXPUNGE")
			switch ops[i] % 6 {
			case 1:
				m = wire.Numbered(n<<24|n, "EXISTS")
			case 2:
				m = fetchUID(n, n*7)
			case 3:
				m = wire.Data("VANISHED", wire.Word(Set{ranges: []Range{{n + 1, n + uint32(ops[i]) + 1}}}.String()))
			case 4:
				m = wire.Data("VANISHED", wire.Word("1:*"))
			case 5:
				m = wire.Numbered(n, "EXISTS")
			}
			if err := u.Watch(m); err != nil {
				return
			}
			consistent(t, &u.list)
			if u.counted && uint32(u.list.n) > u.count {
				t.Fatalf("%d messages in a mailbox of %d", u.list.n, u.count)
			}
			if u.list.n > 40 {
				t.Fatalf("the list has grown to %d", u.list.n)
			}
		}
	})
}

func TestUIDMapContradictions(t *testing.T) {
	for name, m := range map[string]*wire.Message{
		"another UID":               fetchUID(2, 21),
		"a UID of another":          fetchUID(2, 30),
		"not ascending":             fetchUID(5, 35),
		"not ascending, before":     fetchUID(5, 60),
		"EXPUNGE above EXISTS":      wire.Numbered(9, "EXPUNGE"),
		"EXISTS below what it was":  wire.Numbered(7, "EXISTS"),
		"EXPUNGE without a message": wire.Numbered(0, "EXPUNGE"),
	} {
		u := mapped([]uint32{10, 20, 30, 40, 0, 60, 70, 80})
		var desync *wire.Desync
		if err := u.Watch(m); !errors.As(err, &desync) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, m := range map[string]*wire.Message{
		"the same":                  fetchUID(2, 20),
		"one that was missing":      fetchUID(5, 55),
		"above EXISTS, as Exchange": fetchUID(9, 5),
		"no UID":                    wire.Numbered(2, "FETCH", wire.List(wire.Word("FLAGS"))...),
		"no number":                 fetchUID(2, 0),
		"more messages":             wire.Numbered(9, "EXISTS"),
		"VANISHED (EARLIER)":        wire.Data("VANISHED", append(wire.List(wire.Word("EARLIER")), wire.Word("10"))...),
	} {
		u := mapped([]uint32{10, 20, 30, 40, 0, 60, 70, 80})
		if err := u.Watch(m); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestUIDMapBulkExpunge: removing 100,000 messages one by one, from the front, takes no quadratic time.
func TestUIDMapBulkExpunge(t *testing.T) {
	const n = 100_000
	u := mapped(ascending(n, 3))
	gone := wire.Numbered(1, "EXPUNGE")
	for range n - 1 {
		if err := u.Watch(gone); err != nil {
			t.Fatal(err)
		}
	}
	if got := u.listed(); len(got) != 1 || got[0] != 3*n {
		t.Fatalf("left: %v", got)
	}
	consistent(t, &u.list)
}

func TestUIDMapMemory(t *testing.T) {
	u := mapped(ascending(maxMapped, 3))
	room := 0
	for _, b := range u.list.blocks {
		room += cap(b.uids)
	}
	if room > maxMapped+blockSize {
		t.Errorf("room for %d messages, want %d", room, maxMapped)
	}
}

func BenchmarkUIDMap(b *testing.B) {
	uids := ascending(100_000, 3)
	b.Run("build", func(b *testing.B) {
		m := fetchUID(1, 1)
		for range b.N {
			u := mapped(nil)
			u.count = uint32(len(uids))
			u.list.grow(len(uids))
			for i, uid := range uids {
				m.Num, m.Tokens[2].Text = uint32(i+1), strconv.AppendUint(m.Tokens[2].Text[:0], uint64(uid), 10)
				if err := u.Watch(m); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	for name, at := range map[string]func(n int) int{
		"first": func(int) int { return 0 }, "last": func(n int) int { return n - 1 }, "middle": func(n int) int { return n / 2 },
	} {
		b.Run("expunge "+name, func(b *testing.B) {
			for range b.N {
				b.StopTimer()
				u := mapped(uids)
				b.StartTimer()
				for n := len(uids); n > 0; n-- {
					if err := u.expunged(uint32(at(n) + 1)); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
	b.Run("vanished one by one", func(b *testing.B) {
		for range b.N {
			b.StopTimer()
			u := mapped(uids)
			b.StartTimer()
			for _, uid := range uids {
				u.vanished(Set{ranges: []Range{{uid, uid}}})
			}
		}
	})
	b.Run("numbers of every second", func(b *testing.B) {
		u := mapped(uids)
		var s Set
		for i := 0; i < len(uids); i += 2 {
			s.ranges = append(s.ranges, Range{uids[i], uids[i]})
		}
		for range b.N {
			u.numbers(s)
		}
	})
}
