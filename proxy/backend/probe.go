package backend

import (
	"context"

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
