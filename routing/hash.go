package routing

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"slices"
	"strings"
)

// The order of user_hash is weighted rendezvous hashing. It is a contract: proxies of any version and
// architecture agree on it, and a change would move users away from their mail.
//
//	h    = the first 8 octets, big-endian, of SHA-256(backend's name, NUL, normalised user name), at least 1
//	toll = 64 - log2(h), in units of 2^-32, the logarithm rounded down as log2 does
//
// Members come in the order of toll / weight, the lowest first; of equals, in the order of their names.
// The order in the configured list plays no part. A member that comes takes users from the others only
// for itself, and one that goes leaves the homes of all other users as they were.

// A score is what a backend has for one user.
type score struct {
	toll   uint64 // at most 64 << 32, so that its product with a weight fits
	weight uint64
	member *member
}

func (p *pool) score(user string, m *member) score {
	sum := sha256.Sum256([]byte(m.name + "\x00" + user))
	h := max(binary.BigEndian.Uint64(sum[:]), 1)
	return score{toll: 64<<32 - log2(h), weight: uint64(m.weight), member: m}
}

func compareScores(a, b score) int {
	return cmp.Or(cmp.Compare(a.toll*b.weight, b.toll*a.weight), strings.Compare(a.member.name, b.member.name))
}

// byHash returns all members in the user's order.
func (p *pool) byHash(user string) []*member {
	scores := make([]score, len(p.members))
	for i := range p.members {
		scores[i] = p.score(user, &p.members[i])
	}
	slices.SortFunc(scores, compareScores)
	order := make([]*member, len(scores))
	for i, s := range scores {
		order[i] = s.member
	}
	return order
}

// log2 returns the logarithm of x, which is not 0, in units of 2^-32. It squares a fixed-point number
// for each binary digit. Floating point would do, but rounds differently where the processor fuses
// operations.
func log2(x uint64) uint64 {
	n := bits.Len64(x) - 1
	m := x << (63 - n) // from 1 to 2, in units of 2^-63
	digits := uint64(n)
	for range 32 {
		hi, lo := bits.Mul64(m, m)
		digits <<= 1
		if hi >= 1<<63 {
			digits |= 1
			m = hi
		} else {
			m = hi<<1 | lo>>63
		}
	}
	return digits
}
