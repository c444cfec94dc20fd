package imaptest

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// UpdateFlag registers the flag -update, with which [Transcripts] rewrites its file with what was heard,
// and returns its value. Packages that call it several times share one flag. It must run before the
// flags are parsed: call it where package variables are initialised.
func UpdateFlag() func() bool {
	if flag.Lookup("update") == nil {
		flag.Bool("update", false, "rewrite transcripts with what is heard")
	}
	return updating
}

func updating() bool {
	f := flag.Lookup("update")
	return f != nil && f.Value.String() == "true"
}

// A Stage is the two ends at which a player speaks and listens.
type Stage struct {
	Client *Conn // the client's end of the connection to what is tested
	// Backend is the backend's end. Where it is nil, or has ended, the next connection to Listener
	// takes its place.
	Backend  *Conn
	Listener *Listener
	// Timeout is how long the peer may leave a full buffer unread, on the bubble's clock; 10 s where it
	// is 0.
	Timeout time.Duration
}

// Transcripts plays every section of a file, each as a subtest in its own [testing/synctest] bubble, and
// compares. stage is called in the bubble and starts what is tested; t.Cleanup ends it, after the
// player has closed both ends of the Stage and its Listener. With -update the file is rewritten instead: what was heard
// takes the place of the c: and B: lines; sections, comments and what is said stay.
func Transcripts(t *testing.T, file string, stage func(*testing.T, Section) Stage) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	sections, err := ParseTranscript(bytes.NewReader(data))
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	played := slices.Clone(sections)
	for i, s := range sections {
		if len(text(s.Lines)) == 0 {
			continue
		}
		t.Run(s.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { played[i] = perform(t, s, stage(t, s)) })
		})
	}
	if updating() {
		rewrite(t, file, played)
	}
}

func perform(t *testing.T, s Section, st Stage) Section {
	got := Play(t, s, st)
	if !updating() {
		Compare(t, s, got)
	}
	return got
}

func rewrite(t *testing.T, file string, sections []Section) {
	var b bytes.Buffer
	if err := FormatTranscript(&b, sections); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Compare fails t with both conversations, line by line, where want and got differ. What the two ends
// heard between two things said is compared for each end on its own: which of them heard first is
// chance.
func Compare(t testing.TB, want, got Section) {
	t.Helper()
	w, g := text(want.Lines), text(got.Lines)
	if !slices.Equal(w, g) {
		t.Errorf("%s: the conversation differs (- expected, + heard)\n%s", want.Name, diff(w, g))
	}
}

// Play says what the section says and returns it with what was heard in the place of what was expected.
// It must run in a [testing/synctest] bubble, to which both ends of the stage belong. Lines that C and
// b say go out one after the other; after each the player waits until every goroutine of the bubble is
// blocked, and takes what has arrived at both ends. At the end it closes both, and the listener.
func Play(t testing.TB, s Section, st Stage) Section {
	t.Helper()
	p := &player{t: t, stage: st, vars: variables(s.Options), ended: map[*Conn]struct{}{}}
	defer p.close()
	if len(s.prefix) > 0 { // an empty play would take the greeting
		p.play(s.prefix)
	}
	s.Lines = p.play(s.Lines)
	return s
}

func variables(options map[string]string) *strings.Replacer {
	var pairs []string
	for key, value := range options {
		pairs = append(pairs, "${"+key+"}", value)
	}
	return strings.NewReplacer(pairs...)
}

type player struct {
	t     testing.TB
	stage Stage
	vars  *strings.Replacer
	ended map[*Conn]struct{} // whose end has been heard
}

func (p *player) close() {
	p.adopt()
	if p.stage.Listener != nil {
		p.stage.Listener.Close()
	}
	for _, c := range []*Conn{p.stage.Client, p.stage.Backend} {
		if c != nil {
			c.Close()
		}
	}
}

func (p *player) play(lines []Line) []Line {
	var out []Line
	for _, step := range steps(lines) {
		p.say(step.says)
		out = append(out, step.fill(p.hear())...)
	}
	return out
}

func (p *player) say(lines []Line) {
	var data []byte
	for _, l := range lines {
		data = append(data, p.vars.Replace(string(l.Data))...)
	}
	for _, l := range lines {
		if l.Speaker != 0 {
			p.sayOne(l, data)
			return
		}
	}
}

// sayOne says data, which begins with l, or does what l stands for.
func (p *player) sayOne(l Line, data []byte) {
	c := p.stage.Client
	if l.Speaker == BackendSays {
		c = p.stage.Backend
	}
	var err error
	switch {
	case l.Event == EventWait:
		<-time.After(l.Wait)
	case c == nil:
		p.t.Errorf("line %d: %s: nothing has connected to the backend", l.Number, l)
	case l.Event == EventEOF:
		err = c.CloseWrite()
	case l.Event == EventCut:
		err = c.Abort()
	default:
		c.SetWriteDeadline(time.Now().Add(p.timeout()))
		_, err = c.Write(data)
	}
	if err != nil {
		p.t.Errorf("line %d: %s: %v", l.Number, l, err)
	}
}

func (p *player) timeout() time.Duration {
	if p.stage.Timeout == 0 {
		return 10 * time.Second
	}
	return p.stage.Timeout
}

// hear returns all that arrives at both ends before nothing moves any more.
func (p *player) hear() []Line {
	var client, backend ear
	for more := true; more; {
		synctest.Wait()
		more = p.listen(&backend, p.stage.Backend)
		more = p.listen(&client, p.stage.Client) || more
		more = p.adopt() || more
	}
	return append(backend.lines(BackendHears), client.lines(ClientHears)...)
}

// adopt takes the backend's end of a new connection when there is none or the old one has ended.
func (p *player) adopt() bool {
	if _, ended := p.ended[p.stage.Backend]; p.stage.Listener == nil || p.stage.Backend != nil && !ended {
		return false
	}
	c, ok := p.stage.Listener.TryAccept()
	if !ok {
		return false
	}
	if p.stage.Backend != nil {
		p.stage.Backend.Close()
	}
	p.stage.Backend = c
	return true
}

func (p *player) listen(e *ear, c *Conn) bool {
	if c == nil {
		return false
	}
	data, err := c.Take()
	e.data = append(e.data, data...)
	if _, known := p.ended[c]; err != nil && !known {
		p.ended[c] = struct{}{}
		e.mark(err)
	}
	return len(data) > 0
}

// An ear holds what one end hears in one step; several connections may end in it.
type ear struct {
	data []byte
	ends []Line
}

func (e *ear) mark(err error) {
	event := EventCut
	switch {
	case errors.Is(err, net.ErrClosed): // by the player itself
		return
	case errors.Is(err, io.EOF):
		event = EventEOF
	}
	e.ends = append(e.ends, Line{Data: e.data, Event: event})
	e.data = nil
}

func (e *ear) lines(speaker byte) []Line {
	var out []Line
	for _, end := range e.ends {
		out = append(out, splitHeard(speaker, end.Data)...)
		out = append(out, Line{Speaker: speaker, Event: end.Event})
	}
	return append(out, splitHeard(speaker, e.data)...)
}
