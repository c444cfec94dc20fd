package proxy

import "sync"

// A lobby holds the clients that have not logged in: the server's end interrupts them there. The zero value is
// empty.
type lobby struct {
	mu      sync.Mutex
	clients map[*client]struct{}
	stopped bool
	cut     bool
}

// enter adds a client, whose connection is not read or written yet.
func (l *lobby) enter(c *client) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.clients == nil {
		l.clients = make(map[*client]struct{})
	}
	l.clients[c] = struct{}{}
	if l.stopped {
		c.conn.SetReadDeadline(longPast)
	}
	if l.cut {
		c.toClient.shut()
	}
}

// leave takes a client out, which is not interrupted from then on.
func (l *lobby) leave(c *client) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.clients, c)
}

// stop interrupts the reading of all, also of those that come yet. Server.stopping has ended, which they look at
// behind each deadline that they set.
func (l *lobby) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped = true
	for c := range l.clients {
		c.conn.SetReadDeadline(longPast)
	}
}

// end interrupts their writing as well.
func (l *lobby) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = true
	for c := range l.clients {
		c.toClient.shut()
	}
}
