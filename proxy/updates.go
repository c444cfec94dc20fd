package proxy

import (
	"sync"

	"github.com/imapgate/imapgate/proxy/wire"
)

// maxUpdates bounds how many searches of one session may go on at once.
const maxUpdates = 64

// updates are the tags that live on in responses after their command was answered: of searches with
// RETURN (UPDATE), until the mailbox is left (RFC 5267 section 4.3).
type updates struct {
	mu   sync.Mutex
	tags map[uint64]string // own -> the client's
}

// add registers a tag that is free.
func (u *updates) add(own uint64, tag string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.tags == nil {
		u.tags = make(map[uint64]string)
	}
	u.tags[own] = tag
}

func (u *updates) remove(own uint64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.tags, own)
}

// clear forgets those that were asked for before the command with the own tag last, which left the
// mailbox. Later ones, pipelined behind it, belong to the mailbox that it opened.
func (u *updates) clear(last uint64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for own := range u.tags {
		if own < last {
			delete(u.tags, own)
		}
	}
}

func (u *updates) own(tag string) (uint64, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for own, t := range u.tags {
		if t == tag {
			return own, true
		}
	}
	return 0, false
}

func (u *updates) client(own uint64) (string, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	tag, ok := u.tags[own]
	return tag, ok
}

// ownTags reads the arguments of CANCELUPDATE as the backend gets them.
func ownTags(args []wire.Token) []uint64 {
	tags := make([]uint64, len(args))
	for i, t := range args {
		tags[i], _ = parseOwn(t.Text)
	}
	return tags
}

// asksUpdates reports whether the arguments of a search begin with RETURN ( ... UPDATE ... ).
func asksUpdates(args []wire.Token) bool {
	if len(args) < 2 || !args[0].Is("RETURN") || args[1].Kind != wire.Open {
		return false
	}
	for _, t := range args[2:] {
		if t.Kind == wire.Close {
			return false
		}
		if t.Is("UPDATE") {
			return true
		}
	}
	return false
}

// free reports whether another search may register tag.
func (u *updates) free(tag string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.tags) >= maxUpdates {
		return false
	}
	for _, t := range u.tags {
		if t == tag {
			return false
		}
	}
	return true
}
