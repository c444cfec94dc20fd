package translate

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func courierMap() NameMap { return NameMap{Prefix: "INBOX.", Separator: "."} }

func TestNameMap(t *testing.T) {
	for _, c := range []struct {
		m            NameMap
		theirs, seen string
	}{
		{courierMap(), "INBOX", "INBOX"},
		{courierMap(), "INBOX.Sent", "Sent"},
		{courierMap(), "INBOX.a.b.c", "a/b/c"},
		{courierMap(), "INBOX.v1/2", "v1.2"},
		{courierMap(), "INBOX.a.", "a/"},
		{courierMap(), "INBOX.INBOX", "#outside/INBOX/INBOX"},
		{courierMap(), "INBOX.inbox", "#outside/INBOX/inbox"},
		{courierMap(), "INBOX.inbox.", "#outside/INBOX/inbox/"},
		{courierMap(), "INBOX.INBOX.x", "INBOX/x"},
		{courierMap(), "INBOX.", "#outside/INBOX/"},
		{courierMap(), "Inbox.x", "#outside/Inbox/x"},
		{courierMap(), "INBOXES", "#outside/INBOXES"},
		{courierMap(), "shared.team.box", "#outside/shared/team/box"},
		{courierMap(), "#shared.x", "#outside/#shared/x"},
		{courierMap(), "INBOX.#outside", "#outside/INBOX/#outside"},
		{courierMap(), "INBOX.#outside.x", "#outside/INBOX/#outside/x"},
		{courierMap(), "INBOX.#outsider", "#outsider"},
		{courierMap(), "", ""},
		{courierMap(), "INBOX.&AOk-", "&AOk-"},
		{courierMap(), "INBOX.\xe9.x", "\xe9/x"},
		{NameMap{Separator: "."}, "a.b/c", "a/b.c"},
		{NameMap{Separator: "/", ClientSeparator: "."}, "a/b.c", "a.b/c"},
		{NameMap{Prefix: "mail/", Separator: "/"}, "mail/a.b/c", "a.b/c"},
		{NameMap{Prefix: "mail/", Separator: "/"}, "mail", "#outside/mail"},
		{NameMap{Prefix: `a\b\`, Separator: `\`}, `a\b\c\d`, "c/d"},
		{NameMap{}, "a.b/c", "a.b/c"},
	} {
		if got := c.m.down(c.theirs); got != c.seen {
			t.Errorf("%+v: %q is seen as %q, not %q", c.m, c.theirs, got, c.seen)
		}
		if got, ok := c.m.up(c.seen); got != c.theirs || !ok {
			t.Errorf("%+v: %q goes up as %q, %v, not %q", c.m, c.seen, got, ok, c.theirs)
		}
	}
	for _, seen := range []string{Outside, "#outside/", "#outside/INBOX", "#outside/INBOX/x", "#outside/inbox", "#outside/INBOX/#outsider", "INBOX/", "Inbox/"} {
		if theirs, ok := courierMap().up(seen); ok {
			t.Errorf("%q is taken, as %q", seen, theirs)
		}
	}
}

func TestNameMapCheck(t *testing.T) {
	for _, c := range []struct {
		m  NameMap
		ok bool
	}{
		{NameMap{}, true},
		{courierMap(), true},
		{NameMap{Separator: "."}, true},
		{NameMap{Separator: "/", ClientSeparator: "/"}, true},
		{NameMap{Prefix: "mail/", Separator: "/"}, true},
		{NameMap{Prefix: "INBOX."}, false},
		{NameMap{ClientSeparator: "/"}, false},
		{NameMap{Prefix: "INBOX", Separator: "."}, false},
		{NameMap{Prefix: ".", Separator: "."}, false},
		{NameMap{Prefix: "a..", Separator: "."}, false},
		{NameMap{Prefix: ".a.", Separator: "."}, false},
		{NameMap{Prefix: "a b.", Separator: "."}, false},
		{NameMap{Prefix: "a%.", Separator: "."}, false},
		{NameMap{Prefix: "INBOX..", Separator: ".."}, false},
		{NameMap{Separator: "a"}, false},
		{NameMap{Separator: "&"}, false},
		{NameMap{Separator: "%"}, false},
		{NameMap{Separator: ".", ClientSeparator: "-"}, false},
		{NameMap{Prefix: strings.Repeat("a", 300) + ".", Separator: "."}, false},
	} {
		if err := c.m.Check(); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c.m, err)
		}
	}
}

func TestUTF7(t *testing.T) {
	for name, text := range map[string]string{
		"":                                "",
		"INBOX":                           "INBOX",
		"&AOk-t&AOk-":                     "été",
		"R&-D":                            "R&D",
		"~peter/mail/&ZeVnLIqe-/&U,BTFw-": "~peter/mail/日本語/台北",
		"&2D3eAA-":                        "😀",
		"&AOk-&-":                         "é&",
		"&xx":                             "\uFFFDxx",
		"&":                               "\uFFFD",
		"R&D":                             "R\uFFFDD",
		"&-xx":                            "&xx",
		"&AGE-":                           "\uFFFDAGE-",  // a letter, which needs no shift
		"&AOk-&AOk-":                      "é\uFFFDAOk-", // a shift behind a shift
		"&AOk":                            "\uFFFDAOk",   // no end
		"&AOl-":                           "\uFFFDAOl-",  // bits that are left must be 0
		"&2D0-":                           "\uFFFD2D0-",  // half a pair
		"&AAA-":                           "\uFFFDAAA-",  // NUL
		"&,,0-":                           "\uFFFD,,0-",  // U+FFFD itself
		"&AO-":                            "\uFFFDAO-",   // an odd number of octets
		"&AOkA":                           "\uFFFDAOkA",
		"\xe9":                            "\uF7E9",
		"é":                               "\uF7C3\uF7A9",
	} {
		if got := fromUTF7(name); got != text {
			t.Errorf("%q is read as %q, not %q", name, got, text)
		}
		if got, ok := toUTF7(text); got != name || !ok {
			t.Errorf("%q is written as %q, %v, not %q", text, got, ok, name)
		}
	}
	for _, text := range []string{"\xff", "\uFFFDAOk-", "é\uFFFD,,0-\uFFFD-", "\uFFFD-"} {
		if name, ok := toUTF7(text); ok {
			t.Errorf("%q is taken, as %q", text, name)
		}
	}
}

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"*", "", true}, {"%", "", true}, {"", "", true}, {"", "a", false},
		{"*", "a/b", true}, {"%", "a/b", false}, {"%", "ab", true}, {"%/%", "a/b", true}, {"%/%", "a/b/c", false},
		{"a*c", "a/b/c", true}, {"a%c", "a/b/c", false}, {"a%c", "abc", true}, {"a%%c", "ac", true},
		{"*%", "a/b", true}, {"%*", "a/b", true}, {"%b%", "abc", true}, {"*b%", "a/b/c", false}, {"*/c", "a/b/c", true},
		{"a", "A", false}, {"*", "*", true}, {"a%", "a%", true}, {"%a", "%", false},
		{strings.Repeat("*a", 300), strings.Repeat("a", 4000), true},
		{strings.Repeat("*a", 300) + "b", strings.Repeat("a", 4000), false},
	} {
		if got := matches(c.pattern, c.name, "/"); got != c.want {
			t.Errorf("%.20q matches %.20q: %v", c.pattern, c.name, got)
		}
	}
	if !matches("%", "a/b", "") {
		t.Error("without a separator % stands for anything")
	}
	for pattern, want := range map[string]bool{"inb*": true, "%": true, "INBOX": true, "inbox": true, "INBOX/%": false, "x*": false} {
		if matchesInbox(pattern) != want {
			t.Errorf("%q matches INBOX: not %v", pattern, want)
		}
	}
	for pattern, want := range map[string]bool{"*": true, "%": false, "%/%": true, "#*": true, "#outside/x": true, "#outside": false, "a*": false} {
		if mayBegin(pattern, "#outside/", "/") != want {
			t.Errorf("%q may match below #outside: not %v", pattern, want)
		}
	}
}

// FuzzNames holds that no two mailboxes have one name and no name has two mailboxes, with and without the
// map and with and without UTF-8.
func FuzzNames(f *testing.F) {
	for _, seed := range []string{"", "INBOX", "inbox", "INBOX.a.b", "INBOX.INBOX", "INBOX.#outside.x", "shared/x", "#outside/INBOX/x", "&AOk-t&AOk-", "&xx", "é", "\xe9", "&&-&AOk-&AOk-"} {
		f.Add(seed)
	}
	maps := []NameMap{{}, courierMap(), {Separator: "."}, {Prefix: "a/b/", Separator: "/", ClientSeparator: "."}, {Prefix: "~/", Separator: "/"}}
	f.Fuzz(func(t *testing.T, name string) {
		for _, m := range maps {
			if err := m.Check(); err != nil {
				t.Fatal(err)
			}
			seen := fromUTF7(m.down(name))
			if !utf8.ValidString(seen) {
				t.Errorf("%+v: %q is seen as %q", m, name, seen)
			}
			middle, ok := toUTF7(seen)
			theirs, ok2 := m.up(middle)
			if (theirs != name && !isInbox(name)) || !ok || !ok2 {
				t.Errorf("%+v: %q is seen as %q, which goes up as %q", m, name, seen, theirs)
			}
			if middle, ok = toUTF7(name); !ok { // as a client's
				continue
			}
			if theirs, ok = m.up(middle); !ok {
				continue
			}
			if back := fromUTF7(m.down(theirs)); back != name && !isInbox(name) {
				t.Errorf("%+v: %q goes up as %q, which is seen as %q", m, name, theirs, back)
			}
		}
	})
}

// FuzzMatches holds matching against a plain one that tries all, and UTF-8 patterns against what they
// become: whatever is meant is listed, and nothing else where the pattern is called exact.
func FuzzMatches(f *testing.F) {
	for _, s := range [][2]string{{"*", "a/b"}, {"%a%", "&AaO-"}, {"é%", "&AOkA,A-"}, {"R&%", "R&-D"}, {"%/%", "a/b"}, {"%-", "&AOk-"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if len(pattern) > 12 || len(name) > 24 {
			return
		}
		if got, want := matches(pattern, name, "/"), matchesPlainly(pattern, name); got != want {
			t.Errorf("%q matches %q: %v, not %v", pattern, name, got, want)
		}
		if !utf8.ValidString(pattern) {
			return
		}
		theirs, exact := patternToUTF7(pattern)
		meant, listed := matchesPlainly(pattern, fromUTF7(name)), matchesPlainly(theirs, name)
		if meant && !listed || exact && meant != listed {
			t.Errorf("%q becomes %q (exact %v): of %q meant %v, listed %v", pattern, theirs, exact, name, meant, listed)
		}
	})
}

func matchesPlainly(pattern, name string) bool {
	if pattern == "" {
		return name == ""
	}
	switch c := pattern[0]; c {
	case '*', '%':
		for i := 0; i <= len(name); i++ {
			if matchesPlainly(pattern[1:], name[i:]) {
				return true
			}
			if i < len(name) && c == '%' && name[i] == '/' {
				return false
			}
		}
		return false
	default:
		return name != "" && name[0] == c && c != '*' && matchesPlainly(pattern[1:], name[1:])
	}
}
