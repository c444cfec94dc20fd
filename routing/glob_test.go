package routing

import (
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestGlob(t *testing.T) {
	for _, tt := range []struct {
		pattern, name string
		want          bool
	}{
		{"riley", "riley", true},
		{"riley", "rile", false},
		{"riley", "riley2", false},
		{"Riley", "rILEY", true},
		{"*", "", true},
		{"*", "anything\xff", true},
		{"?", "", false},
		{"?", "é", true},
		{"?", "\xff", true},
		{"??", "é", false},
		{"*@new.example.org", "Riley@NEW.example.org", true},
		{"*@new.example.org", "riley@old.example.org", false},
		{"*@new.example.org", "riley@new.example.org ", false},
		{"*@new.example.org", "@new.example.org", true},
		{"a*b*c", "axxbyyc", true},
		{"a*b*c", "axxbyyb", false},
		{"a*bc", "abcbc", true},
		{"a*?c", "ac", false},
		{"a*?c", "abc", true},
		{"a**", "a", true},
		{`dom\*`, `DOM\riley`, true},
		{"[a-z]", "b", false},
		{"a?b", "a*b", true},
		{"a*b", "a*b", true},
		{"É*", "éric", true},
		{"\u00e9", "\xc3", false},
		{"\ufffd", "\xff", false},
	} {
		g, err := ParseGlob(tt.pattern)
		if err != nil {
			t.Fatalf("%q: %v", tt.pattern, err)
		}
		if got := g.Match(Normalise(tt.name)); got != tt.want {
			t.Errorf("%q matches %q: %v", tt.pattern, tt.name, got)
		}
	}
}

// A matcher that tries every way of sharing the name out among the stars would not come back.
func TestGlobIsNotExponential(t *testing.T) {
	g, err := ParseGlob(strings.Repeat("a*", 500) + "b")
	if err != nil {
		t.Fatal(err)
	}
	if g.Match(strings.Repeat("a", 1024)) {
		t.Error("a name without b matches")
	}
}

func TestNormalise(t *testing.T) {
	for in, want := range map[string]string{
		"":                       "",
		"riley":                  "riley",
		"Riley@Example.ORG":      "riley@example.org",
		" Riley ":                " riley ",
		"ÄÖÜß":                   "äöüß",
		"Σ":                      "σ",
		"A\xffB":                 "a\xffb",
		"A\xfeB\ufffd":           "a\xfeb\ufffd",
		"\u212a":                 "k", // the Kelvin sign
		strings.Repeat("A", 999): strings.Repeat("a", 999),
	} {
		if got := Normalise(in); got != want {
			t.Errorf("Normalise(%q) = %q, want %q", in, got, want)
		}
	}
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if once := Normalise(string(r)); Normalise(once) != once {
			t.Errorf("%U becomes %q and then %q", r, once, Normalise(once))
		}
	}
}

// naive translates a pattern to the regular expression that says the same.
func naive(pattern string) *regexp.Regexp {
	quoted := regexp.QuoteMeta(Normalise(pattern))
	quoted = strings.ReplaceAll(strings.ReplaceAll(quoted, `\*`, `.*`), `\?`, `.`)
	return regexp.MustCompile(`\A(?s:` + quoted + `)\z`)
}

func FuzzGlob(f *testing.F) {
	f.Add("*@new.example.org", "riley@new.example.org")
	f.Add("a*b?c*", "aXbYc")
	f.Add("?*?", "\xff\xc3\xa9")
	f.Add(`\*[a-z]`, `\x[a-z]`)
	f.Fuzz(func(t *testing.T, pattern, name string) {
		g, err := ParseGlob(pattern)
		if err != nil {
			return
		}
		if !utf8.ValidString(string(g)) || Normalise(string(g)) != string(g) {
			t.Fatalf("glob of %q is %q", pattern, g)
		}
		if strings.ContainsRune(pattern, utf8.RuneError) {
			return // regexp takes it for any octet that is not UTF-8
		}
		name = Normalise(name)
		if got, want := g.Match(name), naive(pattern).MatchString(name); got != want {
			t.Errorf("%q matches %q: %v, the regular expression says %v", pattern, name, got, want)
		}
	})
}
