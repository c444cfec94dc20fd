package translate

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// readmeTable returns the cells of the first table below a heading of the README, without its head.
func readmeTable(t *testing.T, heading string) (rows [][]string) {
	t.Helper()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(readme), "\n"+heading+"\n")
	if !found {
		t.Fatalf("README.md has no section %q", heading)
	}
	for line := range strings.Lines(section) {
		cells, isRow := strings.CutPrefix(strings.TrimSpace(line), "| ")
		switch {
		case isRow:
			rows = append(rows, strings.Split(strings.TrimSuffix(cells, " |"), " | "))
		case len(rows) > 0 && !strings.HasPrefix(line, "|"):
			return rows[1:]
		}
	}
	if len(rows) < 2 {
		t.Fatalf("README.md has no table in section %q", heading)
	}
	return rows[1:]
}

var code = regexp.MustCompile("`([^`]+)`")

// named returns what a cell has in code type.
func named(cell string) (names []string) {
	for _, m := range code.FindAllStringSubmatch(cell, -1) {
		names = append(names, m[1])
	}
	return names
}

// The README says of each capability what the table says, and of no other.
func TestReadmeHasTheCapabilityTable(t *testing.T) {
	fates := map[string]string{}
	for _, row := range readmeTable(t, "## What each capability becomes") {
		for _, name := range named(row[0]) {
			if _, twice := fates[name]; twice {
				t.Errorf("README.md has %s twice", name)
			}
			fates[name] = row[1]
		}
	}
	for _, c := range Table() {
		if fates[c.Name] != string(c.Fate) {
			t.Errorf("README.md says %q of %s, the table %q", fates[c.Name], c.Name, c.Fate)
		}
		delete(fates, c.Name)
	}
	for name := range fates {
		t.Errorf("README.md names %s, the table does not", name)
	}
}

// The README tells of each command that a translation answers.
func TestReadmeHasTheTranslations(t *testing.T) {
	var heads []string
	for _, row := range readmeTable(t, "## Commands that are not simply passed on") {
		heads = append(heads, named(row[0])...)
	}
	for _, translation := range All() {
		if translation.Polyfill {
			continue
		}
		for _, head := range translation.Commands {
			if !slices.Contains(heads, head) {
				t.Errorf("README.md does not tell of %s", head)
			}
		}
	}
	for _, head := range heads {
		if _, known := Lookup(head); !known {
			t.Errorf("README.md tells of %s, which is in no table", head)
		}
	}
}

// The README tells of each polyfill, and of no other.
func TestReadmeHasThePolyfills(t *testing.T) {
	told := map[string]bool{}
	for _, row := range readmeTable(t, "## Polyfills: what the backend lacks") {
		for _, name := range named(row[0]) {
			told[name] = true
		}
		if len(row) != 5 {
			t.Errorf("the row of %s has %d cells", row[0], len(row))
		}
	}
	for _, translation := range All() {
		if translation.Polyfill && !told[translation.Name] {
			t.Errorf("README.md does not tell of the polyfill %s", translation.Name)
		}
		if translation.Polyfill {
			delete(told, translation.Name)
		}
	}
	for name := range told {
		t.Errorf("README.md tells of a polyfill %s, which is none", name)
	}
}

// The README has the table of quirks, word for word.
func TestReadmeHasTheQuirks(t *testing.T) {
	rows := readmeTable(t, "## Servers and clients that misbehave")
	if len(rows) != len(AllQuirks()) {
		t.Fatalf("README.md has %d quirks, the table %d", len(rows), len(AllQuirks()))
	}
	for i, k := range AllQuirks() {
		if want := []string{"`" + k.Name + "`", k.Of, k.Does, k.Gets, k.When(), k.Source}; !slices.Equal(rows[i], want) {
			t.Errorf("README.md says %q, the table %q", rows[i], want)
		}
	}
}
