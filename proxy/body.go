package proxy

import (
	"io"

	"github.com/imapgate/imapgate/proxy/translate"
	"github.com/imapgate/imapgate/proxy/wire"
)

// A body is the FETCH response that is being read, for a sink.
type body struct{ s *session }

// Body gives what the response holds behind its first line.
func (x *exchange) Body() translate.Body { return body{x.s} }

func (b body) Writer() *wire.Writer {
	b.s.b.In.Settle() // an error of the client's connection sticks to its Writer
	return b.s.b.In.Replace()
}

func (b body) Copy(to io.Writer) error {
	if err := b.s.b.In.DropLine(); err != nil {
		return err
	}
	return b.s.b.In.CopyLiteral(to)
}

func (b body) Next(m *wire.Message) error { return b.s.b.In.Continue(m) }

func (b body) End() error {
	if err := b.s.b.In.DropLine(); err != nil {
		return err
	}
	return b.s.b.In.Settle()
}
