package proxy

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/imapgate/imapgate/proxy/backend"
)

// A lull is a backend connection that waits while it is nobody's. One goroutine reads it all the time: whatever
// the backend says meanwhile, or its end, is the connection's end.
type lull struct {
	b *backend.Conn
	// done is closed when nobody reads it any more; silent is then whether the backend has said nothing.
	done   chan struct{}
	silent bool
}

// listen reads until the time is over, the backend says something, or somebody calls hush. Who listens closes done.
func (l *lull) listen() {
	var octet [1]byte
	n, err := l.b.Net.Read(octet[:])
	l.silent = n == 0 && errors.Is(err, os.ErrDeadlineExceeded) && l.b.Net.Drained()
}

// hush ends listening, also where TLS is just answering a backend that does not read.
func (l *lull) hush() {
	l.b.Net.SetReadDeadline(longPast)
	l.b.Net.SetWriteDeadline(longPast)
}

// wake ends listening, waits for that, and reports whether the connection can be used.
func (l *lull) wake() bool {
	l.hush()
	<-l.done
	l.b.Net.SetWriteDeadline(time.Time{})
	return l.silent
}

// over closes the connection when nobody listens or wants it any more. A backend that has said nothing is told
// LOGOUT, unless cutting ends.
func (l *lull) over(cutting context.Context) {
	if l.silent {
		l.leave(cutting)
	}
	l.b.Net.Abort()
}

func (l *lull) leave(cutting context.Context) {
	defer context.AfterFunc(cutting, func() { l.b.Net.Abort() })()
	b := l.b.Renew()
	b.Net.SetWriteDeadline(time.Now().Add(goodbyeTime))
	if b.Logout() == nil {
		awaitEnd(b.Net, goodbyeTime)
	}
}
