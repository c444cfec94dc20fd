package wire

import "errors"

// Errors of a compressed stream (RFC 4978, RFC 1951).
var (
	// ErrDeflate says that what a peer sends is no deflate stream.
	ErrDeflate = errors.New("compressed data does not decode")
	// ErrBomb says that a peer's compressed octets become far more than mail ever does.
	ErrBomb = errors.New("compressed data grows beyond what mail does")
)

// bombFree octets may come out of a stream whatever went in, a message of zeros among them; beyond them, not
// more than bombRatio times the octets that went in. Mail is compressed to a third or a tenth, and deflate
// cannot do better than 1032.
const (
	bombFree  = 64 << 20
	bombRatio = 100
)

const windowSize = 32 << 10 // how far back a match may reach (RFC 1951 section 2)

// An inflater decodes a raw deflate stream (RFC 1951) as far as its octets go: it can be interrupted between
// any two of them and goes on with the next. The decoder of compress/flate cannot: its errors are final, an
// expired deadline among them, and it keeps back what was decoded until a block without content comes,
// which not every client sends behind a command (zlib's Z_PARTIAL_FLUSH).
//
// It takes 37 KB, and nothing that it reads makes it take more.
type inflater struct {
	in   []byte // what is still to be decoded
	bits uint64 // octets that were taken from in, the next bit lowest
	have uint   // how many bits

	step  inflateStep
	final bool // the block is the last one

	stored int // octets left of a stored block
	length int // octets left of a match
	dist   int // how far back it lies

	lens         [maxLitCodes + maxDistCodes]uint8 // code lengths of a dynamic block
	at           int                               // of lens, or of the lengths' own code
	nlen         int                               // how many of each the block has
	nlit, ndist  int
	lit, distant huffman // lit is also the code of the code lengths, while those are read

	window   [windowSize]byte
	wrong    error // what is wrong with the stream
	consumed int64
	produced int64 // window[produced%windowSize] is written next
}

// An inflateStep is what the next bits are.
type inflateStep uint8

const (
	stepHeader     inflateStep = iota // of a block
	stepStoredSize                    // LEN and NLEN
	stepStored                        // octets
	stepCounts                        // HLIT, HDIST, HCLEN
	stepCodeLens                      // lengths of the code of the code lengths
	stepLens                          // code lengths
	stepSymbol                        // literal, match, or end of the block
	stepMatch                         // what a match stands for is being written
	stepEnd                           // nothing follows
)

const (
	maxLitCodes  = 286
	maxDistCodes = 30
	endOfBlock   = 256
)

// errMore says that all of in is decoded.
var errMore = errors.New("more octets are needed")

// inflate decodes from z.in to p. It returns an error only where nothing was written: errMore, of which
// nothing is left of z.in, errEnded, or what is wrong for good.
func (z *inflater) inflate(p []byte) (n int, err error) {
	err = z.wrong
	for n < len(p) && err == nil {
		switch z.step {
		case stepStored:
			n, err = z.copyStored(p, n)
		case stepSymbol:
			n, err = z.symbols(p, n)
		case stepMatch:
			n = z.copyMatch(p, n)
		default:
			err = z.describe()
		}
	}
	if z.produced > bombFree && z.produced-bombFree > bombRatio*z.consumed {
		n, err = 0, ErrBomb
	}
	if errors.Is(err, ErrDeflate) || errors.Is(err, ErrBomb) {
		z.wrong = err
	}
	if n > 0 {
		return n, nil // an error comes again
	}
	return 0, err
}

// errEnded says that the last block is over.
var errEnded = errors.New("the compressed stream has ended")

// need makes sure of n bits, n at most 48.
func (z *inflater) need(n uint) error {
	z.fill()
	if z.have < n {
		return errMore
	}
	return nil
}

// fill takes as many octets as bits has room for.
func (z *inflater) fill() {
	for z.have <= 56 && len(z.in) > 0 {
		z.bits |= uint64(z.in[0]) << z.have
		z.in = z.in[1:]
		z.have += 8
		z.consumed++
	}
}

// take removes n bits, which are there.
func (z *inflater) take(n uint) int {
	v := int(z.bits & (1<<n - 1))
	z.bits >>= n
	z.have -= n
	return v
}

// describe reads one piece of what stands in front of a block's content.
func (z *inflater) describe() error {
	switch z.step {
	case stepHeader:
		return z.header()
	case stepStoredSize:
		return z.storedSize()
	case stepCounts:
		return z.counts()
	case stepCodeLens:
		return z.codeLen()
	case stepLens:
		return z.len()
	}
	return errEnded
}

func (z *inflater) header() error {
	if z.final {
		z.step = stepEnd
		return nil
	}
	if err := z.need(3); err != nil {
		return err
	}
	z.final = z.take(1) == 1
	switch z.take(2) {
	case 0:
		z.take(z.have % 8) // up to the next octet (RFC 1951 section 3.2.4)
		z.step = stepStoredSize
	case 1:
		z.fixed()
		z.step = stepSymbol
	case 2:
		z.step = stepCounts
	default:
		return ErrDeflate
	}
	return nil
}

func (z *inflater) storedSize() error {
	if err := z.need(32); err != nil {
		return err
	}
	size, check := z.take(16), z.take(16)
	if size != check^0xffff {
		return ErrDeflate
	}
	z.stored, z.step = size, stepStored
	return nil
}

// copyStored writes octets of a stored block: first those that were taken as bits.
func (z *inflater) copyStored(p []byte, n int) (int, error) {
	for ; z.stored > 0 && z.have >= 8 && n < len(p); n++ {
		p[n] = byte(z.take(8))
		z.remember(p[n : n+1])
		z.stored--
	}
	if z.stored > 0 && n < len(p) {
		m := copy(p[n:min(len(p), n+z.stored)], z.in)
		if m == 0 {
			return n, errMore
		}
		z.in = z.in[m:]
		z.consumed += int64(m)
		z.remember(p[n : n+m])
		z.stored -= m
		n += m
	}
	if z.stored == 0 {
		z.step = stepHeader
	}
	return n, nil
}

// remember puts what was written into the window.
func (z *inflater) remember(b []byte) {
	for len(b) > 0 {
		m := copy(z.window[z.produced%windowSize:], b)
		z.produced += int64(m)
		b = b[m:]
	}
}

// symbols writes literals, up to a match or the block's end.
func (z *inflater) symbols(p []byte, n int) (int, error) {
	for n < len(p) {
		z.fill()
		sym, used := z.lit.find(z.bits, z.have)
		switch {
		case used == 0 && z.have < maxCode:
			return n, errMore
		case used == 0 || sym >= maxLitCodes:
			return n, ErrDeflate
		case sym < endOfBlock:
			z.take(used)
			p[n] = byte(sym)
			z.window[z.produced%windowSize] = byte(sym)
			z.produced++
			n++
		case sym == endOfBlock:
			z.take(used)
			z.step = stepHeader
			return n, nil
		default:
			return n, z.match(sym, used)
		}
	}
	return n, nil
}

// match reads a length and a distance; nothing is taken before both are there. used is how many bits the
// length's symbol has.
func (z *inflater) match(sym int, used uint) error {
	l := lengths[sym-endOfBlock-1]
	length := l.base + int(z.bits>>used)&(1<<l.extra-1)
	used += l.extra
	if z.have < used {
		return errMore
	}
	dsym, dused := z.distant.find(z.bits>>used, z.have-used)
	switch {
	case dused == 0 && z.have-used < maxCode:
		return errMore
	case dused == 0 || dsym >= maxDistCodes:
		return ErrDeflate
	}
	used += dused
	d := distances[dsym]
	dist := d.base + int(z.bits>>used)&(1<<d.extra-1)
	used += d.extra
	if z.have < used {
		return errMore
	}
	if int64(dist) > z.produced {
		return ErrDeflate
	}
	z.take(used)
	z.length, z.dist, z.step = length, dist, stepMatch
	return nil
}

func (z *inflater) copyMatch(p []byte, n int) int {
	for z.length > 0 && n < len(p) {
		b := z.window[(z.produced-int64(z.dist))%windowSize]
		z.window[z.produced%windowSize] = b
		z.produced++
		p[n] = b
		n++
		z.length--
	}
	if z.length == 0 {
		z.step = stepSymbol
	}
	return n
}
