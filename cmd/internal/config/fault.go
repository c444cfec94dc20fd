package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A Fault is one mistake in a configuration file.
type Fault struct {
	File string
	Line int    // from 1; 0 when no line is to blame
	Key  string // path of the key, as in listeners[0].address; empty for the file as a whole
	Text string // what is wrong; what to do
}

// Error returns the fault as file:line: key: text.
func (f Fault) Error() string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d", f.Line)
	}
	if f.Key != "" {
		b.WriteString(": " + f.Key)
	}
	return b.String() + ": " + f.Text
}

// Faults are all the mistakes of one file, in the order of its lines.
type Faults []Fault

// Error returns one line for each fault.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.Error()
	}
	return strings.Join(lines, "\n")
}

// A record collects the faults of one file and knows where its keys stand.
type record struct {
	file   string
	lines  map[string]int // line of every key that was written, by path
	faults Faults
}

// add notes a fault of a key. A key has one fault: those that follow from it are not reported.
func (r *record) add(key, format string, args ...any) {
	if r.faulty(key) {
		return
	}
	r.faults = append(r.faults, Fault{File: r.file, Line: r.line(key), Key: key, Text: fmt.Sprintf(format, args...)})
}

// faulty says whether the key is known to be wrong, so that nothing can be concluded from its value.
func (r *record) faulty(key string) bool {
	return slices.ContainsFunc(r.faults, func(f Fault) bool { return f.Key == key })
}

// written says whether the key stands in the file.
func (r *record) written(key string) bool {
	return r.lines[key] > 0
}

// line returns the line of a key, or of the nearest key around it that was written.
func (r *record) line(key string) int {
	for key != "" {
		if n := r.lines[key]; n > 0 {
			return n
		}
		key = key[:max(strings.LastIndexAny(key, ".["), 0)]
	}
	return 0
}

// err returns what was collected, or nil.
func (r *record) err() error {
	if len(r.faults) == 0 {
		return nil
	}
	slices.SortFunc(r.faults, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Key, b.Key))
	})
	return r.faults
}
