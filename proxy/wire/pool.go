package wire

import "sync"

// Buffers are lent in two sizes: small ones for lines, large ones while a big literal passes or a backend
// sends faster than small ones are emptied.
const (
	smallBuffer = 16 << 10
	largeBuffer = 128 << 10
)

var (
	smallPool = sync.Pool{New: func() any { return new([smallBuffer]byte) }}
	largePool = sync.Pool{New: func() any { return new([largeBuffer]byte) }}
)

func borrowSmall() []byte { return smallPool.Get().(*[smallBuffer]byte)[:] }
func borrowLarge() []byte { return largePool.Get().(*[largeBuffer]byte)[:] }

// giveBack returns a lent buffer; one of another size, which grew for a long line, is left to the
// garbage collector.
func giveBack(b []byte) {
	switch cap(b) {
	case smallBuffer:
		smallPool.Put((*[smallBuffer]byte)(b[:smallBuffer]))
	case largeBuffer:
		largePool.Put((*[largeBuffer]byte)(b[:largeBuffer]))
	}
}
