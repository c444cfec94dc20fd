package backend

import (
	"context"
	"strings"

	"github.com/imapgate/imapgate/proxy/wire"
)

// AskID asks the server for its name and version by ID (RFC 2971 section 3.1), and tells it nothing. Empty is
// what it does not say. Its errors are *Error.
func (b *Conn) AskID(ctx context.Context) (name, version string, err error) {
	b.asked = true
	err = b.during(ctx, func(context.Context) error {
		_, err := b.run("id", wire.Command("ID", wire.Word("NIL")))
		return err
	})
	b.asked = false
	return b.identity["name"], b.identity["version"], err
}

// identified keeps what the server says of itself. Long values, and literals, are not kept.
func (b *Conn) identified(m *wire.Message) {
	const maxValue = 200
	if !b.asked || b.In.Load(m) != nil || len(m.Tokens) < 2 {
		return
	}
	b.identity = make(map[string]string)
	for pairs := m.Tokens[1:]; len(pairs) > 1; pairs = pairs[2:] {
		if key, value := pairs[0], pairs[1]; key.Kind == wire.Quoted && value.Kind == wire.Quoted && len(value.Text) <= maxValue {
			b.identity[strings.ToLower(key.Value())] = value.Value()
		}
	}
}
