package imaptest

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// The speakers of a transcript.
const (
	ClientSays   = 'C'
	ClientHears  = 'c'
	BackendHears = 'B'
	BackendSays  = 'b'
)

// An Event is what a pseudo-line stands for.
type Event string

// The events. EOF and CUT can be said and heard; the others are only said.
const (
	EventEOF  Event = "EOF"  // the direction ends (half-close); from the backend's end, said or heard alike
	EventCut  Event = "CUT"  // the connection is reset
	EventWait Event = "WAIT" // time passes: C: <WAIT 29m>
)

// A Line is one line of a transcript.
type Line struct {
	Number  int           // in its file, from 1; 0 for what was heard in a play
	Speaker byte          // one of the four; 0 for comments and blank lines
	Joined  bool          // said in the same write as the line before it
	Data    []byte        // exact bytes, CRLF included
	Event   Event         // instead of Data
	Wait    time.Duration // of EventWait
	Raw     string        // as it stands in the file; empty for what was heard in a play
}

// Says reports whether the player writes the line, rather than compares it.
func (l Line) Says() bool { return l.Speaker == ClientSays || l.Speaker == BackendSays }

func (l Line) hears() bool { return l.Speaker != 0 && !l.Says() }

// A Section is one conversation of a transcript file.
type Section struct {
	Name    string
	Options map[string]string
	Lines   []Line

	header string
	prefix []Line // what is played first, its variables not yet replaced
}

// ParseTranscript reads a file of transcripts. Its lines are:
//
//	=== name of the section key=value other="quoted value" prefix=login
//	# a comment
//	C: what the client says
//	c: what the client hears
//	B: what the backend hears
//	b: what the backend says
//
// CRLF is added to each text. Text that does not end in CRLF, or holds other bytes than printable
// UTF-8, stands as a Go string right behind the speaker, and nothing is added to it:
//
//	C"raw\r\nbytes\x00"
//
// A plus behind the speaker joins what is said to the write of the line before it, for pipelining; in
// what is heard there are no writes, only bytes, so it stands only behind C and b:
//
//	C: a1 NOOP
//	C+: a2 NOOP
//	C+"a3 NO"
//
// Pseudo-lines, as text: <EOF> (half-close when said; end of the stream when heard), <CUT> (a reset),
// and, only said, <WAIT 30s> (that much time passes on the bubble's clock).
//
// In what is said ${key} becomes the section's option key. The option prefix names a section further
// up, whose lines are played first, with the options of this section, and are not compared again.
//
// Lines before the first section make a section without a name; it is kept only where it holds
// anything. Errors begin with the number of the line.
func ParseTranscript(r io.Reader) ([]Section, error) {
	p := &parser{names: map[string]int{}}
	p.sections = []Section{{}}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		p.number++
		if err := p.line(lines.Text()); err != nil {
			return nil, fmt.Errorf("line %d: %w", p.number, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("line %d: %w", p.number+1, err)
	}
	if len(p.sections[0].Lines) == 0 {
		return p.sections[1:], nil
	}
	return p.sections, nil
}

type parser struct {
	sections []Section
	names    map[string]int
	number   int
	last     byte // speaker of the line before, which a joined line must share
}

func (p *parser) line(text string) error {
	if header, ok := strings.CutPrefix(text, "==="); ok {
		return p.section(text, header)
	}
	l, err := parseLine(text)
	if err != nil {
		return err
	}
	if l.Joined && p.last != l.Speaker {
		return fmt.Errorf("%c+ must follow something that %c has said", l.Speaker, l.Speaker)
	}
	if l.Speaker != 0 {
		p.last = l.Speaker
	}
	if l.Event != "" {
		p.last = 0
	}
	l.Number = p.number
	s := &p.sections[len(p.sections)-1]
	s.Lines = append(s.Lines, l)
	return nil
}

func (p *parser) section(text, header string) error {
	s := Section{header: text, Options: map[string]string{}}
	if err := s.parseHeader(header); err != nil {
		return err
	}
	if s.Name == "" {
		return fmt.Errorf("a section needs a name: === name key=value")
	}
	if _, dup := p.names[s.Name]; dup {
		return fmt.Errorf("a second section has the name %q", s.Name)
	}
	if name, ok := s.Options["prefix"]; ok {
		i, known := p.names[name]
		if !known {
			return fmt.Errorf("prefix=%q: no section further up has this name", name)
		}
		before := p.sections[i]
		s.prefix = append(append(s.prefix, before.prefix...), before.Lines...)
	}
	p.names[s.Name] = len(p.sections)
	p.sections = append(p.sections, s)
	p.last = 0
	return nil
}

func (s *Section) parseHeader(text string) error {
	var name []string
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		word := text
		if i := strings.IndexByte(text, ' '); i >= 0 {
			word = text[:i]
		}
		key, value, isOption := strings.Cut(word, "=")
		if !isOption || key == "" {
			name = append(name, word)
			text = text[len(word):]
			continue
		}
		text = text[len(word):]
		if strings.HasPrefix(value, `"`) {
			rest := value + text
			quoted, err := strconv.QuotedPrefix(rest)
			if err != nil {
				return fmt.Errorf("option %s: the quoted value does not end", key)
			}
			text = rest[len(quoted):]
			value, _ = strconv.Unquote(quoted)
		}
		s.Options[key] = value
	}
	s.Name = strings.Join(name, " ")
	return nil
}

func parseLine(text string) (Line, error) {
	l := Line{Raw: text}
	if text == "" || text[0] == '#' {
		return l, nil
	}
	l.Speaker = text[0]
	if strings.IndexByte("CcBb", l.Speaker) < 0 {
		return l, fmt.Errorf("%q: a line begins with C, c, B, b, # or ===", text)
	}
	rest := text[1:]
	if joined, ok := strings.CutPrefix(rest, "+"); ok {
		l.Joined, rest = true, joined
	}
	if l.Joined && !l.Says() {
		return l, fmt.Errorf("%c+: only what C and b say can be joined", l.Speaker)
	}
	return l, l.parseRest(rest)
}

func (l *Line) parseRest(rest string) error {
	if strings.HasPrefix(rest, `"`) {
		data, err := strconv.Unquote(rest)
		if err != nil {
			return fmt.Errorf("%s: not a Go string", rest)
		}
		l.Data = []byte(data)
		return nil
	}
	if rest == ":" {
		l.Data = []byte("\r\n")
		return nil
	}
	text, ok := strings.CutPrefix(rest, ": ")
	if !ok {
		return fmt.Errorf("%q: behind the speaker stands a colon and a space, or a Go string", l.Raw)
	}
	if strings.HasPrefix(text, "<") && strings.HasSuffix(text, ">") {
		return l.parseEvent(text[1 : len(text)-1])
	}
	l.Data = []byte(text + "\r\n")
	return nil
}

func (l *Line) parseEvent(text string) error {
	word, arg, _ := strings.Cut(text, " ")
	l.Event = Event(word)
	switch {
	case l.Joined:
		return fmt.Errorf("<%s> cannot be joined to a line", text)
	case l.Event == EventWait && l.Says():
		wait, err := time.ParseDuration(arg)
		l.Wait = wait
		return err
	case arg == "" && (l.Event == EventEOF || l.Event == EventCut):
		return nil
	}
	return fmt.Errorf("<%s>: the pseudo-lines are <EOF>, <CUT> and, where something is said, <WAIT duration>", text)
}
