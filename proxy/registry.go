package proxy

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// A registry holds every session that relays.
type registry struct {
	mu       sync.Mutex
	sessions map[string]*session
	up, down int64 // octets of sessions that have ended
}

func (r *registry) add(s *session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sessions == nil {
		r.sessions = make(map[string]*session)
	}
	r.sessions[s.id] = s
}

func (r *registry) remove(s *session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.sessions, s.id)
	r.up += s.conn.BytesIn()
	r.down += s.conn.BytesOut()
}

// bytesUp returns how many octets the clients of all sessions, also of those that ended, have sent.
func (r *registry) bytesUp() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.up
	for _, s := range r.sessions {
		n += s.conn.BytesIn()
	}
	return n
}

// bytesDown returns how many octets they were sent.
func (r *registry) bytesDown() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.down
	for _, s := range r.sessions {
		n += s.conn.BytesOut()
	}
	return n
}

func (r *registry) all() []*session {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Values(r.sessions))
}

func (r *registry) find(id string) *session {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sessions[id]
}

// SessionInfo is what a Server knows of one session, for operators.
type SessionInfo struct {
	ID       string
	User     string // normalised
	Listener string
	Client   string // address
	Backend  string
	Since    time.Time
	Mailbox  Selected
	Commands int64
	Pending  []string // names of the commands under way, oldest first
}

// Sessions returns all sessions that are logged in, oldest first.
func (s *Server) Sessions() []SessionInfo {
	all := s.registry.all()
	infos := make([]SessionInfo, 0, len(all))
	for _, one := range all {
		infos = append(infos, one.info())
	}
	slices.SortFunc(infos, func(a, b SessionInfo) int {
		if c := a.Since.Compare(b.Since); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return infos
}

func (s *session) info() SessionInfo {
	i := SessionInfo{
		ID: s.id, User: s.user, Listener: s.ln.Name, Client: s.from(), Backend: s.b.Config.Name,
		Since: s.start, Mailbox: s.ledger.selected(), Commands: s.ledger.counted(),
	}
	s.pending.mu.Lock()
	defer s.pending.mu.Unlock()
	for _, e := range s.pending.queue {
		if !e.done && e.kind != ours {
			i.Pending = append(i.Pending, e.cmd.Name)
		}
	}
	return i
}

// Kick ends a session at once, and every connection that waits for its user. It reports whether there is a
// session with this id.
func (s *Server) Kick(id string) bool {
	one := s.registry.find(id)
	if one == nil {
		return false
	}
	one.raise(sigKick)
	s.spares.forget(one.user)
	return true
}

// Drain ends a session as soon as its commands are answered.
func (s *Server) Drain(id string) bool { return s.signal(id, sigDrain) }

// Pause lets a session read no further command; what is under way goes on.
func (s *Server) Pause(id string) bool { return s.signal(id, sigPause) }

// Resume ends a Pause.
func (s *Server) Resume(id string) bool {
	if one := s.registry.find(id); one != nil {
		one.up.clear(sigPause)
	}
	return s.signal(id, sigResume)
}

func (s *Server) signal(id string, sig signal) bool {
	one := s.registry.find(id)
	if one != nil {
		one.raise(sig)
	}
	return one != nil
}

// raise interrupts the session's readers, and whoever waits without reading.
func (s *session) raise(sig signal) {
	s.up.raise(sig)
	if sig == sigKick {
		s.reuse.ours(func() {
			s.down.raise(sig)
			s.toBackend.shut()
		})
		s.toClient.shut()
		s.pending.end()
		return
	}
	s.pending.mu.Lock()
	s.pending.changed()
	s.pending.mu.Unlock()
}
