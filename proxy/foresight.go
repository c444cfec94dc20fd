package proxy

import (
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/auth"
	"github.com/imapgate/imapgate/proxy/backend"
	"github.com/imapgate/imapgate/proxy/translate"
	"github.com/imapgate/imapgate/proxy/wire"
)

const (
	// maxSightings bounds how many different things one backend may say of itself. Of one that says more, by
	// user or by the hour, nothing can be foreseen.
	maxSightings = 4
	// sightingLife is how many logins a backend must have answered otherwise before something that it has said
	// of itself is forgotten.
	sightingLife = 1000
)

// A foresight is what the server knows of sessions to come: what each backend has said of itself to those
// who logged in, and therefore what clients can be told before login. It outlives reloads.
type foresight struct {
	mu       sync.Mutex
	backends map[backendKey]*sightings
	doors    atomic.Pointer[map[string]*door] // by listener's name; the map is never changed
}

// A backendKey is a backend as long as it can be the same server.
type backendKey struct{ name, address string }

// sightings are the different things that one backend has said of itself lately.
type sightings struct {
	logins uint64
	all    []sighting
}

type sighting struct {
	key    sightingKey
	server translate.Server
	last   uint64 // number of the last login that saw it
}

// A sightingKey is what makes a sighting another one.
type sightingKey struct {
	caps   string // backend.Announcement.Text
	quirks string
	bearer bool // it took OAuth tokens
}

// A door is what one listener says before login, and what it does not take. It never changes.
type door struct {
	// The capability lists: where logging in is possible, or not before TLS; where STARTTLS is taken too.
	open, shut, openOrTLS, shutOrTLS string

	policy   translate.Policy
	literals int64 // octets of the largest literal that may come unasked
}

// refuses reports whether t came unasked although that is not offered.
func (d *door) refuses(t wire.Token) bool { return t.NonSync && t.Size > d.literals }

// door returns what a listener says now.
func (f *foresight) door(listener string, options func() *Options) *door {
	if doors := f.doors.Load(); doors != nil {
		if d := (*doors)[listener]; d != nil {
			return d
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	doors := f.copyDoors()
	doors[listener] = f.make(listener, options())
	f.doors.Store(&doors)
	return doors[listener]
}

func (f *foresight) copyDoors() map[string]*door {
	if doors := f.doors.Load(); doors != nil {
		return maps.Clone(*doors)
	}
	return make(map[string]*door)
}

// see notes what a backend has said to somebody who has logged in.
func (f *foresight) see(b *backend.Conn, options func() *Options) {
	seen := sighting{server: translate.Server{Greeting: b.Greeting, Caps: b.Caps}}
	quirks := translate.FindQuirks(translate.Choice{Auto: true}, seen.server)
	seen.key = sightingKey{
		caps: b.Text, quirks: strings.Join(quirks.Names, " "),
		bearer: slices.Contains(b.Before.Mechanisms, auth.XOAuth2) || slices.Contains(b.Before.Mechanisms, auth.OAuthBearer),
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.backends == nil {
		f.backends = make(map[backendKey]*sightings)
	}
	key := backendKey{b.Config.Name, b.Config.Address}
	if f.backends[key] == nil {
		f.backends[key] = &sightings{}
	}
	if o := options(); f.backends[key].add(seen) && len(o.Goals) > 0 {
		f.renew(o)
	}
}

// add reports whether something else can be foreseen now than before.
func (s *sightings) add(seen sighting) (changed bool) {
	s.logins++
	seen.last = s.logins
	before, over := len(s.all), s.foreseeable() == nil
	known := slices.ContainsFunc(s.all, func(old sighting) bool { return old.key == seen.key })
	s.all = slices.DeleteFunc(s.all, func(old sighting) bool {
		return old.key == seen.key || s.logins-old.last > sightingLife
	})
	if len(s.all) > maxSightings { // they stand in the order in which they were seen last
		s.all = slices.Delete(s.all, 0, 1)
	}
	s.all = append(s.all, seen)
	if over && s.foreseeable() == nil {
		return false
	}
	return !known || len(s.all) != before
}

// foreseeable returns what the backend may say to the next one; nil where that is not known.
func (s *sightings) foreseeable() []sighting {
	if s == nil || len(s.all) == 0 || len(s.all) > maxSightings {
		return nil
	}
	return s.all
}

// reload forgets backends that are there no more, and makes every listener's list by the new options.
func (f *foresight) reload(options func() *Options) {
	f.mu.Lock()
	defer f.mu.Unlock()
	o := options()
	maps.DeleteFunc(f.backends, func(key backendKey, _ *sightings) bool {
		b := o.Backends[key.name]
		return b == nil || b.Address != key.address
	})
	f.renew(o)
}

// renew makes the lists of all listeners again.
func (f *foresight) renew(o *Options) {
	doors := f.copyDoors()
	for listener := range doors {
		doors[listener] = f.make(listener, o)
	}
	f.doors.Store(&doors)
}

// make returns what a listener says under these options.
func (f *foresight) make(listener string, o *Options) *door {
	policy := o.policy(listener, "", "")
	sessions, bearer := f.sessions(listener, o)
	shut := translate.PreauthOptions{Policy: policy, Sessions: sessions, LoginDisabled: true}
	open := shut
	open.LoginDisabled = false
	for _, m := range auth.Mechanisms() {
		if m != auth.XOAuth2 && m != auth.OAuthBearer || bearer || slices.Contains(policy.Add, imap.AuthCap(m)) {
			open.Mechanisms = append(open.Mechanisms, m)
		}
	}
	d := &door{policy: policy, literals: unasked(translate.Preauth(open))}
	open.Withheld = withheld(listener, o)
	shut.Withheld = open.Withheld
	d.open, d.shut = translate.Format(translate.Preauth(open)), translate.Format(translate.Preauth(shut))
	open.StartTLS, shut.StartTLS = true, true
	d.openOrTLS, d.shutOrTLS = translate.Format(translate.Preauth(open)), translate.Format(translate.Preauth(shut))
	return d
}

// withheld returns what the proxy keeps in every session but those whose policy removes it.
func withheld(listener string, o *Options) (list []imap.Cap) {
	for _, g := range o.Goals[listener] {
		policy := o.policy(listener, g.Backend, g.Route)
		for _, c := range [...]imap.Cap{imap.CapLiteralPlus, imap.CapID} {
			if policy.Removes(c) && !slices.Contains(list, c) {
				list = append(list, c)
			}
		}
	}
	return list
}

// unasked is the size of the largest literal that may come unasked where these are offered (RFC 7888).
func unasked(offered []imap.Cap) int64 {
	switch {
	case slices.Contains(offered, imap.CapLiteralPlus):
		return math.MaxInt64
	case slices.Contains(offered, imap.CapLiteralMinus), slices.Contains(offered, imap.CapIMAP4rev2):
		return 4096
	}
	return -1
}

// sessions returns what every session has that can come about at a listener, and whether all its backends
// take OAuth tokens; nil and false as long as one of them is not known.
func (f *foresight) sessions(listener string, o *Options) (common []imap.Cap, bearer bool) {
	goals := o.Goals[listener]
	for _, g := range goals {
		b := o.Backends[g.Backend]
		if b == nil || f.backends[backendKey{b.Name, b.Address}].foreseeable() == nil {
			return nil, false
		}
	}
	var met []prospect
	for _, g := range goals {
		b := o.Backends[g.Backend]
		for _, s := range f.backends[backendKey{b.Name, b.Address}].foreseeable() {
			peers := o.Peers(listener, g.Backend, g.Route, s.server)
			next := prospect{s.key, peers.Policy}
			if slices.ContainsFunc(met, next.equal) {
				continue
			}
			caps := translate.NewStack(peers, translate.All()).Caps()
			if len(met) == 0 {
				common, bearer = caps, true
			}
			met = append(met, next)
			common, bearer = translate.Common(common, caps), bearer && s.key.bearer
		}
	}
	return common, bearer
}

// A prospect is all that the list of a session follows from. Most of those that can come about are alike.
type prospect struct {
	key    sightingKey
	policy translate.Policy
}

func (p prospect) equal(other prospect) bool {
	return p.key == other.key && reflect.DeepEqual(p.policy, other.policy)
}
