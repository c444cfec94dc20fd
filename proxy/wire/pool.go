package wire

import "sync"

// Buffers are lent in three sizes: tiny ones to wait with for a peer that says little, small ones for
// lines, large ones while a big literal passes or a backend sends faster than small ones are emptied.
const (
	tinyBuffer  = 1 << 10
	smallBuffer = 16 << 10
	largeBuffer = 128 << 10
)

var (
	tinyPool  = sync.Pool{New: func() any { return new([tinyBuffer]byte) }}
	smallPool = sync.Pool{New: func() any { return new([smallBuffer]byte) }}
	largePool = sync.Pool{New: func() any { return new([largeBuffer]byte) }}
)

// Readers and writers are lent as well: a connection that is silent for long gives up its own.
var (
	commandsPool  = sync.Pool{New: func() any { return new(Commands) }}
	responsesPool = sync.Pool{New: func() any { return new(Responses) }}
	writerPool    = sync.Pool{New: func() any { return new(Writer) }}
)

func borrowTiny() []byte  { return tinyPool.Get().(*[tinyBuffer]byte)[:] }
func borrowSmall() []byte { return smallPool.Get().(*[smallBuffer]byte)[:] }
func borrowLarge() []byte { return largePool.Get().(*[largeBuffer]byte)[:] }

// isBusy judges from one read whether the next one is likely to give more than a tiny buffer holds.
func isBusy(n, room int) bool { return n == room || n >= tinyBuffer }

// giveBack returns a lent buffer; one of another size, which grew for a long line, is left to the
// garbage collector.
func giveBack(b []byte) {
	switch cap(b) {
	case tinyBuffer:
		tinyPool.Put((*[tinyBuffer]byte)(b[:tinyBuffer]))
	case smallBuffer:
		smallPool.Put((*[smallBuffer]byte)(b[:smallBuffer]))
	case largeBuffer:
		largePool.Put((*[largeBuffer]byte)(b[:largeBuffer]))
	}
}
