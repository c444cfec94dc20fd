package translate

import (
	"bytes"
	"errors"
	"slices"
	"sync/atomic"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/wire"
)

const (
	maxBinaryMessages = 10000    // that one FETCH with BINARY items may mean
	maxBinaryItems    = 16       // in one FETCH
	maxPartHeader     = 64 << 10 // octets of a MIME header that are held
)

// binary answers the FETCH items of RFC 3516 section 4.2 in front of a backend without them: BINARY[...]
// becomes BODY[...], and the Content-Transfer-Encoding is undone while the octets pass. A literal's size
// stands in front of it, so an encoded part is fetched twice: once to measure it, and once to pass it.
// Nothing of it is held. The literal8 of APPEND is refused with UNKNOWN-CTE, as section 4.4 has it for
// mailboxes that cannot store one.
func binary() *Translation {
	return &Translation{
		Name:     "binary",
		Commands: []string{"FETCH", "UID FETCH"},
		Polyfill: true,
		Offers:   func(Peers) []imap.Cap { return []imap.Cap{imap.CapBinary} },
		Takes:    func(p Peers) bool { return p.Lacks(imap.CapBinary) },
		Wants:    wantsBinary,
		Run:      runBinary,
	}
}

// wantsBinary also takes a command that goes on behind a literal: what stands there is not known yet.
func wantsBinary(m *wire.Message, _ *Memory) bool {
	for i := range m.Tokens {
		t := &m.Tokens[i]
		if t.Kind == wire.Literal && t.Text == nil {
			return true
		}
		if t.Kind == wire.Atom && len(t.Text) > 7 && bytes.EqualFold(t.Text[:6], []byte("BINARY")) {
			return true
		}
	}
	return false
}

func runBinary(m *wire.Message, x Exchange) error {
	b, err := newBinaryFetch(m, x)
	switch {
	case err != nil:
		return err
	case len(b.asked) == 0:
		return x.Send(m)
	}
	x.Memory().Attach(b)
	defer x.Memory().Detach(b)
	for _, step := range []func() error{b.readHeaders, b.measure} {
		if err := step(); err != nil {
			return err
		}
	}
	return b.fetch()
}

// A binaryFetch is one FETCH with BINARY items.
type binaryFetch struct {
	x      Exchange
	head   string
	set    wire.Token
	others []wire.Token // the items that are none of ours
	after  []wire.Token // modifiers behind the items (RFC 4466 section 2.4)
	asked  []section
	parts  []string // of asked, each once

	told  atomic.Uint64         // removals that the backend has told of
	seen  uint64                // those among them that came during a command of ours
	known map[uint32][]partInfo // by message number; in the order of parts
	lost  bool                  // messages went of which the number is not known
	bare  bool                  // the UID is fetched so that there is something to fetch
	short bool                  // something that was asked for could not be given
}

// A partInfo is what is known of a part of a message.
type partInfo struct {
	encoding string // what its own header says
	inHeader string // part 1: what the message's header says
	single   bool   // part 1: the message is not multipart, so that its header is the part's
	multi    bool   // multipart: it has no encoding of its own
	size     int64  // decoded
	binary   bool   // a NUL is in it, so that it needs a literal8
	failed   bool
}

// cte is the part's Content-Transfer-Encoding.
func (p *partInfo) cte() string {
	if p.single {
		return p.inHeader
	}
	return p.encoding
}

func newBinaryFetch(m *wire.Message, x Exchange) (*binaryFetch, error) {
	if len(m.Tokens) < 2 || m.Tokens[0].Kind != wire.Atom {
		return nil, bad(m.Name + " takes a message set and items")
	}
	b := &binaryFetch{x: x, head: m.Name, set: m.Tokens[0], known: make(map[uint32][]partInfo)}
	var items []wire.Token
	if m.Tokens[1].Kind == wire.Open {
		end := closing(m.Tokens, 1)
		if end < 0 {
			return nil, bad(m.Name + ": the list of items does not end")
		}
		items, b.after = m.Tokens[2:end], m.Tokens[end+1:]
	} else {
		end := 2
		for end < len(m.Tokens) && m.Tokens[end].Glued { // BODY[HEADER.FIELDS (TO)]
			end++
		}
		items, b.after = m.Tokens[1:end], m.Tokens[end:]
	}
	for _, t := range items {
		if err := b.item(t); err != nil {
			return nil, err
		}
	}
	return b, b.conflicts()
}

// closing returns where the list ends that begins at from; -1 where it does not.
func closing(tokens []wire.Token, from int) int {
	depth := 0
	for i := from; i < len(tokens); i++ {
		switch tokens[i].Kind {
		case wire.Open:
			depth++
		case wire.Close:
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

func (b *binaryFetch) item(t wire.Token) error {
	if t.Kind != wire.Atom || !bytes.HasPrefix(bytes.ToUpper(t.Text), []byte("BINARY")) {
		b.others = append(b.others, t)
		return nil
	}
	s, ok := parseSection(t.Text)
	switch {
	case !ok, s.name != "BINARY" && s.name != "BINARY.PEEK" && s.name != "BINARY.SIZE", s.name == "BINARY.SIZE" && s.offset >= 0:
		return bad(b.head + ": " + clip(string(t.Text)) + " is not an item of RFC 3516")
	case len(b.asked) == maxBinaryItems:
		return no("LIMIT", "Too many BINARY items in one command")
	}
	b.asked = append(b.asked, s)
	if !slices.Contains(b.parts, s.part) {
		b.parts = append(b.parts, s.part)
	}
	return nil
}

// conflicts refuses what one passing of the octets cannot give: a part twice.
func (b *binaryFetch) conflicts() error {
	var bodies []string
	for _, s := range b.asked {
		if s.name == "BINARY.SIZE" {
			continue
		}
		if slices.Contains(bodies, s.part) {
			return no("CANNOT", "Ask for a part once in a command")
		}
		bodies = append(bodies, s.part)
	}
	for _, t := range b.others {
		if s, ok := parseSection(t.Text); ok && t.Kind == wire.Atom && slices.Contains(bodies, s.part) {
			return no("CANNOT", "Ask for BODY and BINARY of a part in two commands")
		}
	}
	return nil
}

func (b *binaryFetch) do(items []wire.Token, after []wire.Token, sink Sink) (wire.Status, error) {
	args := append([]wire.Token{b.set}, wire.List(items...)...)
	s, err := b.x.Do(wire.Command(b.head, append(args, after...)...), sink)
	if err == nil && !s.OK() {
		err = &Refused{Status: s}
	}
	return s, err
}

// readHeaders learns how the parts are encoded. The header of part 1 of a message that is not multipart
// is the message's own (RFC 3501 section 6.4.5).
func (b *binaryFetch) readHeaders() error {
	var items []wire.Token
	for _, p := range b.parts {
		switch p {
		case "": // the whole message has no encoding
			continue
		case "1":
			items = append(items, wire.Word("BODY.PEEK[HEADER.FIELDS"), wire.Token{Kind: wire.Open},
				wire.Word("CONTENT-TYPE"), wire.Word("CONTENT-TRANSFER-ENCODING"), wire.Token{Kind: wire.Close, Glued: true}, glued("]"))
		}
		items = append(items, wire.Word("BODY.PEEK["+p+".MIME]"))
	}
	if len(items) == 0 {
		return nil
	}
	if _, err := b.do(items, nil, b.headerSink); err != nil {
		return err
	}
	return b.refusal()
}

func glued(text string) wire.Token {
	t := wire.Word(text)
	t.Glued = true
	return t
}

// refusal judges what is known so far, before anything was told to the client.
func (b *binaryFetch) refusal() error {
	if b.lost || b.slipped() {
		return no("EXPUNGEISSUED", "Messages were removed meanwhile, try again")
	}
	if len(b.known) > maxBinaryMessages {
		return no("LIMIT", "Too many messages for one command with BINARY items")
	}
	for _, parts := range b.known {
		for _, p := range parts {
			switch {
			case p.multi && !p.single:
				return no("CANNOT", "A multipart has no content of its own")
			case newDecoder(p.cte(), nil) == nil:
				return no("UNKNOWN-CTE", "The encoding of a part is not known")
			case p.failed:
				return no("", "A part is not encoded as its header says; ask for BODY")
			}
		}
	}
	return nil
}

// measure decodes what is encoded, and counts what is to be counted.
func (b *binaryFetch) measure() error {
	var items []wire.Token
	for i, p := range b.parts {
		if b.sized(p) || b.encoded(i) {
			items = append(items, wire.Word("BODY.PEEK["+p+"]"))
		}
	}
	if len(items) == 0 {
		return nil
	}
	if _, err := b.do(items, nil, b.measureSink); err != nil {
		return err
	}
	return b.refusal()
}

func (b *binaryFetch) sized(part string) bool {
	return slices.ContainsFunc(b.asked, func(s section) bool { return s.part == part && s.name == "BINARY.SIZE" })
}

func (b *binaryFetch) encoded(i int) bool {
	for _, parts := range b.known {
		if cte := parts[i].cte(); cte == "base64" || cte == "quoted-printable" {
			return true
		}
	}
	return false
}

// fetch passes everything to the client.
func (b *binaryFetch) fetch() error {
	items := slices.Clone(b.others)
	for _, s := range b.asked {
		switch s.name {
		case "BINARY":
			items = append(items, wire.Word("BODY["+s.part+"]"))
		case "BINARY.PEEK":
			items = append(items, wire.Word("BODY.PEEK["+s.part+"]"))
		}
	}
	if len(items) == 0 {
		items = []wire.Token{wire.Word("UID")}
		b.bare = b.head == "FETCH"
	}
	s, err := b.do(items, b.after, b.fetchSink)
	if refused, is := errors.AsType[*Refused](err); is {
		return b.x.Reply(refused.Status)
	}
	if err != nil {
		return err
	}
	if b.short {
		s = wire.Status{Type: "NO", Code: "EXPUNGEISSUED", Text: "Messages have changed meanwhile, try again"}
	}
	return b.x.Reply(s)
}

// Watch counts removals: one that a backend tells between two commands, where none may come, is seen by no
// sink.
func (b *binaryFetch) Watch(m *wire.Message) error {
	if _, gone := removed(m); gone {
		b.told.Add(1)
	}
	return nil
}

// Left is for [Watcher]; nothing is selected during a command of ours.
func (b *binaryFetch) Left() {}

// slipped reports whether the numbers are not those that were followed.
func (b *binaryFetch) slipped() bool { return b.told.Load() != b.seen }

// follow keeps the numbers right while messages are removed.
func (b *binaryFetch) follow(m *wire.Message) {
	if _, gone := removed(m); gone {
		b.seen++
	}
	if b.slipped() {
		b.known = map[uint32][]partInfo{}
	}
	switch m.Name {
	case "VANISHED":
		if _, gone := removed(m); gone {
			b.lost, b.known = true, map[uint32][]partInfo{}
		}
	case "EXPUNGE":
		moved := make(map[uint32][]partInfo, len(b.known))
		for num, parts := range b.known {
			switch {
			case num < m.Num:
				moved[num] = parts
			case num > m.Num:
				moved[num-1] = parts
			}
		}
		b.known = moved
	}
}

// clip bounds what of a client's text comes back in an answer.
func clip(text string) string { return text[:min(len(text), 60)] }
