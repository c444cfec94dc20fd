package translate

import (
	"slices"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/wire"
)

// enable answers ENABLE (RFC 5161) in front of a backend without it. What translations keep is enabled by
// themselves, above it.
func enable() *Translation {
	return &Translation{
		Name: "enable", Commands: []string{"ENABLE"}, Polyfill: true,
		Takes:  func(p Peers) bool { return p.Lacks(imap.CapEnable) },
		Offers: func(Peers) []imap.Cap { return []imap.Cap{imap.CapEnable} },
		Run: func(m *wire.Message, x Exchange) error {
			if len(m.Tokens) == 0 {
				return bad("ENABLE takes at least one capability")
			}
			if err := x.Untagged(wire.Data("ENABLED")); err != nil {
				return err
			}
			return x.Reply(completed("ENABLE"))
		},
	}
}

// keeping returns the polyfill that offers a capability which has to be enabled, where takes says so, and
// calls on when a client does that. All else in the same ENABLE goes on to the layers below.
func keeping(c imap.Cap, name string, takes func(Peers) bool, on func(*Memory)) *Translation {
	return &Translation{
		Name: name, Commands: []string{"ENABLE"}, Polyfill: true, Takes: takes,
		Offers: func(Peers) []imap.Cap { return []imap.Cap{c} },
		Wants: func(m *wire.Message, _ *Memory) bool {
			return slices.ContainsFunc(m.Tokens, func(t wire.Token) bool { return t.Is(string(c)) })
		},
		Run: func(m *wire.Message, x Exchange) error {
			if x.Mailbox().Name != "" {
				return bad("ENABLE is possible only before a mailbox is selected")
			}
			return enableKept(c, m, x, on)
		},
	}
}

// enableKept enables c, and lets the layers below enable the rest. One ENABLED lists both, and what the
// session does not offer stands in none (RFC 5161 section 3.2).
func enableKept(c imap.Cap, m *wire.Message, x Exchange, on func(*Memory)) error {
	wanted := EnableFilter(m.Tokens, x.Offered())
	theirs := slices.DeleteFunc(slices.Clone(wanted), func(t wire.Token) bool { return t.Is(string(c)) })
	kept := len(theirs) < len(wanted)
	var enabled []wire.Token
	if len(theirs) > 0 {
		status, err := x.Do(wire.Command("ENABLE", theirs...), func(r *wire.Message) (Verdict, error) {
			if r.Name != "ENABLED" {
				return Pass, nil
			}
			enabled = append(enabled, EnableFilter(r.Tokens, x.Offered())...)
			return Drop, nil
		})
		if err != nil {
			return err
		}
		if status.Type != "OK" {
			return x.Reply(status)
		}
	}
	if kept {
		enabled = append(enabled, wire.Word(string(c)))
	}
	x.Enable(capNames(enabled)...)
	if err := x.Untagged(wire.Data("ENABLED", enabled...)); err != nil {
		return err
	}
	if kept {
		on(x.Memory())
	}
	return x.Reply(completed("ENABLE"))
}

func capNames(tokens []wire.Token) []imap.Cap {
	names := make([]imap.Cap, 0, len(tokens))
	for _, t := range tokens {
		names = append(names, imap.Cap(t.Text))
	}
	return names
}
