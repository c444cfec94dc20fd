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

// saved is "$": UIDs, in one visit to a mailbox.
type saved struct {
	uids  Set
	visit uint64
}

// wantsSaved looks for "$", and for SAVE in the result options.
func wantsSaved(m *wire.Message, _ *Memory) bool {
	if begins(m.Tokens, "$") || !searches(m.Name) {
		return begins(m.Tokens, "$")
	}
	return wantsKeys(m, func(t wire.Token) bool { return isSaved(t) || t.Is("SAVE") })
}

func isSaved(t wire.Token) bool { return t.Is("$") }

func runSearchRes(m *wire.Message, x Exchange) error {
	if !searches(m.Name) {
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
	pieces, err := resolveSaved(p, x)
	switch {
	case err != nil:
		return err
	case saving:
		return save(pieces, x)
	case len(pieces) == 1:
		return x.Send(pieces[0].message())
	}
	return searchSaved(pieces, x)
}

// selected waits for all earlier commands, so that "$" is what they leave: nothing in a mailbox that was
// selected since. A SELECT that the backend did not understand leaves it as it is.
func selected(x Exchange) error {
	box, saved := x.Mailbox(), x.Memory().saved()
	if saved.visit != box.Visit {
		saved.uids, saved.visit = Set{}, box.Visit
	}
	if box.Name == "" {
		return bad("No mailbox is selected")
	}
	return nil
}

// resolveSaved puts what "$" stands for in its place in a search program: UIDs, or a key that nothing
// matches. A set that is longer than a line may be makes several programs, whose hits together are meant.
// That is refused where "$" may be negated, and where the first of several commands could renumber what
// the second one names by number.
func resolveSaved(p program, x Exchange) ([]program, error) {
	places, single := 0, unUID(p.head) != "SEARCH"
	p, err := p.replace(func(key []wire.Token) ([]wire.Token, error) {
		switch {
		case namesSaved(key) && len(x.Memory().saved().uids.ranges) == 0:
			return noMessage(), nil
		case namesSaved(key):
			places++
		case places == 0 && key[0].Is("NOT"), uidForm(p.head) && isNumbers(key[0]):
			single = true
		}
		return nil, nil
	})
	if err != nil || places == 0 {
		return []program{p}, knownKeys(p, err)
	}
	s, err := shortSaved(x)
	if err != nil {
		return nil, err
	}
	texts := s.Texts(setOctets / places)
	if len(texts) > 1 && (places > 1 || single) {
		return nil, no("LIMIT", "The saved result has too many parts to be searched in like that")
	}
	pieces := make([]program, len(texts))
	for i, text := range texts {
		pieces[i], err = p.replace(func(key []wire.Token) ([]wire.Token, error) {
			if !namesSaved(key) {
				return nil, nil
			}
			return []wire.Token{wire.Word("UID"), wire.Word(text)}, nil
		})
		if err != nil {
			return nil, err
		}
	}
	return pieces, nil
}

// namesSaved reports whether a search key is "$" or UID "$".
func namesSaved(key []wire.Token) bool {
	return isSaved(key[len(key)-1]) && (len(key) == 1 || key[0].Is("UID"))
}

// knownKeys lets a program with keys that are not known here pass where there is no "$" in it.
func knownKeys(p program, err error) error {
	if err != nil && p.has(isSaved) {
		return err
	}
	return nil
}

// shortSaved returns "$" as UIDs. Where that is longer than a command may be, ranges span UIDs that do not
// exist, if the mailbox is small enough for the map that says so.
func shortSaved(x Exchange) (Set, error) {
	mem := x.Memory()
	if len(mem.saved().uids.Texts(setOctets)) > 1 && x.Mailbox().Exists <= maxMapped {
		if err := mem.uids().ready(x); err != nil {
			return Set{}, err
		}
		mem.saved().uids = mem.uids().uids(mem.uids().numbers(mem.saved().uids))
	}
	return mem.saved().uids, nil
}

// searchSaved answers a search that takes several commands, and saves nothing.
func searchSaved(pieces []program, x Exchange) error {
	p := pieces[0]
	opts := results(0)
	if len(p.ret) > 0 {
		var err error
		if opts, err = readResults(p.ret, resultMin|resultMax|resultCount|resultAll); err != nil {
			return err
		}
	}
	h, s, err := search(x, pieces...)
	if err != nil {
		return err
	}
	if !s.OK() {
		return x.Reply(s)
	}
	if opts == 0 {
		err = h.list(x)
	} else if err = h.modSeqs(x, p.head, opts); err == nil {
		err = h.answer(x, p.head, opts)
	}
	if err != nil {
		return err
	}
	return x.Reply(s)
}

// save runs a search and keeps its result. A search that fails with NO leaves nothing saved, one that is not
// understood changes nothing (RFC 5182 section 2.1).
func save(pieces []program, x Exchange) error {
	p := pieces[0]
	if base := unUID(p.head); base != "SEARCH" {
		return bad("SAVE is not known to " + base)
	}
	opts, err := readResults(p.ret, resultMin|resultMax|resultCount|resultAll|resultSave)
	if err != nil {
		return err
	}
	mem := x.Memory()
	before := mem.saved().uids
	mem.saved().uids = Set{}
	var numbering uint64
	if !uidForm(p.head) {
		numbering = mem.uids().numbering(x)
	}
	h, s, err := search(x, pieces...)
	switch {
	case err != nil:
		return notSaved(err)
	case s.Type == "BAD":
		mem.saved().uids = before
		fallthrough
	case !s.OK():
		return x.Reply(s)
	}
	found := h.only(opts)
	if !uidForm(p.head) && len(found.ranges) > 0 {
		if err := mem.uids().ready(x); err != nil {
			return notSaved(err)
		}
		if mem.uids().numbering(x) != numbering {
			return no("EXPUNGEISSUED", "Message numbers have changed during the search")
		}
		found = mem.uids().uids(found)
	}
	mem.saved().uids = found
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
