package translate

import (
	"strings"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/wire"
)

// The limits of ID (RFC 2971 section 3.3), and what its arguments may come to on one line: old servers
// take no more than 8000 octets.
const (
	maxIDPairs = 30
	maxIDKey   = 30
	maxIDValue = 1024
	maxIDLine  = 7000
)

// An IDPair is a field of ID.
type IDPair struct {
	Key, Value string
	Nil        bool // it has no value
}

// ParseID reads the argument of ID, or of a response of that name (RFC 2971 section 3.1). It has at most 30
// pairs; how long they are is not looked at.
func ParseID(args []wire.Token) (pairs []IDPair, valid bool) {
	if len(args) == 1 && args[0].Is("NIL") {
		return nil, true
	}
	if len(args) < 2 || args[0].Kind != wire.Open || args[len(args)-1].Kind != wire.Close {
		return nil, false
	}
	args = args[1 : len(args)-1]
	if len(args)%2 != 0 || len(args) > 2*maxIDPairs {
		return nil, false
	}
	for i := 0; i < len(args); i += 2 {
		if !args[i].IsString() || !args[i+1].IsString() {
			return nil, false
		}
		p := IDPair{Key: args[i].Value(), Nil: args[i+1].Is("NIL")}
		if !p.Nil {
			p.Value = args[i+1].Value()
		}
		pairs = append(pairs, p)
	}
	return pairs, true
}

// FormatID is the argument of ID with these pairs.
func FormatID(pairs []IDPair) []wire.Token {
	if len(pairs) == 0 {
		return []wire.Token{wire.Word("NIL")}
	}
	var list []wire.Token
	for _, p := range pairs {
		value := wire.String(p.Value)
		if p.Nil {
			value = wire.Word("NIL")
		}
		list = append(list, wire.String(p.Key), value)
	}
	return wire.List(list...)
}

// proxyKey begins the keys by which the proxy shows itself among somebody else's: it changes the session,
// so that it may not pass for either side (RFC 2971 section 5).
const proxyKey = "x-proxy-"

// id lets the backend answer ID, by the policy id: merge. Both sides are told of the proxy. Keys that begin
// with x- are never forwarded: some servers believe them who the client is.
func id() *Translation {
	return &Translation{
		Name:     "id",
		Commands: []string{"ID"},
		Takes:    func(p Peers) bool { return p.Policy.ID == IDMerge && lists(p.Real, imap.CapID) },
		Run:      runID,
	}
}

func runID(m *wire.Message, x Exchange) error {
	client, valid := ParseID(m.Tokens)
	if !valid {
		return bad(IDUsage)
	}
	own := x.Introduce(client)
	var server []IDPair
	var answered bool
	s, err := x.Do(wire.Command("ID", FormatID(mergeID(withoutExtensions(client), own))...), func(m *wire.Message) (Verdict, error) {
		if m.Name != "ID" {
			return Pass, nil
		}
		if !answered {
			server, answered = ParseID(m.Tokens)
		}
		return Drop, nil
	})
	if err != nil {
		return err
	}
	answer := own
	if s.OK() {
		answer = mergeID(server, own)
	}
	if err := x.Untagged(wire.Data("ID", FormatID(answer)...)); err != nil {
		return err
	}
	return x.Reply(completed(m.Name))
}

// IDUsage says what ID takes.
const IDUsage = "ID takes a list of at most 30 strings and their values, or NIL"

func withoutExtensions(pairs []IDPair) (kept []IDPair) {
	for _, p := range pairs {
		if len(p.Key) < 2 || !strings.EqualFold(p.Key[:2], "x-") {
			kept = append(kept, p)
		}
	}
	return kept
}

// mergeID puts the proxy's pairs, under keys of their own, behind somebody else's. Of those it leaves out
// what breaks a limit, what cannot stand in quotes, and keys that stood there before; there is always room
// for the proxy's.
func mergeID(others, own []IDPair) (merged []IDPair) {
	var ours []IDPair
	seen, room := make(map[string]bool), maxIDLine
	for _, p := range own {
		p.Key = proxyKey + p.Key
		seen[p.Key] = true
		ours = append(ours, p)
		_, size := p.fits()
		room -= size
	}
	for _, p := range others {
		key := strings.ToLower(p.Key)
		fits, size := p.fits()
		if !fits || size > room || seen[key] || len(merged)+len(ours) >= maxIDPairs {
			continue
		}
		seen[key] = true
		room -= size
		merged = append(merged, p)
	}
	return append(merged, ours...)
}

// fits reports whether a pair may stand in ID, each part in quotes, and the octets that it takes.
func (p IDPair) fits() (ok bool, size int) {
	key, value := wire.String(p.Key), wire.String(p.Value)
	ok = key.Kind == wire.Quoted && value.Kind == wire.Quoted && p.Key != "" && len(p.Key) <= maxIDKey && len(p.Value) <= maxIDValue
	return ok, len(key.Text) + len(value.Text) + len(`"" "" `)
}
