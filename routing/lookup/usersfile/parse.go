package usersfile

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/imapgate/imapgate/routing"
)

// A table is what one reading of a file gave. It never changes.
type table struct {
	names map[string]struct{} // as they stand there, normalised
	globs []routing.Glob
}

func (t *table) entries() int { return len(t.names) + len(t.globs) }

// contains takes a normalised name that has its default domain.
func (t *table) contains(user, domain string) bool {
	if _, ok := t.names[user]; ok {
		return true
	}
	if local, ok := strings.CutSuffix(user, "@"+domain); ok && domain != "" && !strings.Contains(local, "@") {
		if _, ok := t.names[local]; ok {
			return true
		}
	}
	for _, g := range t.globs {
		if g.Match(user) {
			return true
		}
	}
	return false
}

// lost returns how many entries of t are not in next.
func (t *table) lost(next *table) (n int) {
	for name := range t.names {
		if _, ok := next.names[name]; !ok {
			n++
		}
	}
	still := make(map[routing.Glob]bool, len(next.globs))
	for _, g := range next.globs {
		still[g] = true
	}
	for _, g := range t.globs {
		if !still[g] {
			n++
		}
	}
	return n
}

// maxFaults bounds how many bad lines are told at once.
const maxFaults = 10

// parse returns the table of a file's text, or an error that names the bad lines after the file.
func parse(file string, text []byte) (*table, error) {
	t := &table{names: make(map[string]struct{})}
	seen := make(map[routing.Glob]bool)
	var faults []string
	n := 0
	for line := range bytes.Lines(text) {
		n++
		g, err := entry(string(line))
		switch {
		case err != nil:
			faults = append(faults, fmt.Sprintf("%s:%d: %v", file, n, err))
			if len(faults) == maxFaults {
				return nil, errors.New(strings.Join(faults, "; "))
			}
		case g == "":
		case g.IsName():
			t.names[string(g)] = struct{}{}
		case !seen[g]:
			seen[g] = true
			t.globs = append(t.globs, g)
		}
	}
	if faults != nil {
		return nil, errors.New(strings.Join(faults, "; "))
	}
	return t, nil
}

// blanks are what may stand around a name, and before "#".
const blanks = " \t\r\n"

// mark is what some programs begin a file with, U+FEFF. Where files were joined it stands within.
const mark = "\ufeff"

// entry returns what a line says; "" for one that says nothing.
func entry(line string) (routing.Glob, error) {
	line = strings.TrimLeft(line, blanks+mark)
	for i := range len(line) {
		if line[i] == '#' && (i == 0 || strings.IndexByte(blanks, line[i-1]) >= 0) {
			line = line[:i]
			break
		}
	}
	line = strings.Trim(line, blanks)
	if strings.ContainsFunc(line, unicode.IsSpace) {
		return "", errors.New(`there is a space in it, for which a glob has "?"`)
	}
	return routing.ParseGlob(line)
}
