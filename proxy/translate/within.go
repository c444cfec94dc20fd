package translate

import (
	"slices"
	"time"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/wire"
)

const (
	maxIntervals = 4       // different intervals in one search; each costs a SEARCH and a FETCH
	maxEdge      = 1 << 17 // messages of three days that are looked at for one interval: 1 MB
)

// within answers the search keys OLDER and YOUNGER (RFC 5032) in front of a backend without them.
//
// The keys of days that every server has disregard time and zone, so only days that are more than a day away
// from the moment that is meant say for sure on which side of it a message is. The messages of the three
// days between are looked at one by one, by their INTERNALDATE. Each key becomes an expression that is true of
// exactly the same messages, so it may stand anywhere, under NOT too.
func within() *Translation {
	return &Translation{
		Name:     "within",
		Polyfill: true,
		Commands: searching,
		Offers:   func(Peers) []imap.Cap { return []imap.Cap{imap.CapWithin} },
		Takes:    func(p Peers) bool { return p.Lacks(imap.CapWithin) },
		Wants:    func(m *wire.Message, _ *Memory) bool { return wantsKeys(m, isInterval) },
		Run:      runWithin,
	}
}

func isInterval(t wire.Token) bool { return t.Is("OLDER") || t.Is("YOUNGER") }

func runWithin(m *wire.Message, x Exchange) error {
	p, err := readProgram(m)
	if err != nil || !p.has(isInterval) {
		return x.Send(m) // what is wrong is the backend's to say
	}
	a := ages{x: x, now: time.Now(), edges: make(map[uint32]*edge)}
	p, err = p.replace(a.replace)
	switch {
	case err != nil:
		return err
	case !a.used:
		return x.Send(m)
	}
	return x.Send(p.message())
}

// ages is one search with OLDER or YOUNGER.
type ages struct {
	x      Exchange
	now    time.Time
	edges  map[uint32]*edge // by seconds
	used   bool
	octets int // of all sets that were put in
}

// replace puts an expression in the place of OLDER and YOUNGER.
func (a *ages) replace(key []wire.Token) ([]wire.Token, error) {
	if !isInterval(key[0]) {
		return nil, nil
	}
	a.used = true
	seconds, ok := key[1].Number()
	if !ok || seconds == 0 {
		return nil, bad("OLDER and YOUNGER take a number of seconds above 0")
	}
	e, err := a.edge(seconds)
	if err != nil {
		return nil, err
	}
	with := e.older()
	if key[0].Is("YOUNGER") {
		with = e.younger()
	}
	for _, t := range with {
		a.octets += len(t.Text)
	}
	if a.octets > setOctets {
		return nil, no("LIMIT", "The messages of those days are in no order; their ages cannot be searched for")
	}
	return with, nil
}

// edge finds the messages that are near the moment that lies so many seconds back.
func (a *ages) edge(seconds uint32) (*edge, error) {
	if e := a.edges[seconds]; e != nil {
		return e, nil
	}
	if len(a.edges) == maxIntervals {
		return nil, no("LIMIT", "Too many different intervals in one search")
	}
	e := &edge{cut: a.now.Add(-time.Duration(seconds) * time.Second).UTC()}
	a.edges[seconds] = e
	if e.beforeAll() {
		return e, nil
	}
	return e, e.look(a.x)
}

// An edge is the messages of the days around a moment.
type edge struct {
	cut      time.Time
	messages []dated
	bad      bool
}

type dated struct {
	uid uint32
	age age
}

// An age is on which side of the moment a message is.
type age uint8

const (
	neither age = iota // its date cannot be read
	old
	young
	both // exactly the moment: OLDER and YOUNGER include it (RFC 5032 section 3)
)

// beforeAll says that the moment is before any message: mail is not older than the clocks of its servers,
// and dates before 1970 are not understood by all.
func (e *edge) beforeAll() bool { return e.cut.Before(time.Unix(0, 0).AddDate(0, 0, 4)) }

// from and to are the first day that is looked at and the first that is not any more. A message's day in
// any zone is at most one day from its day in UTC.
func (e *edge) from() string { return day(e.cut, -1) }
func (e *edge) to() string   { return day(e.cut, 2) }

func day(t time.Time, days int) string { return t.AddDate(0, 0, days).Format("2-Jan-2006") }

// look asks for the messages by number, which cannot renumber any: what the client named by number in the
// same program still means what it meant.
func (e *edge) look(x Exchange) error {
	h, s, err := search(x, program{head: "SEARCH", keys: dateKeys("SINCE", e.from(), "BEFORE", e.to())})
	if err != nil {
		return err
	}
	if !s.OK() {
		return &Refused{Status: s}
	}
	if h.found.Len() > maxEdge {
		return no("LIMIT", "Too many messages have dates near the moment searched for")
	}
	items := wire.List(wire.Word("UID"), wire.Word("INTERNALDATE"))
	for _, text := range h.found.Texts(setOctets) {
		s, err := x.Do(wire.Command("FETCH", append([]wire.Token{wire.Word(text)}, items...)...), e.sink)
		if err != nil {
			return err
		}
		if !s.OK() {
			return &Refused{Status: s}
		}
	}
	if e.bad {
		return no("EXPUNGEISSUED", "Message numbers have changed during the search")
	}
	slices.SortFunc(e.messages, func(a, b dated) int { return int(int64(a.uid) - int64(b.uid)) })
	return nil
}

// sink takes the dates. What else a response tells goes to the client.
func (e *edge) sink(m *wire.Message) (Verdict, error) {
	if _, gone := removed(m); gone {
		e.bad = true
		return Pass, nil
	}
	f, ok := readFetch(m)
	if !ok || f.uid == 0 {
		return Pass, nil
	}
	i := slices.IndexFunc(m.Tokens, func(t wire.Token) bool { return t.Is("INTERNALDATE") })
	if i < 0 || i+1 == len(m.Tokens) {
		return Pass, nil
	}
	if len(e.messages) < maxEdge {
		e.messages = append(e.messages, dated{f.uid, e.ageOf(m.Tokens[i+1].Value())})
	}
	if f.flags {
		return Pass, nil
	}
	return Drop, nil
}

// ageOf compares a date-time of RFC 3501 section 9, whose day may have a space in front.
func (e *edge) ageOf(text string) age {
	t, err := time.Parse("_2-Jan-2006 15:04:05 -0700", text)
	cut := e.cut.Truncate(time.Second) // INTERNALDATE has no fractions
	switch {
	case err != nil:
		return neither
	case t.Equal(cut):
		return both
	case t.Before(cut):
		return old
	}
	return young
}

// older is true of all messages before the days around the moment, and of those within that are old.
func (e *edge) older() []wire.Token {
	if e.beforeAll() {
		return noMessage()
	}
	return either("BEFORE", e.from(), "BEFORE", e.to(), e.runs(old))
}

// younger is true of all messages behind the days around the moment, and of those within that are young.
func (e *edge) younger() []wire.Token {
	if e.beforeAll() {
		return []wire.Token{wire.Word("ALL")}
	}
	return either("SINCE", e.to(), "SINCE", e.from(), e.runs(young))
}

// either renders: sure, or among those that are possible one of uids.
func either(sure, sureDay, possible, possibleDay, uids string) []wire.Token {
	if uids == "" {
		return dateKeys(sure, sureDay)
	}
	edge := append(dateKeys(possible, possibleDay), wire.Word("UID"), wire.Word(uids))
	return slices.Concat([]wire.Token{wire.Word("OR")}, dateKeys(sure, sureDay), wire.List(edge...))
}

func dateKeys(words ...string) []wire.Token {
	tokens := make([]wire.Token, len(words))
	for i, w := range words {
		tokens[i] = wire.Word(w)
	}
	return tokens
}

// runs is a set of UIDs that holds, of the messages looked at, those of one age. Between two that follow one
// another in it there may be others, which the days beside it rule out.
func (e *edge) runs(a age) string {
	var s Set
	within := false
	for _, m := range e.messages {
		switch {
		case m.age != a && m.age != both:
			within = false
		case within:
			s.ranges[len(s.ranges)-1].High = m.uid
		default:
			s.ranges = append(s.ranges, Range{m.uid, m.uid})
			within = true
		}
	}
	return s.String()
}
