package proxy

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"github.com/imapgate/imapgate/proxy/auth"
	"github.com/imapgate/imapgate/proxy/backend"
)

// A spareKey says who may have a connection: sum is a hash, by a key that only this process has and that lives
// no longer than it, of the backend and of all that the login there hangs on. Nobody learns a password from
// it, and no password is kept. A reload that changes the backend makes another key.
type spareKey struct {
	backend *backend.Config
	sum     [sha256.Size]byte
}

// A spare is a backend connection that is logged in and waits, behind a client's LOGOUT, for the next session
// of the same user. One goroutine, [spares.watch], reads it all the time: whatever the backend says, or its
// end, is the connection's end. The bound is backend.Reuse.Connections for each backend.
type spare struct {
	lull
	key   spareKey
	user  string    // normalised
	since time.Time // of its login
	m     *reuseMetrics

	fate fate // under spares.mu
}

// A fate is why a spare is no spare any more, for metrics.
type fate string

const (
	waits    fate = ""
	reused   fate = "reused"   // a session has it
	expired  fate = "expired"  // nobody wanted it
	ended    fate = "ended"    // the backend ended it, or said something
	dead     fate = "dead"     // it did not answer
	dropped  fate = "dropped"  // reload, drain, kick
	kept     fate = "kept"     // it is one now
	traced   fate = "trace"    // its session did what UNSELECT does not undo
	stuck    fate = "unselect" // the mailbox could not be left
	crowded  fate = "full"     // as many wait as may
	unwanted fate = "off"      // not of a session that may leave one
)

// spares are the connections that wait. The zero value has none.
type spares struct {
	once   sync.Once
	secret [sha256.Size]byte

	mu       sync.Mutex
	closed   bool
	waiting  map[spareKey][]*spare // the newest last
	backends map[*backend.Config]int
	users    map[spareUser]int
}

type spareUser struct {
	backend *backend.Config
	user    string
}

// key hashes what a login at a backend hangs on: where, who, by what kind of proof, and the proof.
func (p *spares) key(cfg *backend.Config, creds auth.Credentials) (k spareKey) {
	p.once.Do(func() { rand.Read(p.secret[:]) })
	mac := hmac.New(sha256.New, p.secret[:])
	bearer, _ := creds.Bearer()
	for _, part := range [...]string{cfg.Name, cfg.Address, bearer, creds.User, creds.Reveal()} {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(part))) // no two lists of parts are one text
		mac.Write(n[:])
		mac.Write([]byte(part))
	}
	mac.Sum(k.sum[:0])
	k.backend = cfg
	return k
}

// add lets sp wait, unless as many do as may or the server ends. current says whether the backend's settings
// still hold; it is called under the lock that a reload takes to drop what it has changed.
func (p *spares) add(sp *spare, current func() bool) fate {
	p.mu.Lock()
	defer p.mu.Unlock()
	who, bounds := spareUser{sp.b.Config, sp.user}, sp.b.Config.Reuse
	switch {
	case p.closed || !current():
		return dropped
	case p.backends[sp.b.Config] >= bounds.Connections || p.users[who] >= bounds.PerUser:
		return crowded
	}
	if p.waiting == nil {
		p.waiting = make(map[spareKey][]*spare)
		p.backends, p.users = make(map[*backend.Config]int), make(map[spareUser]int)
	}
	p.waiting[sp.key] = append(p.waiting[sp.key], sp)
	p.backends[sp.b.Config]++
	p.users[who]++
	sp.m.waiting.Inc()
	return kept
}

// remove takes sp out, to meet its fate. The lock is held, and it is in.
func (p *spares) remove(sp *spare, f fate) {
	sp.fate = f
	list := p.waiting[sp.key]
	if i := slices.Index(list, sp); i >= 0 {
		list = slices.Delete(list, i, i+1)
	}
	if p.waiting[sp.key] = list; len(list) == 0 {
		delete(p.waiting, sp.key)
	}
	less(p.backends, sp.b.Config)
	less(p.users, spareUser{sp.b.Config, sp.user})
	sp.m.waiting.Dec()
}

func less[K comparable](counts map[K]int, k K) {
	if counts[k]--; counts[k] <= 0 {
		delete(counts, k)
	}
}

// watch waits until something happens to sp: its time is over, the backend says something, or somebody has
// decided on its fate.
func (p *spares) watch(cutting context.Context, sp *spare) {
	sp.listen()
	p.mu.Lock()
	if sp.fate == waits {
		p.remove(sp, ended)
		if sp.silent {
			sp.fate = expired
		}
	}
	f := sp.fate
	p.mu.Unlock()
	close(sp.done)
	if f == reused {
		return // it belongs to whoever took it
	}
	sp.m.count(f)
	sp.over(cutting)
}

// take returns the connection that has waited the shortest for whoever has this key, with nothing read and
// nothing to be read of it; nil where there is none.
func (p *spares) take(k spareKey) *spare {
	p.mu.Lock()
	list := p.waiting[k]
	if len(list) == 0 {
		p.mu.Unlock()
		return nil
	}
	sp := list[len(list)-1]
	p.remove(sp, reused)
	p.mu.Unlock()
	if !sp.wake() {
		sp.m.count(ended)
		sp.b.Net.Abort()
		return nil
	}
	return sp
}

// drop ends those that which says.
func (p *spares) drop(which func(*spare) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, list := range p.waiting {
		for _, sp := range slices.Clone(list) {
			if which(sp) {
				p.remove(sp, dropped)
				sp.hush()
			}
		}
	}
}

// forget ends those of a user.
func (p *spares) forget(user string) {
	p.drop(func(sp *spare) bool { return sp.user == user })
}

// mistrust ends those of a user at one backend, where one of them was found dead, or all are too many there.
func (p *spares) mistrust(b *backend.Config, user string) {
	p.drop(func(sp *spare) bool { return sp.user == user && sp.b.Config == b })
}

// reload ends those of backends whose settings are not those of the options any more.
func (p *spares) reload(o *Options) {
	p.drop(func(sp *spare) bool { return o.Backends[sp.b.Config.Name] != sp.b.Config })
}

// close ends all, and lets none wait any more.
func (p *spares) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.drop(func(*spare) bool { return true })
}
