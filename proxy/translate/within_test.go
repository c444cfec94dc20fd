package translate

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/imapgate/imapgate/proxy/wire"
)

// mail is a message with a date in its own zone.
type mail struct {
	uid  uint32
	date time.Time
}

func (m mail) day() string { return m.date.Format("2006-01-02") }

// matches evaluates a search program as a server does: dates disregard time and zone.
func (m mail) matches(t *testing.T, keys []wire.Token) (bool, []wire.Token) {
	t.Helper()
	arg := func() string { return string(keys[1].Text) }
	date := func() string {
		d, err := time.Parse("2-Jan-2006", arg())
		if err != nil {
			t.Fatal(err)
		}
		return d.Format("2006-01-02")
	}
	switch k := keys[0]; {
	case k.Is("ALL"):
		return true, keys[1:]
	case k.Is("NOT"):
		a, rest := m.matches(t, keys[1:])
		return !a, rest
	case k.Is("OR"):
		a, rest := m.matches(t, keys[1:])
		b, rest := m.matches(t, rest)
		return a || b, rest
	case k.Kind == wire.Open:
		all, rest := true, keys[1:]
		for rest[0].Kind != wire.Close {
			var a bool
			a, rest = m.matches(t, rest)
			all = all && a
		}
		return all, rest[1:]
	case k.Is("BEFORE"):
		return m.day() < date(), keys[2:]
	case k.Is("SINCE"):
		return m.day() >= date(), keys[2:]
	case k.Is("UID"):
		s, err := ParseSet(arg())
		if err != nil {
			t.Fatal(err)
		}
		return s.Contains(m.uid, 0), keys[2:]
	}
	t.Fatalf("search key %s", keys[0].Text)
	return false, nil
}

// TestWithinProperty: for any dates in any zones, the expression that stands for OLDER or YOUNGER is true of
// exactly those messages that are.
func TestWithinProperty(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 2))
		now := time.Unix(1_700_000_000+r.Int64N(1<<28), r.Int64N(1e9))
		seconds := 1 + r.Uint32N(5*86400)
		cut := now.Add(-time.Duration(seconds) * time.Second).Truncate(time.Second)
		var box []mail
		for i := range 60 {
			zone := time.FixedZone("", (r.IntN(53)-24)*1800)
			at := cut.Add(time.Duration(r.IntN(6*86400)-3*86400) * time.Second)
			if r.IntN(8) == 0 {
				at = cut
			}
			box = append(box, mail{uint32(3*i + 5), at.In(zone)})
		}
		if seed%2 == 0 {
			slices.SortFunc(box, func(a, b mail) int { return a.date.Compare(b.date) })
			for i := range box {
				box[i].uid = uint32(3*i + 5)
			}
		}
		x := &scripted{do: func(cmd *wire.Message, sink Sink) wire.Status { return serveDates(t, box, cmd, sink) }}
		for _, name := range []string{"OLDER", "YOUNGER"} {
			a := ages{x: x, now: now, edges: make(map[uint32]*edge)}
			keys, err := a.replace(words(fmt.Sprintf("%s %d", name, seconds)))
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range box {
				want := !m.date.After(cut)
				if name == "YOUNGER" {
					want = !m.date.Before(cut)
				}
				if got, rest := m.matches(t, keys); got != want || len(rest) > 0 {
					t.Fatalf("seed %d: %s at %s, message of %s: %v by %s", seed, name, cut, m.date, got, text(keys))
				}
			}
		}
	}
}

// serveDates plays a server whose numbers are places in box.
func serveDates(t *testing.T, box []mail, cmd *wire.Message, sink Sink) wire.Status {
	switch cmd.Name {
	case "SEARCH":
		found := wire.Data("SEARCH")
		for i, m := range box {
			program := append(append(words("("), cmd.Tokens...), words(")")...)
			if ok, _ := m.matches(t, program); ok {
				found.Tokens = append(found.Tokens, wire.Word(decimal(uint64(i+1))))
			}
		}
		sink(found)
	case "FETCH":
		set, err := ParseSet(string(cmd.Tokens[0].Text))
		if err != nil {
			t.Fatal(err)
		}
		for i, m := range box {
			if set.Contains(uint32(i+1), 0) {
				sink(wire.Numbered(uint32(i+1), "FETCH", wire.List(wire.Word("UID"), wire.Word(decimal(uint64(m.uid))),
					wire.Word("INTERNALDATE"), wire.String(m.date.Format("_2-Jan-2006 15:04:05 -0700")))...))
			}
		}
	}
	return wire.Status{Type: "OK"}
}

// TestWithinBounds: dates without any order are refused before the line grows too long.
func TestWithinBounds(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	var box []mail
	for i := range 20_000 {
		box = append(box, mail{uint32(i + 1), now.Add(time.Duration(i%2*2-1) * time.Hour).UTC()})
	}
	x := &scripted{do: func(cmd *wire.Message, sink Sink) wire.Status { return serveDates(t, box, cmd, sink) }}
	a := ages{x: x, now: now.Add(time.Second), edges: make(map[uint32]*edge)}
	_, err := a.replace(words("OLDER 1"))
	var refused *Refused
	if !errors.As(err, &refused) || refused.Status.Code != "LIMIT" {
		t.Errorf("%v", err)
	}
}
