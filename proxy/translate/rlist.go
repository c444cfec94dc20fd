package translate

import "github.com/imapgate/imapgate/proxy/wire"

// rlist answers RLIST and RLSUB (RFC 2193) by LIST and LSUB: behind the proxy no mailbox is remote.
func rlist() *Translation {
	return &Translation{
		Name:     "rlist",
		Polyfill: true,
		Commands: []string{"RLIST", "RLSUB"},
		Takes:    func(Peers) bool { return true },
		Run: func(m *wire.Message, x Exchange) error {
			return x.Send(wire.Command(m.Name[1:], m.Tokens...))
		},
	}
}
