package translate

import (
	"slices"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/wire"
)

// rev2Needs is what IMAP4rev2 contains beyond IMAP4rev1 (RFC 9051 appendix E) and other layers or the
// backend give; how deep in the stack does not matter.
var rev2Needs = []imap.Cap{
	imap.CapEnable, imap.CapNamespace, imap.CapUnselect, imap.CapIdle, imap.CapESearch, imap.CapSearchRes,
	imap.CapListExtended, imap.CapListStatus, imap.CapMove, imap.CapBinary, imap.CapUTF8Accept,
}

// keepsRev2 reports whether the proxy speaks IMAP4rev2 in front of a backend without it. It is offered only
// where the policy adds it: STATUS with SIZE and DELETED costs a look at every message of a mailbox, and is
// refused for mailboxes other than the selected one while one is selected. The backend needs UIDPLUS, whose
// codes nobody can invent.
func keepsRev2(p Peers) bool {
	return slices.Contains(p.Policy.Add, imap.CapIMAP4rev2) && p.Lacks(imap.CapIMAP4rev2) && lists(p.Real, imap.CapUIDPlus)
}

// rev2 offers IMAP4rev2 (RFC 9051) in front of a backend with IMAP4rev1. Nothing changes before the client
// says ENABLE IMAP4rev2; from then on searches answer ESEARCH, names and texts are UTF-8, FETCH tells the
// UID, and nothing is recent any more.
func rev2() *Translation {
	return &Translation{
		Name:     "imap4rev2",
		Commands: []string{"ENABLE"},
		Polyfill: true,
		Takes: func(p Peers) bool {
			return keepsRev2(p) && !slices.ContainsFunc(rev2Needs, p.Lacks)
		},
		Offers: func(Peers) []imap.Cap { return []imap.Cap{imap.CapIMAP4rev2} },
		Wants: func(m *wire.Message, _ *Memory) bool {
			return slices.ContainsFunc(m.Tokens, func(t wire.Token) bool { return t.Is("IMAP4rev2") })
		},
		Run:     enableRev2,
		Rewrite: rev2Responses(),
	}
}

// Rev2 reports whether the client has enabled IMAP4rev2 by the proxy's doing.
func (s *Memory) Rev2() bool { return s.rev2.Load() }

// enableRev2 lets the layers below enable the rest, and UTF8=ACCEPT with it: that is how names become UTF-8.
func enableRev2(m *wire.Message, x Exchange) error {
	if x.Mailbox().Name != "" {
		return bad("ENABLE is possible only before a mailbox is selected")
	}
	wanted := EnableFilter(m.Tokens, x.Offered())
	if !slices.ContainsFunc(wanted, func(t wire.Token) bool { return t.Is("IMAP4rev2") }) {
		return x.Send(m)
	}
	asked := slices.ContainsFunc(wanted, isUTF8Accept)
	below := slices.DeleteFunc(slices.Clone(wanted), func(t wire.Token) bool { return t.Is("IMAP4rev2") })
	if !asked {
		below = append(below, wire.Word(string(imap.CapUTF8Accept)))
	}
	enabled := []wire.Token{wire.Word(string(imap.CapIMAP4rev2))}
	utf8 := false
	s, err := x.Do(wire.Command("ENABLE", below...), func(r *wire.Message) (Verdict, error) {
		if r.Name != "ENABLED" {
			return Pass, nil
		}
		for _, t := range r.Tokens {
			utf8 = utf8 || isUTF8Accept(t)
			if asked || !isUTF8Accept(t) {
				enabled = append(enabled, t.Clone())
			}
		}
		return Drop, nil
	})
	switch {
	case err != nil:
		return err
	case !s.OK():
		return x.Reply(s)
	case !utf8:
		return no("CANNOT", "The mail server does not enable UTF8=ACCEPT")
	}
	x.Memory().rev2.Store(true)
	x.Enable(capNames(enabled)...)
	if err := x.Untagged(wire.Data("ENABLED", enabled...)); err != nil {
		return err
	}
	return x.Reply(completed("ENABLE"))
}

func isUTF8Accept(t wire.Token) bool { return t.Is(string(imap.CapUTF8Accept)) }

// rev2Responses takes out what IMAP4rev2 has dropped, and tells the UID of messages whose flags change
// (RFC 9051 section 7.5.2).
func rev2Responses() *Rewrite {
	return &Rewrite{
		Name: "imap4rev2",
		Responses: func(st *Memory, name string) bool {
			switch name {
			case "RECENT", "FLAGS", "FETCH", "OK":
				return st.Rev2()
			}
			return false
		},
		Down: func(st *Memory, m *wire.Message) (Verdict, error) {
			switch m.Name {
			case "RECENT":
				return Drop, nil
			case "OK":
				if code, _, _ := wire.Code(m.Text); m.Untagged() && code == "UNSEEN" {
					return Drop, nil
				}
				return Pass, nil
			}
			verdict := withoutRecent(m)
			if m.Name == "FETCH" && st.tellUID(m) {
				verdict = Changed
			}
			return verdict, nil
		},
	}
}

// withoutRecent takes \Recent out of flags. Other strings that look like it are values, not atoms.
func withoutRecent(m *wire.Message) Verdict {
	n := len(m.Tokens)
	m.Tokens = slices.DeleteFunc(m.Tokens, func(t wire.Token) bool { return t.Is(`\Recent`) })
	if len(m.Tokens) == n {
		return Pass
	}
	return Changed
}

// tellUID adds the UID to a FETCH response that tells flags without one, where the map knows it.
func (s *Memory) tellUID(m *wire.Message) bool {
	f, ok := readFetch(m)
	if _, literal := m.Literal(); !ok || !f.flags || f.uid != 0 || literal || len(m.Tokens) == 0 || m.Tokens[0].Kind != wire.Open {
		return false
	}
	uid := s.uids().known(m.Num)
	if uid == 0 {
		return false
	}
	m.Tokens = slices.Insert(slices.Clone(m.Tokens), 1, wire.Word("UID"), number(uid))
	m.Tokens[3].Glued = false
	return true
}

func number(n uint32) wire.Token { return wire.Word(Set{ranges: []Range{{n, n}}}.String()) }

// rev2Search makes every search answer ESEARCH (RFC 9051 section 6.4.4).
func rev2Search() *Translation {
	return &Translation{
		Name:     "imap4rev2-search",
		Commands: []string{"SEARCH", "UID SEARCH"},
		Polyfill: true,
		Takes:    keepsRev2,
		Wants:    func(_ *wire.Message, st *Memory) bool { return st.Rev2() },
		Run: func(m *wire.Message, x Exchange) error {
			p, err := readProgram(m)
			if err != nil {
				return err
			}
			if asksRecent(p) {
				return bad("NEW, OLD and RECENT are not in IMAP4rev2")
			}
			if len(p.args) == 2 && (p.args[1].Is("UTF-8") || p.args[1].Is("US-ASCII")) {
				p.args = nil // which UTF8=ACCEPT says already, and may not be said twice (RFC 6855 section 3)
			}
			if len(p.ret) == 0 {
				p.ret = append([]wire.Token{wire.Word("RETURN")}, wire.List(wire.Word("ALL"))...)
			}
			return x.Send(p.message())
		},
	}
}

// asksRecent reports whether a program has a key that IMAP4rev2 has dropped. Behind a key that is not known
// here nothing is, for it could be an argument.
func asksRecent(p program) (asks bool) {
	p.replace(func(key []wire.Token) ([]wire.Token, error) {
		asks = asks || key[0].Is("NEW") || key[0].Is("OLD") || key[0].Is("RECENT")
		return nil, nil
	})
	return asks
}

// rev2Select adds to SELECT and EXAMINE what IMAP4rev2 demands: CLOSED, where a mailbox was selected, and
// the LIST response of the new one (RFC 9051 section 6.3.2).
func rev2Select() *Translation {
	return &Translation{
		Name:     "imap4rev2-select",
		Commands: []string{"SELECT", "EXAMINE"},
		Polyfill: true,
		Takes:    keepsRev2,
		Wants:    func(_ *wire.Message, st *Memory) bool { return st.Rev2() },
		Run:      runRev2Select,
	}
}

func runRev2Select(m *wire.Message, x Exchange) error {
	if len(m.Tokens) == 0 || !m.Tokens[0].IsString() {
		return bad(m.Name + " takes a mailbox name")
	}
	var listed *wire.Message
	_, err := x.Do(wire.Command("LIST", wire.String(""), mailboxToken(m.Tokens[0])), func(r *wire.Message) (Verdict, error) {
		if l, ok := readListLine(r); ok && r.Name == "LIST" && sameMailbox(l.name.Value(), m.Tokens[0].Value()) {
			listed = r.Clone()
		}
		return dropNamed(r, "LIST"), nil
	})
	if err != nil {
		return err
	}
	if x.Mailbox().Name != "" {
		if err := x.Info(wire.Status{Type: "OK", Code: "CLOSED", Text: "Previous mailbox is closed"}); err != nil {
			return err
		}
	}
	s, err := x.Do(m, func(r *wire.Message) (Verdict, error) {
		if code, _, _ := wire.Code(r.Text); r.IsStatus() && code == "CLOSED" {
			return Drop, nil
		}
		return dropNamed(r, "LIST"), nil
	})
	if err != nil {
		return err
	}
	if s.OK() && listed != nil {
		if err := x.Untagged(listed); err != nil {
			return err
		}
	}
	if s.OK() {
		if err := mapUIDs(x); err != nil {
			return err
		}
	}
	return x.Reply(s)
}

// mapUIDs builds the map for tellUID. A mailbox that is too large for it has none, and then the UID is left
// out of unasked FETCH responses.
func mapUIDs(x Exchange) error {
	mem := x.Memory()
	if x.Mailbox().Exists > maxMapped {
		return nil
	}
	var refused *Refused
	if err := mem.uids().ready(x); err != nil && !asRefused(err, &refused) {
		return err
	}
	return nil
}

func dropNamed(m *wire.Message, name string) Verdict {
	if m.Name == name {
		return Drop
	}
	return Pass
}
