package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// A cell is where a row meets a column.
type cell struct {
	row    row
	target string
}

// A row is one figure of one step.
type row struct{ step, figure, connection string }

// A table collects what the runs have found.
type table struct {
	rows   []row // in their order
	values map[cell][]float64
	failed map[cell]string
}

// add takes the figures of one run.
func (t *table) add(s step, way connection, target string, r *result) {
	if t.values == nil {
		t.values, t.failed = make(map[cell][]float64), make(map[cell]string)
	}
	why := r.failures.String()
	for _, f := range s.figures {
		at := cell{row{s.name, f.label, way.name}, target}
		if !slices.Contains(t.rows, at.row) {
			t.rows = append(t.rows, at.row)
		}
		if f.known(r) {
			t.values[at] = append(t.values[at], f.of(r))
		}
		if why != "" {
			t.failed[at] = why
		}
	}
}

// text is what stands in a cell: the median, with a mark where something failed.
func (t *table) text(at cell) string {
	text := "-"
	if values := t.values[at]; len(values) > 0 {
		text = number3(medianOf(values))
	}
	if t.failed[at] != "" {
		text += " (!)"
	}
	return text
}

func medianOf(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// print writes the table in Markdown, its columns in the order of targets.
func (t *table) print(w io.Writer, targets []string) {
	fmt.Fprintf(w, "| step | figure | connection | %s |\n", strings.Join(targets, " | "))
	fmt.Fprintf(w, "|---|---|---|%s\n", strings.Repeat("---:|", len(targets)))
	for _, r := range t.rows {
		fmt.Fprintf(w, "| %s | %s | %s |", r.step, r.figure, r.connection)
		for _, name := range targets {
			fmt.Fprintf(w, " %s |", t.text(cell{r, name}))
		}
		fmt.Fprintln(w)
	}
}

// spread is how far repetitions lie apart, as a part of their median: the median and the worst over all
// cells that have repetitions.
func (t *table) spread() (typical, worst float64) {
	var all []float64
	for _, values := range t.values {
		if m := medianOf(values); len(values) > 1 && m > 0 {
			all = append(all, (slices.Max(values)-slices.Min(values))/m)
		}
	}
	if len(all) == 0 {
		return 0, 0
	}
	return medianOf(all), slices.Max(all)
}

// failures lists the cells in which something failed, once for each run.
func (t *table) failures(targets []string) (all []string) {
	for _, r := range t.rows {
		for _, name := range targets {
			why, ok := t.failed[cell{r, name}]
			line := fmt.Sprintf("%s, %s, %s: %s", name, r.step, r.connection, why)
			if ok && !slices.Contains(all, line) {
				all = append(all, line)
			}
		}
	}
	return all
}

// print writes the table and what must be known to read it.
func (c *comparison) print(w io.Writer) {
	var names, versions []string
	for _, t := range c.targets {
		names = append(names, t.name)
		if t.version != "" {
			versions = append(versions, t.name+" "+t.version)
		}
	}
	fmt.Fprintf(w, "%s; %s. %s.\n", c.began.Format(time.DateOnly), machine(), strings.Join(versions, ", "))
	runs := fmt.Sprintf("Medians of %d runs", c.repetitions)
	if c.repetitions == 1 {
		runs = "One run"
	}
	fmt.Fprintf(w, "%s of %v for a busy step, %d waiting sessions; lower is better.", runs, c.window, c.sessions)
	if typical, worst := c.table.spread(); worst > 0 {
		fmt.Fprintf(w, " Runs lie apart by %.0f %% of the median, at worst %.0f %%.", 100*typical, 100*worst)
	}
	fmt.Fprint(w, " Compare what stands in one row:"+
		" rows were measured at different times, and seconds and milliseconds are of all processes together, on this machine."+
		" The processor time is the server's own; under direct, without a proxy, that of backend and load generator.\n\n")
	c.table.print(w, names)
	for _, t := range c.targets {
		if t.limit > 0 && t.limit < c.sessions {
			fmt.Fprintf(w, "%s: %d waiting sessions without TLS, since it needs more open files for each.\n", t.name, t.limit)
		}
	}
	for _, why := range c.leftOut {
		fmt.Fprintf(w, "\nLeft out: %s\n", why)
	}
	for _, why := range c.table.failures(names) {
		fmt.Fprintf(w, "\n(!) %s\n", why)
	}
}

// machine says what the figures were measured on.
func machine() string {
	words := fmt.Sprintf("%d processors", runtime.NumCPU())
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, after, ok := bytes.Cut(info, []byte("model name\t: ")); ok {
			model, _, _ := bytes.Cut(after, []byte("\n"))
			words += fmt.Sprintf(" (%s)", model)
		}
	}
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		words += fmt.Sprintf(", Linux %s", bytes.TrimSpace(release))
	}
	return words + ", " + runtime.Version()
}
