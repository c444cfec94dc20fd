package wire

import "math/bits"

const (
	maxCode  = 15 // bits of a code (RFC 1951 section 3.2.7)
	fastBits = 9  // of codes that are found at once
)

// A huffman is a prefix code (RFC 1951 section 3.2.2).
type huffman struct {
	fast   [1 << fastBits]uint16 // by the next bits: symbol<<4 | length; 0 where the code is longer
	count  [maxCode + 1]uint16   // codes by length
	symbol [288]uint16           // by length, then by value
}

// build makes the code from its lengths, 0 for a symbol without one. A code that is not complete is taken
// only where it has one symbol, with one bit, or none, as compress/flate does.
func (h *huffman) build(lens []uint8) error {
	h.count = [maxCode + 1]uint16{}
	longest := 0
	for _, n := range lens {
		h.count[n]++
		longest = max(longest, int(n))
	}
	h.count[0] = 0
	var offset [maxCode + 2]uint16
	var next [maxCode + 2]int
	for n := 1; n <= maxCode; n++ {
		offset[n+1] = offset[n] + h.count[n]
		next[n+1] = (next[n] + int(h.count[n])) << 1
	}
	if over := next[longest] + int(h.count[longest]); longest > 0 && over != 1<<longest && (over != 1 || longest != 1) {
		return ErrDeflate
	}
	clear(h.fast[:])
	for sym, n := range lens {
		if n == 0 {
			continue
		}
		h.symbol[offset[n]] = uint16(sym)
		offset[n]++
		h.quick(sym, n, next[n])
		next[n]++
	}
	return nil
}

// quick notes a short code under everything that it can be followed by. Codes come with the first bit
// lowest.
func (h *huffman) quick(sym int, n uint8, code int) {
	if n > fastBits {
		return
	}
	first := int(bits.Reverse16(uint16(code)) >> (16 - n))
	for i := first; i < len(h.fast); i += 1 << n {
		h.fast[i] = uint16(sym)<<4 | uint16(n)
	}
}

// find returns the symbol that b, of which there are have bits, begins with, and the length of its code; 0
// where there is none or more bits are needed.
func (h *huffman) find(b uint64, have uint) (sym int, n uint) {
	if f := h.fast[b&(1<<fastBits-1)]; f != 0 {
		if n = uint(f & 15); n <= have {
			return int(f >> 4), n
		}
		return 0, 0
	}
	code, first, index := 0, 0, 0
	for n = 1; n <= min(have, maxCode); n++ {
		code |= int(b & 1)
		b >>= 1
		count := int(h.count[n])
		if code-first < count {
			return int(h.symbol[index+code-first]), n
		}
		index += count
		first = (first + count) << 1
		code <<= 1
	}
	return 0, 0
}

// A span is what a symbol for a length or a distance stands for (RFC 1951 section 3.2.5).
type span struct {
	base  int
	extra uint // bits that follow and are added
}

var lengths, distances = spans(3, 4, 29), spans(1, 2, maxDistCodes)

// spans makes the table that begins at base, in which each number of extra bits serves for group symbols,
// and none for the first two groups together.
func spans(base, group, n int) []span {
	all := make([]span, n)
	for i := range all {
		extra := max(0, i/group-1)
		all[i] = span{base, uint(extra)}
		base += 1 << extra
	}
	if n == 29 {
		all[n-1] = span{258, 0} // the longest length has a symbol of its own
	}
	return all
}

// fixed sets the code that is known without being sent (RFC 1951 section 3.2.6).
func (z *inflater) fixed() {
	var lens [288]uint8
	for i := range lens {
		switch {
		case i < 144 || i >= 280:
			lens[i] = 8
		case i < 256:
			lens[i] = 9
		default:
			lens[i] = 7
		}
	}
	z.lit.build(lens[:])
	for i := range 32 {
		lens[i] = 5
	}
	z.distant.build(lens[:32])
}

// counts reads how many code lengths a dynamic block has (RFC 1951 section 3.2.7).
func (z *inflater) counts() error {
	if err := z.need(14); err != nil {
		return err
	}
	z.nlit, z.ndist, z.nlen = z.take(5)+257, z.take(5)+1, z.take(4)+4
	if z.nlit > maxLitCodes || z.ndist > maxDistCodes {
		return ErrDeflate
	}
	clear(z.lens[:])
	z.at, z.step = 0, stepCodeLens
	return nil
}

// lenOrder is the order in which the lengths of the code lengths' own code come.
var lenOrder = [19]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

func (z *inflater) codeLen() error {
	if err := z.need(3); err != nil {
		return err
	}
	z.lens[lenOrder[z.at]] = uint8(z.take(3))
	if z.at++; z.at < z.nlen {
		return nil
	}
	if err := z.lit.build(z.lens[:len(lenOrder)]); err != nil {
		return err
	}
	z.at, z.step = 0, stepLens
	return nil
}

// len reads a code length, or one that is repeated.
func (z *inflater) len() error {
	z.fill()
	sym, used := z.lit.find(z.bits, z.have)
	if used == 0 {
		if z.have < maxCode {
			return errMore
		}
		return ErrDeflate
	}
	length, times, extra := uint8(sym), 1, uint(0)
	switch sym {
	case 16:
		if z.at == 0 {
			return ErrDeflate
		}
		length, times, extra = z.lens[z.at-1], 3, 2
	case 17:
		length, times, extra = 0, 3, 3
	case 18:
		length, times, extra = 0, 11, 7
	}
	if z.have < used+extra {
		return errMore
	}
	z.take(used)
	times += z.take(extra)
	if z.at+times > z.nlit+z.ndist {
		return ErrDeflate
	}
	for range times {
		z.lens[z.at] = length
		z.at++
	}
	if z.at < z.nlit+z.ndist {
		return nil
	}
	return z.codes()
}

// codes makes the block's two codes, of which all lengths are known.
func (z *inflater) codes() error {
	if err := z.lit.build(z.lens[:z.nlit]); err != nil {
		return err
	}
	z.step = stepSymbol
	return z.distant.build(z.lens[z.nlit : z.nlit+z.ndist])
}
