package imaptest

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var _ = UpdateFlag()

func parse(t *testing.T, text string) []Section {
	t.Helper()
	sections, err := ParseTranscript(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return sections
}

func TestParseTranscript(t *testing.T) {
	s := parse(t, "# before\n=== a name key=value caps=\"A B\" more\n\n"+
		"C: a NOOP\nC+: b NOOP\nC+\"c \\x00\"\nC:\nc: <EOF>\nb: <CUT>\nC: <WAIT 1m30s>\n")
	if len(s) != 2 || s[1].Name != "a name more" || s[1].Options["caps"] != "A B" || s[1].Options["key"] != "value" {
		t.Fatalf("sections %+v", s)
	}
	var got []string
	for _, l := range s[1].Lines {
		got = append(got, fmt.Sprintf("%d %q %t %q %s %v", l.Number, l.Speaker, l.Joined, l.Data, l.Event, l.Wait))
	}
	want := `3 '\x00' false ""  0s
4 'C' false "a NOOP\r\n"  0s
5 'C' true "b NOOP\r\n"  0s
6 'C' true "c \x00"  0s
7 'C' false "\r\n"  0s
8 'c' false "" EOF 0s
9 'b' false "" CUT 0s
10 'C' false "" WAIT 1m30s`
	if strings.Join(got, "\n") != want {
		t.Errorf("lines:\n%s\nwant:\n%s", strings.Join(got, "\n"), want)
	}
}

func TestParseTranscriptErrors(t *testing.T) {
	for text, want := range map[string]string{
		"# x\nx: y":                  "line 2: \"x: y\": a line begins with",
		"C y":                        "line 1: \"C y\": behind the speaker",
		"C\"y":                       "line 1: \"y: not a Go string",
		"c+: y":                      "line 1: c+: only",
		"C+: y":                      "line 1: C+ must follow",
		"C: x\nc: y\nC+: z":          "line 3: C+ must follow",
		"C: <EOF>\nC+: z":            "line 2: C+ must follow",
		"C: <NOP>":                   "line 1: <NOP>: the pseudo-lines are",
		"c: <WAIT 1s>":               "line 1: <WAIT 1s>: the pseudo-lines are",
		"C: <WAIT x>":                "line 1: time: invalid duration",
		"=== ":                       "line 1: a section needs a name",
		"=== a\n=== a":               "line 2: a second section",
		"=== a prefix=b":             "line 1: prefix=\"b\": no section",
		"=== a b=\"c":                "line 1: option b: the quoted value",
		"=== b\nC: x\n=== a\nB+: xx": "line 4: B+: only",
	} {
		if _, err := ParseTranscript(strings.NewReader(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: error %v, want %s", text, err, want)
		}
	}
}

func TestFormatTranscriptRoundTrip(t *testing.T) {
	text := "# file\n\n=== one x=\"y z\"\nC: a\nC+\"b\"\n# c\nc: <EOF>\n\n=== two\nb: <WAIT 1s>\n"
	var b bytes.Buffer
	if err := FormatTranscript(&b, parse(t, text)); err != nil || b.String() != text {
		t.Errorf("%v\n%s", err, b.String())
	}
}

func FuzzLineString(f *testing.F) {
	for _, s := range []string{"* OK\r\n", "+ \r\n", "<EOF>\r\n", "a", "\r\n", "\x00\r\n", "a\nb\r\n", "ü\r\n", " \r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := parseLine(Line{Speaker: 'c', Data: data}.String())
		if err != nil || !bytes.Equal(got.Data, data) || got.Event != "" {
			t.Errorf("%q became %q (%s): %v", data, got.Data, got.Event, err)
		}
	})
}

// relay greets the client and copies both ways between it and a backend.
func relay(client net.Conn, dial func() (*Conn, error)) {
	defer client.Close()
	io.WriteString(client, "* OK hi\r\n")
	backend, err := dial()
	if err != nil {
		return
	}
	defer backend.Close()
	go func() {
		io.Copy(backend, client)
		backend.CloseWrite()
	}()
	io.Copy(client, backend)
}

func relayStage(t *testing.T, _ Section) Stage {
	client, front := Pipe()
	l := Listen()
	go relay(front, l.Dial)
	return Stage{Client: client, Listener: l}
}

const relayText = `# the file
=== login who=riley
c: * OK hi
b: * OK I am ${who}
c: * OK I am riley

=== first prefix=login who=quinn
# both are one write
C: a NOOP
C+: b NOOP
B: a NOOP
B: b NOOP
b"* OK {3}\r\nabc"
c: * OK {3}
c"abc"
C: <EOF>
B: <EOF>
b: <EOF>
# the end
c: <EOF>
`

func TestPlay(t *testing.T) {
	for _, s := range parse(t, relayText) {
		if s.Name == "" {
			continue
		}
		synctest.Test(t, func(t *testing.T) {
			got := Play(t, s, relayStage(t, s))
			Compare(t, s, got)
			if got.String() != s.String() {
				t.Errorf("what was played is not as it stands in the file:\n%s", got)
			}
		})
	}
}

// recorder is a testing.TB that keeps what a test reports.
type recorder struct {
	testing.TB
	errors []string
}

func (r *recorder) Helper() {}
func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

func TestPlayShowsTheDifference(t *testing.T) {
	s := parse(t, "=== x\nc: * OK hi\nC: a\nB: b\nc: extra\nb: c\n")[0]
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{TB: t}
		Compare(r, s, Play(r, s, relayStage(t, s)))
		want := "x: the conversation differs (- expected, + heard)\n" +
			"  c: * OK hi\n  C: a\n- B: b\n- c: extra\n+ B: a\n  b: c\n+ c: c\n"
		if len(r.errors) != 1 || r.errors[0] != want {
			t.Errorf("reported %q", r.errors)
		}
	})
}

func TestPlayReplacesWhatWasHeard(t *testing.T) {
	s := parse(t, "=== x\nC: a\n# to the backend\nB: old\n# behind\n\nb: answer\n")[0]
	synctest.Test(t, func(t *testing.T) {
		got := Play(t, s, relayStage(t, s)).String()
		want := "=== x\nc: * OK hi\nC: a\n# to the backend\nB: a\n# behind\n\nb: answer\nc: answer\n"
		if got != want {
			t.Errorf("played\n%s\nwant\n%s", got, want)
		}
	})
}

func TestPlayReportsASilentBackend(t *testing.T) {
	s := parse(t, "=== x\nb: * OK\n")[0]
	synctest.Test(t, func(t *testing.T) {
		client, _ := Pipe()
		r := &recorder{TB: t}
		Play(r, s, Stage{Client: client})
		if len(r.errors) != 1 || !strings.Contains(r.errors[0], "line 2: b: * OK: nothing has connected") {
			t.Errorf("reported %q", r.errors)
		}
	})
}

func TestPlayWaits(t *testing.T) {
	s := parse(t, "=== x\nC: <WAIT 30m>\nc: * BYE idle\nc: <CUT>\n")[0]
	synctest.Test(t, func(t *testing.T) {
		client, front := Pipe()
		time.AfterFunc(20*time.Minute, func() {
			io.WriteString(front, "* BYE idle\r\n")
			front.Abort()
		})
		Compare(t, s, Play(t, s, Stage{Client: client}))
	})
}

func TestTranscriptsUpdate(t *testing.T) {
	if err := flag.Set("update", "true"); err != nil {
		t.Fatal(err)
	}
	defer flag.Set("update", "false")
	file := filepath.Join(t.TempDir(), "relay.txt")
	stale := strings.NewReplacer("c: * OK I am riley", "c: * NO", "B: b NOOP\n", "", "c\"abc\"\n", "").Replace(relayText)
	if err := os.WriteFile(file, []byte(stale), 0o600); err != nil {
		t.Fatal(err)
	}
	Transcripts(t, file, relayStage)
	if got, err := os.ReadFile(file); err != nil || string(got) != relayText {
		t.Errorf("%v: the file became\n%s", err, got)
	}
}

func TestTranscripts(t *testing.T) {
	file := filepath.Join(t.TempDir(), "relay.txt")
	if err := os.WriteFile(file, []byte(relayText), 0o600); err != nil {
		t.Fatal(err)
	}
	Transcripts(t, file, relayStage)
	if got, err := os.ReadFile(file); err != nil || string(got) != relayText {
		t.Errorf("%v: the file has changed:\n%s", err, got)
	}
}
