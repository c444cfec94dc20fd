package imaptest

import (
	"bytes"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// FormatTranscript writes sections so that [ParseTranscript] reads them again. Lines that were parsed
// stand as they were written.
func FormatTranscript(w io.Writer, sections []Section) error {
	for _, s := range sections {
		if _, err := io.WriteString(w, s.String()); err != nil {
			return err
		}
	}
	return nil
}

// String returns the section as it stands in a file.
func (s Section) String() string {
	var b strings.Builder
	if s.header != "" {
		b.WriteString(s.header + "\n")
	}
	for _, l := range s.Lines {
		b.WriteString(l.String() + "\n")
	}
	return b.String()
}

// String returns the line as it stands in a file, without the end of the line.
func (l Line) String() string {
	if l.Raw != "" || l.Speaker == 0 {
		return l.Raw
	}
	speaker := string(l.Speaker)
	if l.Joined {
		speaker += "+"
	}
	switch {
	case l.Event == EventWait:
		return speaker + ": <WAIT " + l.Wait.String() + ">"
	case l.Event != "":
		return speaker + ": <" + string(l.Event) + ">"
	}
	text, whole := strings.CutSuffix(string(l.Data), "\r\n")
	if !whole || !plain(text) {
		return speaker + strconv.Quote(string(l.Data))
	}
	return strings.TrimSuffix(speaker+": "+text, " ")
}

// plain reports whether text can stand as it is: printable, not taken for a pseudo-line, and without a
// space at the end that editors remove.
func plain(text string) bool {
	if strings.HasPrefix(text, "<") && strings.HasSuffix(text, ">") || strings.HasSuffix(text, " ") || !utf8.ValidString(text) {
		return false
	}
	return strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// splitHeard makes lines of the bytes that speaker has heard.
func splitHeard(speaker byte, data []byte) []Line {
	var lines []Line
	for len(data) > 0 {
		n := len(data)
		if i := bytes.Index(data, []byte("\r\n")); i >= 0 {
			n = i + 2
		}
		lines = append(lines, Line{Speaker: speaker, Data: data[:n:n]})
		data = data[n:]
	}
	return lines
}

// canonical returns the lines that count in a comparison, those heard split as a play splits them, so
// that the form in which they were written does not matter.
func canonical(lines []Line) []Line {
	var out []Line
	for i := 0; i < len(lines); {
		if l := lines[i]; !l.hears() || l.Event != "" {
			if l.Speaker != 0 {
				out = append(out, l)
			}
			i++
			continue
		}
		var data []byte
		speaker := lines[i].Speaker
		for ; i < len(lines) && (lines[i].Speaker == speaker || lines[i].Speaker == 0) && lines[i].Event == ""; i++ {
			data = append(data, lines[i].Data...)
		}
		out = append(out, splitHeard(speaker, data)...)
	}
	return out
}

func text(lines []Line) []string {
	var out []string
	for _, l := range canonical(lines) {
		out = append(out, l.String())
	}
	return out
}

// diff shows want and got whole, line by line: "-" was expected and is missing, "+" came instead.
func diff(want, got []string) string {
	common := commonLengths(want, got)
	var b strings.Builder
	i, j := 0, 0
	for i < len(want) || j < len(got) {
		switch {
		case i < len(want) && j < len(got) && want[i] == got[j]:
			b.WriteString("  " + want[i] + "\n")
			i, j = i+1, j+1
		case j == len(got) || i < len(want) && common[i+1][j] >= common[i][j+1]:
			b.WriteString("- " + want[i] + "\n")
			i++
		default:
			b.WriteString("+ " + got[j] + "\n")
			j++
		}
	}
	return b.String()
}

// commonLengths holds at [i][j] how many lines want[i:] and got[j:] have in common, in order.
func commonLengths(want, got []string) [][]int {
	table := make([][]int, len(want)+1)
	for i := range table {
		table[i] = make([]int, len(got)+1)
	}
	for i := len(want) - 1; i >= 0; i-- {
		for j := len(got) - 1; j >= 0; j-- {
			table[i][j] = max(table[i+1][j], table[i][j+1])
			if want[i] == got[j] {
				table[i][j] = table[i+1][j+1] + 1
			}
		}
	}
	return table
}
