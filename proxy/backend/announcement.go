package backend

import (
	"slices"
	"strings"
	"sync"

	"github.com/emersion/go-imap/v2"
)

// A backend says the same to nearly all who log in, so what was read out of it is kept and shared.
const (
	maxKnown     = 8       // lists of one backend that are kept: before TLS, before and after the login, for some kinds of users
	maxKnownText = 2 << 10 // octets of what is kept of each, as it was said; a longer one is read anew each time
)

// An Announcement is a list of capabilities (RFC 3501 section 7.2.1). It is never changed, and connections on which
// a backend announces the same share it.
type Announcement struct {
	Caps imap.CapSet
	// Mechanisms are those of SASL, sorted: "PLAIN".
	Mechanisms []string
	// Text is Caps in words, sorted: the same for the same set.
	Text string
}

// unknown is announced where nothing was: its Caps are nil.
var unknown = &Announcement{}

// Announce reads the names of capabilities, between which there are spaces.
func Announce(names string) *Announcement {
	a := &Announcement{Caps: make(imap.CapSet)}
	for name := range strings.FieldsSeq(names) {
		a.Caps[capName(name)] = struct{}{}
	}
	a.describe()
	return a
}

func (a *Announcement) describe() {
	words := make([]string, 0, len(a.Caps))
	for c := range a.Caps {
		words = append(words, string(c))
		if name, ok := strings.CutPrefix(string(c), "AUTH="); ok {
			a.Mechanisms = append(a.Mechanisms, name)
		}
	}
	slices.Sort(words)
	slices.Sort(a.Mechanisms)
	a.Text = strings.Join(words, " ")
}

// with returns an announcement of c and all that a announces.
func (a *Announcement) with(c imap.Cap) *Announcement {
	return a.change(func(s imap.CapSet) { s[c] = struct{}{} })
}

// without returns an announcement of all that a announces but c.
func (a *Announcement) without(c imap.Cap) *Announcement {
	return a.change(func(s imap.CapSet) { delete(s, c) })
}

func (a *Announcement) change(by func(imap.CapSet)) *Announcement {
	changed := &Announcement{Caps: a.Caps.Copy()}
	by(changed.Caps)
	changed.describe()
	return changed
}

// A memory is what a backend has said of itself lately. The zero value is empty.
type memory struct {
	mu       sync.Mutex
	lists    map[string]*Announcement // by their text as it came; at most maxKnown
	greeting string                   // the last one
}

// announced returns what a list says.
func (k *memory) announced(list []byte) *Announcement {
	k.mu.Lock()
	a := k.lists[string(list)]
	k.mu.Unlock()
	if a != nil {
		return a
	}
	text := string(list)
	if a = Announce(text); len(text) > maxKnownText {
		return a
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.lists == nil || len(k.lists) >= maxKnown {
		k.lists = make(map[string]*Announcement)
	}
	k.lists[text] = a
	return a
}

// greeted returns the text of a greeting.
func (k *memory) greeted(text []byte) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if string(text) == k.greeting {
		return k.greeting
	}
	greeting := string(text)
	if len(greeting) <= maxKnownText {
		k.greeting = greeting
	}
	return greeting
}
