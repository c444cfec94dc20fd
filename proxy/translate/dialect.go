package translate

import (
	"slices"

	"github.com/imapgate/imapgate/proxy/wire"
)

// A Rewrite is one way in which a backend's conversation differs from the one that clients and
// translations have: other mailbox names, a server's misbehaviour. It stands between the lowest layer of
// the [Stack] and the backend. Sessions share it: what one of them remembers is in its Memory.
type Rewrite struct {
	Name string // for texts: "names", or a quirk's name
	// Commands says which commands Up sees; it must not allocate.
	Commands func(st *Memory, head string) bool
	// Up changes a command on its way to the backend, in place. It sees all arguments, literals too, up to
	// message data. A [*Refused] answers the client's command instead.
	Up func(st *Memory, m *wire.Message) error
	// Responses says which responses Down sees, tagged ones by their type; it must not allocate. One of
	// them that does not parse inside goes to nobody, unless it is a FETCH: Down has not seen it.
	Responses func(st *Memory, name string) bool
	// Down changes a response on its way from the backend, in place, and says Changed when it did. It
	// sees the whole response with its literals, but of FETCH the tokens of the first line, and of a
	// status response the text.
	Down func(st *Memory, m *wire.Message) (Verdict, error)
	// Reads says whether the literal that is announced at the end of what is known of a response so far
	// has to be read for Down; nil for every one.
	Reads func(m *wire.Message) bool
	// Short says that Down sees a FETCH with its short literals, up to the first one that is longer than
	// [MaxShort] octets, or the eighth.
	Short bool
}

// MaxShort is the length of a literal that may be part of an ENVELOPE or a BODYSTRUCTURE.
const MaxShort = 4096

// A Dialect is all rewrites of a session, the client's side first. Nil is none. It never changes.
type Dialect struct{ rewrites []Rewrite }

// NewDialect returns nil where there is nothing to rewrite.
func NewDialect(rewrites ...Rewrite) *Dialect {
	if len(rewrites) == 0 {
		return nil
	}
	return &Dialect{rewrites}
}

// TakesCommand reports whether a command has to be held for [Dialect.Up].
func (d *Dialect) TakesCommand(st *Memory, head string) bool {
	if d == nil {
		return false
	}
	for i := range d.rewrites {
		if f := d.rewrites[i].Commands; f != nil && f(st, head) {
			return true
		}
	}
	return false
}

// TakesResponse reports whether a response has to be held for [Dialect.Down].
func (d *Dialect) TakesResponse(st *Memory, name string) bool {
	if d == nil {
		return false
	}
	for i := range d.rewrites {
		if f := d.rewrites[i].Responses; f != nil && f(st, name) {
			return true
		}
	}
	return false
}

// Up returns a command as the backend is to have it; m stays as it is.
func (d *Dialect) Up(st *Memory, m *wire.Message) (*wire.Message, error) {
	if !d.TakesCommand(st, m.Name) {
		return m, nil
	}
	up := *m
	up.Tokens = slices.Clone(m.Tokens)
	for i := range d.rewrites {
		if r := &d.rewrites[i]; r.Commands != nil && r.Commands(st, m.Name) {
			if err := r.Up(st, &up); err != nil {
				return nil, err
			}
		}
	}
	return &up, nil
}

// Reads reports whether a response is read on through the literal that is announced at its end.
func (d *Dialect) Reads(st *Memory, m *wire.Message) bool {
	for i := range d.rewrites {
		r := &d.rewrites[i]
		if r.Responses != nil && r.Responses(st, m.Name) && (r.Reads == nil || r.Reads(m)) {
			return true
		}
	}
	return false
}

// Short reports whether a FETCH is held with its short literals.
func (d *Dialect) Short() bool {
	if d == nil {
		return false
	}
	for i := range d.rewrites {
		if d.rewrites[i].Short {
			return true
		}
	}
	return false
}

// Down changes a response on its way from the backend.
func (d *Dialect) Down(st *Memory, m *wire.Message) (Verdict, error) {
	v := Pass
	for i := len(d.rewrites) - 1; i >= 0; i-- {
		r := &d.rewrites[i]
		if r.Responses == nil || !r.Responses(st, m.Name) {
			continue
		}
		switch w, err := r.Down(st, m); {
		case err != nil || w == Drop:
			return Drop, err
		case w == Changed:
			v = Changed
		}
	}
	return v, nil
}
