package wire

import (
	"net"
	"sync/atomic"
	"time"
)

// ownTime is how long a peer has for a record that TLS sends by itself.
const ownTime = 10 * time.Second

// A deadline is the write deadline of a connection, as it was set last. Whoever writes sets one first, but
// TLS answers a KeyUpdate (RFC 8446 section 4.6.3) whenever that comes, which may be long behind the last write
// and its deadline: without more time the connection could not be written to any more.
type deadline struct{ at atomic.Int64 } // nanoseconds of Unix; 0 for none, forbidden for one that was past

const forbidden = 1

// set sets the deadline of conn. One in the past forbids writing.
func (d *deadline) set(conn net.Conn, t time.Time) error {
	switch {
	case t.IsZero():
		d.at.Store(0)
	case time.Until(t) <= 0:
		d.at.Store(forbidden)
	default:
		d.at.Store(t.UnixNano())
	}
	return conn.SetWriteDeadline(t) // behind, see revive
}

// revive sets another deadline where that of the last write is over. One that somebody sets meanwhile
// holds.
func (d *deadline) revive(conn net.Conn) {
	at, now := d.at.Load(), time.Now()
	if at == 0 || at == forbidden || now.UnixNano() < at {
		return
	}
	conn.SetWriteDeadline(now.Add(ownTime))
	switch later := d.at.Load(); later {
	case at:
	case 0:
		conn.SetWriteDeadline(time.Time{})
	default:
		conn.SetWriteDeadline(time.Unix(0, later))
	}
}
