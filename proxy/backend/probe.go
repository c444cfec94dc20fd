package backend

import (
	"context"
	"slices"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/wire"
)

// Probe runs a command right behind a login, for servers that say OK to a login and refuse all that
// follows. Any other answer than OK is a failure of the login, and final: the backend has taken the
// credentials and will not serve the user. Its errors are *Error.
func (b *Conn) Probe(ctx context.Context, cmd *wire.Message) error {
	return b.during(ctx, func(context.Context) error {
		s, err := b.run("probe", cmd)
		if err != nil {
			return b.heard(err)
		}
		if !s.OK() {
			e := b.Config.refused(Unavailable, "probe", s)
			e.Final = true
			return e
		}
		return nil
	})
}

// A question is asked right behind the login where the backend announces one of some capabilities. The
// answer is kept in Caps, so that it is known before anything is offered to the client.
type question struct {
	announced []imap.Cap
	name      string // of the command, and of the response that answers it
	learns    imap.Cap
}

// questions are what capability lists leave open. GroupWise announces XGWEXTENSIONS and says only in
// answer to the command of that name whether it has XGWMOVE.
var questions = []question{
	{announced: []imap.Cap{"XGWEXTENSIONS", "XGWMOVE"}, name: "XGWEXTENSIONS", learns: "XGWMOVE"},
}

// ask puts all questions that a backend's capabilities raise. What it refuses to answer it does not have.
func (b *Conn) ask() error {
	for _, q := range questions {
		if !slices.ContainsFunc(q.announced, func(c imap.Cap) bool { return has(b.Caps, c) }) {
			continue
		}
		var found bool
		b.heed = func(m *wire.Message) {
			found = found || m.Name == q.name && slices.ContainsFunc(m.Tokens, func(t wire.Token) bool { return t.Is(string(q.learns)) })
		}
		s, err := b.run("probe", wire.Command(q.name))
		b.heed = nil
		if err != nil {
			return b.heard(err)
		}
		if found && s.OK() {
			b.Announcement = b.with(q.learns)
		} else {
			b.Announcement = b.without(q.learns)
		}
	}
	return nil
}

// has reports whether c itself was announced.
func has(caps imap.CapSet, c imap.Cap) bool {
	_, ok := caps[c]
	return ok
}
