package translate

import (
	"slices"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/wire"
)

// A Stack is the translations of sessions with the same peers, as layers: each sees below it a backend
// that has what the layers below add. It never changes, and sessions share it.
type Stack struct {
	layers    []layer // from the client's side to the backend's
	byCommand map[string][]int
	caps      []imap.Cap
	text      string
	gate      *Gate
	policy    Policy
}

type layer struct {
	t     *Translation
	peers Peers
}

// Top is where a client's own command enters a [Stack].
const Top = -1

// NewStack lets each translation decide whether it is a layer, from the backend's side up.
func NewStack(p Peers, all []*Translation) *Stack {
	s := &Stack{byCommand: make(map[string][]int)}
	p.Real = p.Backend
	offered := make(imap.CapSet)
	for _, t := range slices.Backward(all) {
		if t.Polyfill && !p.Policy.Polyfills.Has(t.Name) || !t.Takes(p) {
			continue
		}
		s.layers = append(s.layers, layer{t, p})
		p.Backend = p.Backend.Copy()
		if t.Offers != nil {
			for _, c := range t.Offers(p) {
				p.Backend[c] = struct{}{}
				offered[c] = struct{}{}
			}
		}
	}
	slices.Reverse(s.layers)
	for i, l := range s.layers {
		for _, head := range l.t.Commands {
			s.byCommand[head] = append(s.byCommand[head], i)
		}
	}
	s.caps = Session(p, offered)
	s.text = Format(s.caps)
	s.gate, s.policy = newGate(p, s.caps), p.Policy
	return s
}

// Caps is what is offered to the clients of such sessions; it is not to be changed.
func (s *Stack) Caps() []imap.Cap { return s.caps }

// CapText is [Stack.Caps] as it stands behind CAPABILITY.
func (s *Stack) CapText() string { return s.text }

// Gate refuses what such clients may not use; nil where that is nothing.
func (s *Stack) Gate() *Gate { return s.gate }

// Removed reports whether a capability was taken away from such clients, by the capability table or by the
// policy.
func (s *Stack) Removed(c imap.Cap) bool {
	row, known := CapRow(c)
	return !slices.Contains(s.caps, c) && (known && row.Fate == Removed || s.policy.Removes(c))
}

// Has reports whether the translation of this name is in use.
func (s *Stack) Has(name string) bool {
	return slices.ContainsFunc(s.layers, func(l layer) bool { return l.t.Name == name })
}

// Layers returns the translations that are in use.
func (s *Stack) Layers() []*Translation {
	ts := make([]*Translation, len(s.layers))
	for i, l := range s.layers {
		ts[i] = l.t
	}
	return ts
}

// An Addition is what a translation adds to what the backend has.
type Addition struct {
	By   *Translation
	Caps []imap.Cap
}

// Additions returns what is added for clients, from the backend's side up.
func (s *Stack) Additions() (all []Addition) {
	for _, l := range slices.Backward(s.layers) {
		a := Addition{By: l.t}
		if l.t.Offers != nil {
			for _, c := range l.t.Offers(l.peers) {
				if l.peers.Lacks(c) && slices.Contains(s.caps, c) {
					a.Caps = append(a.Caps, c)
				}
			}
		}
		if a.Caps != nil {
			all = append(all, a)
		}
	}
	return all
}

// Peers is what the layer at depth sees; Enabled is left to the session.
func (s *Stack) Peers(depth int) Peers { return s.layers[depth].peers }

// Layered reports whether a layer may answer the command called name.
func (s *Stack) Layered(name string) bool { return len(s.byCommand[name]) > 0 }

// Answering finds the first layer below depth that wants a command. It does not allocate.
func (s *Stack) Answering(m *wire.Message, st *Memory, depth int) (t *Translation, at int, ok bool) {
	for _, i := range s.byCommand[m.Name] {
		if t = s.layers[i].t; i > depth && (t.Wants == nil || t.Wants(m, st)) {
			return t, i, true
		}
	}
	return nil, 0, false
}
