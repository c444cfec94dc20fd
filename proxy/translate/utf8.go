package translate

import (
	"slices"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/wire"
)

// UTF8 reports whether names are UTF-8 towards the client by the proxy's doing (utf8.go).
func (s *Memory) UTF8() bool { return s.utf8.Load() }

// plain is a mailbox under the name that every session has for it, whatever its client has enabled.
func (s *Memory) plain(box Mailbox) Mailbox {
	if s.UTF8() {
		box.Name, _ = toUTF7(box.Name) // it is selected, so it has a name
	}
	return box
}

// configuredName is a mailbox's name of the configuration, in UTF-8 or modified UTF-7, as the client has it.
func configuredName(name string, p Peers) string {
	if hasWide([]byte(name)) {
		name, _ = toUTF7(name)
	}
	if lists(p.Enabled, imap.CapUTF8Accept) {
		return fromUTF7(name)
	}
	return name
}

// utf8Accept keeps UTF8=ACCEPT (RFC 6855) in front of a backend without it: [Names] does the work once
// it is enabled, and the session turns the data of APPEND into what the backend takes.
func utf8Accept() *Translation {
	return keeping(imap.CapUTF8Accept, "utf8", func(p Peers) bool {
		return lacksUTF8(p) && !p.Lacks(imap.CapEnable)
	}, func(st *Memory) { st.utf8.Store(true) })
}

func lacksUTF8(p Peers) bool { return p.Lacks(imap.CapUTF8Accept) && p.Lacks(imap.CapUTF8Only) }

// upText sends 8-bit strings as literals, and says of a search with any that they are UTF-8. A client
// that has enabled UTF8=ACCEPT must not say so itself (RFC 6855 section 3).
func upText(m *wire.Message) error {
	wide := false
	for i := range m.Tokens {
		t := &m.Tokens[i]
		if t.Kind == wire.Atom || t.Text == nil || !hasWide(t.Text) {
			continue
		}
		wide = true
		if t.Kind == wire.Quoted {
			*t = glueLike(*t, wire.String(t.Value()))
		}
	}
	if m.Name != "SEARCH" && m.Name != "UID SEARCH" {
		return nil
	}
	at := charsetPlace(m.Tokens)
	switch {
	case at < len(m.Tokens) && m.Tokens[at].Is("CHARSET"):
		return bad("CHARSET is not allowed once UTF8=ACCEPT is enabled")
	case wide:
		m.Tokens = slices.Insert(m.Tokens, at, wire.Word("CHARSET"), wire.Word("UTF-8"))
	}
	return nil
}

func hasWide(text []byte) bool {
	return slices.ContainsFunc(text, func(c byte) bool { return c >= 0x80 })
}
