package translate

import (
	"bytes"
	"strings"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/wire"
)

// unseenNoop leaves UNSEEN out of the answer to NOOP: it belongs to SELECT (RFC 3501 section 7.1).
func unseenNoop() *Translation {
	return &Translation{
		Name:     "unseen",
		Commands: []string{"NOOP"},
		Takes:    func(p Peers) bool { return p.Quirks.TellsUnseen },
		Run: func(m *wire.Message, x Exchange) error {
			s, err := x.Do(m, func(m *wire.Message) (Verdict, error) {
				if code, _, _ := wire.Code(m.Text); m.IsStatus() && code == "UNSEEN" {
					return Drop, nil
				}
				return Pass, nil
			})
			if err != nil {
				return err
			}
			return x.Reply(s)
		},
	}
}

// readOnlyClose leaves a mailbox that was opened by EXAMINE without CLOSE, where the backend opens for
// writing all the same and so would expunge (RFC 3501 section 6.4.2 forbids it).
func readOnlyClose() *Translation {
	return &Translation{
		Name:     "readonly-close",
		Commands: []string{"CLOSE"},
		Takes:    func(p Peers) bool { return p.Quirks.WritesExamine },
		Run: func(m *wire.Message, x Exchange) error {
			switch {
			case !x.Mailbox().ReadOnly:
				return x.Send(m)
			case !lists(x.Peers().Backend, imap.CapUnselect):
				return no("CANNOT", "The mail server would expunge; select another mailbox instead")
			}
			s, err := x.Do(wire.Command("UNSELECT"), nil)
			if err != nil {
				return err
			}
			if s.OK() {
				s = completed(m.Name)
			}
			return x.Reply(s)
		},
	}
}

// readOnlyFetch fetches without \Seen what is fetched from a mailbox that was opened by EXAMINE, where
// the backend would set it.
func readOnlyFetch() *Translation {
	return &Translation{
		Name:     "readonly-fetch",
		Commands: []string{"FETCH", "UID FETCH"},
		Takes:    func(p Peers) bool { return p.Quirks.WritesExamine },
		Wants: func(m *wire.Message, _ *Memory) bool {
			return bodyItem(m.Tokens) >= 0 || oldBodyItem(m.Tokens) >= 0
		},
		Run: runReadOnlyFetch,
	}
}

func runReadOnlyFetch(m *wire.Message, x Exchange) error {
	if !x.Mailbox().ReadOnly {
		return x.Send(m)
	}
	for i := bodyItem(m.Tokens); i >= 0; i = bodyItem(m.Tokens) {
		m.Tokens[i].Text = append([]byte("BODY.PEEK"), m.Tokens[i].Text[len("BODY"):]...)
	}
	o := &oldNames{x: x, names: make(map[string]string)}
	for i := oldBodyItem(m.Tokens); i >= 0; i = oldBodyItem(m.Tokens) {
		old := oldItems[strings.ToUpper(string(m.Tokens[i].Text))+".PEEK"]
		m.Tokens[i].Text = []byte(old.ask)
		o.names[old.answer] = old.name
	}
	if len(o.names) == 0 {
		return x.Send(m)
	}
	s, err := x.Do(m, o.sink)
	if err != nil {
		return err
	}
	return x.Reply(s)
}

// oldBodyItem finds an RFC822 or RFC822.TEXT among the items of FETCH; -1 where there is none. In a list of
// header fields it is none.
func oldBodyItem(tokens []wire.Token) int {
	items, depth := 0, 0
	if len(tokens) > 1 && tokens[1].Kind == wire.Open {
		items = 1
	}
	for i := range tokens {
		switch t := &tokens[i]; {
		case t.Kind == wire.Open:
			depth++
		case t.Kind == wire.Close:
			depth--
		case depth == items && (t.Is("RFC822") || t.Is("RFC822.TEXT")):
			return i
		}
	}
	return -1
}

// bodyItem finds a BODY[...] in the arguments of FETCH; -1 where there is none.
func bodyItem(tokens []wire.Token) int {
	for i := range tokens {
		t := &tokens[i]
		if t.Kind == wire.Atom && len(t.Text) > 5 && t.Text[4] == '[' && bytes.EqualFold(t.Text[:4], []byte("BODY")) {
			return i
		}
	}
	return -1
}
