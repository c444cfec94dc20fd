package translate

import (
	"slices"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/wire"
)

// searchRes keeps "$", the result of the last search with RETURN (SAVE) (RFC 5182), for a backend that
// does not. It is kept as UIDs: messages that go leave it by themselves.
func searchRes() *Translation {
	return &Translation{
		Name:     "searchres",
		Polyfill: true,
		Commands: slices.Concat(searching, []string{
			"FETCH", "UID FETCH", "STORE", "UID STORE", "COPY", "UID COPY", "MOVE", "UID MOVE", "UID EXPUNGE",
		}),
		Offers: func(Peers) []imap.Cap { return []imap.Cap{imap.CapSearchRes} },
		Takes:  func(p Peers) bool { return p.Lacks(imap.CapSearchRes) && !p.Lacks(imap.CapESearch) },
		Wants:  wantsSaved,
		Run:    runSearchRes,
	}
}

// wantsSaved looks for "$", and for SAVE in the result options.
func wantsSaved(m *wire.Message, _ *Memory) bool {
	if !slices.Contains(searching, m.Name) {
		return begins(m.Tokens, "$")
	}
	return wantsKeys(m, func(t wire.Token) bool { return isSaved(t) || t.Is("SAVE") })
}

func isSaved(t wire.Token) bool { return t.Is("$") }

func runSearchRes(m *wire.Message, x Exchange) error {
	if !slices.Contains(searching, m.Name) {
		return onSaved(m, x)
	}
	p, err := readProgram(m)
	if err != nil {
		return x.Send(m) // what is wrong is the backend's to say
	}
	saving := slices.ContainsFunc(p.ret, func(t wire.Token) bool { return t.Is("SAVE") })
	if !saving && !p.has(isSaved) {
		return x.Send(m)
	}
	if err := selected(x); err != nil {
		return err
	}
	if p.has(isSaved) {
		if p, err = p.replace(savedKeys(x)); err != nil {
			return err
		}
	}
	if !saving {
		return x.Send(p.message())
	}
	return save(p, x)
}

// selected waits for all earlier commands, so that "$" is what they leave.
func selected(x Exchange) error {
	if x.Mailbox().Name == "" {
		return bad("No mailbox is selected")
	}
	return nil
}

// savedKeys puts what "$" stands for in its place in a search program: UIDs, or NOT ALL for no message.
func savedKeys(x Exchange) func(key []wire.Token) ([]wire.Token, error) {
	var text string
	octets := 0
	return func(key []wire.Token) ([]wire.Token, error) {
		if !isSaved(key[len(key)-1]) || len(key) > 1 && !key[0].Is("UID") {
			return nil, nil
		}
		if len(x.Memory().saved.ranges) == 0 {
			return []wire.Token{wire.Word("NOT"), wire.Word("ALL")}, nil
		}
		if text == "" {
			s, err := shortSaved(x)
			if err != nil {
				return nil, err
			}
			text = s.String()
		}
		if octets += len(text); octets > setOctets {
			return nil, no("LIMIT", "The saved result has too many parts to be searched in")
		}
		return []wire.Token{wire.Word("UID"), wire.Word(text)}, nil
	}
}

// shortSaved returns "$" as UIDs. Where that is longer than a command may be, ranges span UIDs that do not
// exist.
func shortSaved(x Exchange) (Set, error) {
	mem := x.Memory()
	if len(mem.saved.Texts(setOctets)) > 1 {
		if err := mem.uids.ready(x); err != nil {
			return Set{}, err
		}
		mem.saved = mem.uids.uids(mem.uids.numbers(mem.saved))
	}
	return mem.saved, nil
}

// save runs a search and keeps its result. A search that fails with NO leaves nothing saved, one that is not
// understood changes nothing (RFC 5182 section 2.1).
func save(p program, x Exchange) error {
	if base := unUID(p.head); base != "SEARCH" {
		return bad("SAVE is not known to " + base)
	}
	opts, err := readResults(p.ret, resultMin|resultMax|resultCount|resultAll|resultSave)
	if err != nil {
		return err
	}
	mem := x.Memory()
	before := mem.saved
	mem.saved = Set{}
	var numbering uint64
	if !uidForm(p.head) {
		numbering = mem.uids.numbering(x)
	}
	h, s, err := search(x, p.command())
	switch {
	case err != nil:
		return notSaved(err)
	case s.Type == "BAD":
		mem.saved = before
		fallthrough
	case !s.OK():
		return x.Reply(s)
	}
	found := h.only(opts)
	if !uidForm(p.head) && len(found.ranges) > 0 {
		if err := mem.uids.ready(x); err != nil {
			return notSaved(err)
		}
		if mem.uids.numbering(x) != numbering {
			return no("EXPUNGEISSUED", "Message numbers have changed during the search")
		}
		found = mem.uids.uids(found)
	}
	mem.saved = found
	if opts != resultSave { // alone it asks for no response
		if err := h.modSeqs(x, p.head, opts); err != nil {
			return err
		}
		if err := h.answer(x, p.head, opts); err != nil {
			return err
		}
	}
	return x.Reply(s)
}

// notSaved gives a refusal for size the code of RFC 5182 section 2.1.
func notSaved(err error) error {
	if r, ok := err.(*Refused); ok && r.Status.Code == "LIMIT" {
		return no("NOTSAVED", r.Status.Text)
	}
	return err
}

func unUID(head string) string {
	if uidForm(head) {
		return head[4:]
	}
	return head
}
