package translate

import (
	"strings"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/wire"
)

// esearch answers SEARCH RETURN (MIN MAX COUNT ALL) (RFC 4731) in front of a backend that has only SEARCH.
func esearch() *Translation {
	return &Translation{
		Name:     "esearch",
		Polyfill: true,
		Commands: []string{"SEARCH", "UID SEARCH"},
		Offers:   func(Peers) []imap.Cap { return []imap.Cap{imap.CapESearch} },
		Takes:    func(p Peers) bool { return p.Lacks(imap.CapESearch) },
		Wants:    func(m *wire.Message, _ *Memory) bool { return begins(m.Tokens, "RETURN") },
		Run:      runESearch,
	}
}

func runESearch(m *wire.Message, x Exchange) error {
	p, err := readProgram(m)
	if err != nil {
		return err
	}
	opts, err := readResults(p.ret, resultMin|resultMax|resultCount|resultAll)
	if err != nil {
		return err
	}
	h, s, err := search(x, p)
	if err != nil {
		return err
	}
	if !s.OK() {
		return x.Reply(s)
	}
	if err := h.modSeqs(x, p.head, opts); err != nil {
		return err
	}
	if err := h.answer(x, p.head, opts); err != nil {
		return err
	}
	return x.Reply(s)
}

// upperAtom returns an atom in upper case; "" for anything else.
func upperAtom(t wire.Token) string {
	if t.Kind != wire.Atom {
		return ""
	}
	return strings.ToUpper(string(t.Text))
}
