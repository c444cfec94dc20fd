package imaptest

import (
	"fmt"
	"strings"
)

// A key is one search key (RFC 3501 section 6.4.4); place is a message's place in the view.
type key func(place int, m *Stored) bool

func (s *session) search(c *command) string {
	match, rest, err := s.keys(c.args)
	if err != nil || len(rest) > 0 {
		return fmt.Sprintf("BAD SEARCH: %v", err)
	}
	out := "* SEARCH"
	for i, v := range s.view {
		m := s.selected.find(v.uid)
		if m == nil || !match(i, m) {
			continue
		}
		n := uint32(i + 1)
		if c.uid {
			n = v.uid
		}
		out += fmt.Sprintf(" %d", n)
	}
	s.printf("%s", out)
	return done(s, c)
}

// keys takes all keys together.
func (s *session) keys(args []arg) (key, []arg, error) {
	all := key(func(int, *Stored) bool { return true })
	for len(args) > 0 {
		k, rest, err := s.key(args)
		if err != nil {
			return nil, nil, err
		}
		before := all
		all = func(i int, m *Stored) bool { return before(i, m) && k(i, m) }
		args = rest
	}
	return all, nil, nil
}

// key takes one key from args, which are not empty, and returns the rest.
func (s *session) key(args []arg) (key, []arg, error) {
	first, rest := args[0], args[1:]
	if first.isList {
		k, _, err := s.keys(first.list)
		return k, rest, err
	}
	word := strings.ToUpper(first.text)
	switch word {
	case "ALL":
		return func(int, *Stored) bool { return true }, rest, nil
	case "ANSWERED", "DELETED", "DRAFT", "FLAGGED", "SEEN":
		return flagKey(word), rest, nil
	case "UNANSWERED", "UNDELETED", "UNDRAFT", "UNFLAGGED", "UNSEEN":
		return not(flagKey(word[2:])), rest, nil
	case "NOT", "OR", "UID":
		return s.operator(word, rest)
	}
	k, err := s.setKey(first.text, bySequence)
	return k, rest, err
}

func (s *session) operator(word string, args []arg) (key, []arg, error) {
	if len(args) == 0 {
		return nil, nil, fmt.Errorf("%s needs something behind it", word)
	}
	if word == "UID" {
		k, err := s.setKey(args[0].text, byUID)
		return k, args[1:], err
	}
	a, rest, err := s.key(args)
	if err != nil || word == "NOT" {
		return not(a), rest, err
	}
	if len(rest) == 0 {
		return nil, nil, fmt.Errorf("OR needs two keys")
	}
	b, rest, err := s.key(rest)
	return func(i int, m *Stored) bool { return a(i, m) || b(i, m) }, rest, err
}

func flagKey(word string) key {
	return func(_ int, m *Stored) bool { return m.Has(`\` + word) }
}

func not(k key) key {
	return func(i int, m *Stored) bool { return !k(i, m) }
}

// A numbering says what the numbers of a set are.
type numbering uint8

const (
	bySequence numbering = iota
	byUID
)

func (s *session) setKey(text string, by numbering) (key, error) {
	set, err := parseSet(text)
	if err != nil {
		return nil, err
	}
	last := uint32(len(s.view))
	if by == byUID && last > 0 {
		last = s.view[last-1].uid
	}
	return func(i int, m *Stored) bool {
		if by == byUID {
			return contains(set, m.UID, last)
		}
		return contains(set, uint32(i+1), last)
	}, nil
}
