package usersfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A fixture is a file and what is reported of it.
type fixture struct {
	path    string
	name    string // "" in the configuration where it is the path
	reports []Outcome
	writes  int
}

func newFixture(t *testing.T, text string) *fixture {
	x := &fixture{path: filepath.Join(t.TempDir(), "moved.txt")}
	x.name = x.path
	x.write(t, text)
	return x
}

// write replaces the file by another, which is old enough for its time to be trusted.
func (x *fixture) write(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile(x.path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	x.writes++
	if err := os.Chtimes(x.path+".new", time.Time{}, time.Unix(int64(x.writes), 0)); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(x.path+".new", x.path); err != nil {
		t.Fatal(err)
	}
}

func (x *fixture) config() Config {
	return Config{Path: x.path, DefaultDomain: "Example.org", Report: func(o Outcome) { x.reports = append(x.reports, o) }}
}

func (x *fixture) open(t *testing.T, c Config) *File {
	t.Helper()
	f, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// wantReport takes the one report that must be there.
func (x *fixture) wantReport(t *testing.T, want Result, entries int, says string) {
	t.Helper()
	if len(x.reports) != 1 {
		t.Fatalf("reports %v, want one", x.reports)
	}
	o := x.reports[0]
	x.reports = nil
	if o.Result != want || o.Entries != entries || o.Name != x.name || (o.Err == nil) != (want == Loaded) {
		t.Fatalf("report %+v, want %s with %d entries", o, want, entries)
	}
	if o.Err != nil && (!strings.Contains(o.Err.Error(), says) || !strings.HasPrefix(o.Err.Error(), x.name+":") || !strings.HasSuffix(o.Err.Error(), "; the users read before stay in use")) {
		t.Fatalf("error %v, want %q", o.Err, says)
	}
}

func names(prefix string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%s%d\n", prefix, i)
	}
	return b.String()
}

func TestContains(t *testing.T) {
	x := newFixture(t, "\ufeff# moved in May\r\nRiley\r\n\r\n  pat@Example.ORG\t# on Monday\n*@new.example.org\n#sam\nk#m\n?@x\n"+
		"o'neil@example.net\nriley\n*@new.example.org\nÉric")
	f := x.open(t, x.config())
	x.wantReport(t, Loaded, 7, "")
	if f.String() != x.path || f.Entries() != 7 {
		t.Errorf("%s has %d entries", f, f.Entries())
	}
	for user, want := range map[string]bool{
		"riley": true, "RILEY@example.org": true, "riley@example.net": false, "pat": true, "pat@example.org": true,
		"anybody@NEW.example.org": true, "sam": false, "k#m": true, "o'neil": false, "O'Neil@example.net": true, "é@x": true, "ab@x": false,
		"éric@example.org": true, "": false, "@example.org": false, "moved": false, "a@riley@example.org": false,
	} {
		if got := f.Contains(user); got != want {
			t.Errorf("contains %q: %v", user, got)
		}
	}
}

func TestName(t *testing.T) {
	x := newFixture(t, "riley\n")
	x.name = "moved.txt"
	c := x.config()
	c.Name = x.name
	f := x.open(t, c)
	x.wantReport(t, Loaded, 1, "")
	x.write(t, "a b\n")
	if o, news := f.Poll(); !news || o.Result != BadLine {
		t.Errorf("Poll says %+v, %v", o, news)
	}
	x.wantReport(t, BadLine, 1, ":1: ")
	if o, news := f.Poll(); news || f.String() != x.name {
		t.Errorf("%s: Poll says %+v again", f, o)
	}
}

func TestWithoutDefaultDomain(t *testing.T) {
	x := newFixture(t, "riley\npat@\n")
	c := x.config()
	c.DefaultDomain = ""
	f := x.open(t, c)
	if !f.Contains("Riley") || f.Contains("riley@") || f.Contains("riley@example.org") || f.Contains("pat") || !f.Contains("pat@") {
		t.Error("a domain was added or cut")
	}
}

func TestTwoNamesOfOneUser(t *testing.T) {
	x := newFixture(t, "a@b\n")
	f := x.open(t, x.config())
	if f.Contains("a@b@example.org") {
		t.Error("the default domain was cut from a name that has another")
	}
}

func TestBadLines(t *testing.T) {
	for text, want := range map[string]string{
		"ok\nriley modern\n":                 "moved.txt:2: there is a space in it",
		"ril\x00ey":                          "moved.txt:1: the pattern has a control character",
		"ok\n\nril\xffey\nx\u00a0":           "moved.txt:3: the pattern is not UTF-8; moved.txt:4: there is a space",
		strings.Repeat("a", 1025):            "moved.txt:1: the pattern is longer",
		"r\x00i\x00":                         "moved.txt:1: the pattern has a control character",
		"a\rb":                               "moved.txt:1: there is a space",
		strings.Repeat("a b\n", 20) + "ok\n": "moved.txt:10: there is a space",
	} {
		x := newFixture(t, text)
		c := x.config()
		c.Name = "moved.txt"
		_, err := Open(c)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "moved.txt:") || strings.Contains(err.Error(), ":11: ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.20q: error %v, want %q", text, err, want)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	x := newFixture(t, "# nobody yet\n")
	if _, err := Open(x.config()); err == nil || !strings.Contains(err.Error(), "nobody is named") {
		t.Errorf("empty: error %v", err)
	}
	c := x.config()
	c.Shrink = Allow
	if f := x.open(t, c); f.Entries() != 0 || f.Contains("riley") {
		t.Error("an empty table has somebody in it")
	}
	c.Path = filepath.Join(t.TempDir(), "none")
	if _, err := Open(c); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: error %v", err)
	}
	c.Path = t.TempDir()
	if _, err := Open(c); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a folder: error %v", err)
	}
}

// Each of these files comes after one with 100 users.
func TestReplacedOrKept(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		shrink     Shrink
		want       Result
		entries    int
		says       string
	}{
		{"more", names("u", 120), Refuse, Loaded, 120, ""},
		{"ten fewer", names("u", 90), Refuse, Loaded, 90, ""},
		{"eleven fewer", names("u", 89), Refuse, Shrunk, 100, "11 of 100 entries are gone"},
		{"eleven fewer by default", names("u", 89), "", Shrunk, 100, "11 of 100 entries are gone"},
		{"eleven fewer allowed", names("u", 89), Allow, Loaded, 89, ""},
		{"others", names("v", 100), Refuse, Shrunk, 100, "100 of 100 entries are gone"},
		{"globs instead", names("u", 80) + names("*", 30), Refuse, Shrunk, 100, "20 of 100 entries are gone"},
		{"empty", "", Refuse, Empty, 100, "nobody is named"},
		{"empty allowed", " \n", Allow, Loaded, 0, ""},
		{"bad line", names("u", 100) + "a b\n", Allow, BadLine, 100, ":101: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := newFixture(t, names("u", 100))
			c := x.config()
			c.Shrink = tt.shrink
			f := x.open(t, c)
			x.wantReport(t, Loaded, 100, "")
			f.Poll()
			x.write(t, tt.text)
			f.Poll()
			x.wantReport(t, tt.want, tt.entries, tt.says)
			f.Poll()
			if x.reports != nil {
				t.Errorf("the same is reported again: %v", x.reports)
			}
			if f.Contains("u99") != (tt.want != Loaded || tt.entries >= 100) {
				t.Error("the table is not what was reported")
			}
			if got := f.Reload(); got.Result != tt.want {
				t.Errorf("read again it is %v", got)
			}
			x.wantReport(t, tt.want, tt.entries, tt.says)
		})
	}
}

func TestElevenOfManyAreFew(t *testing.T) {
	x := newFixture(t, names("u", 110)+names("*", 10))
	f := x.open(t, x.config())
	x.write(t, names("u", 103)+names("*", 5))
	f.Poll()
	x.reports = x.reports[1:]
	x.wantReport(t, Loaded, 108, "") // 12 of 120 are 10 %
}

func TestUnreadableIsKept(t *testing.T) {
	x := newFixture(t, "riley\n")
	f := x.open(t, x.config())
	x.wantReport(t, Loaded, 1, "")
	if err := os.Rename(x.path, x.path+".away"); err != nil {
		t.Fatal(err)
	}
	f.Poll()
	f.Poll()
	x.wantReport(t, Unreadable, 1, "no such file")
	if !f.Contains("riley") {
		t.Error("the table is gone")
	}
	if err := os.Rename(x.path+".away", x.path); err != nil {
		t.Fatal(err)
	}
	f.Poll()
	x.wantReport(t, Loaded, 1, "")
}

// A change that neither time nor size shows is seen while the time is too near to be trusted.
func TestRecentChangesAreReadAgain(t *testing.T) {
	x := newFixture(t, "")
	now := time.Now().Add(time.Second)
	inPlace := func(text string) {
		if err := os.WriteFile(x.path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(x.path, time.Time{}, now); err != nil {
			t.Fatal(err)
		}
	}
	inPlace("riley\n")
	f := x.open(t, x.config())
	x.wantReport(t, Loaded, 1, "")
	f.Poll()
	if x.reports != nil {
		t.Errorf("no news is reported: %v", x.reports)
	}
	inPlace("kelly\n")
	f.Poll()
	x.wantReport(t, Loaded, 1, "")
	if !f.Contains("kelly") || f.Contains("riley") {
		t.Error("the change was not seen")
	}
}

// A file that is written in place shows it by its time or by its size.
func TestChangesInPlace(t *testing.T) {
	x := newFixture(t, "riley\n")
	f := x.open(t, x.config())
	x.wantReport(t, Loaded, 1, "")
	for i, text := range []string{"riley\nkelly\n", "kelly\nriley\n"} {
		if err := os.WriteFile(x.path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(x.path, time.Time{}, time.Unix(int64(1+i), 0)); err != nil {
			t.Fatal(err)
		}
		f.Poll()
		x.wantReport(t, Loaded, 2, "")
	}
}

func TestBefore(t *testing.T) {
	x := newFixture(t, names("u", 100))
	c := x.config()
	c.Before = x.open(t, c)
	x.reports = nil
	x.write(t, names("u", 3))
	f := x.open(t, c)
	x.wantReport(t, Shrunk, 100, "97 of 100 entries are gone")
	if err := os.Remove(x.path); err != nil {
		t.Fatal(err)
	}
	c.Before, c.DefaultDomain = f, "example.net"
	f = x.open(t, c)
	x.wantReport(t, Unreadable, 100, "no such file")
	if !f.Contains("u99@example.net") || f.Contains("u99@example.org") {
		t.Error("the users that were kept are not in the new default domain")
	}
}

// Whoever asks while files change sees one table or the other, never something between.
func TestWholeTables(t *testing.T) {
	x := newFixture(t, "a0\na1\nc\n")
	c := x.config()
	c.Report = nil
	f := x.open(t, c)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			table := f.table.Load()
			_, a0 := table.names["a0"]
			_, a1 := table.names["a1"]
			if a0 != a1 || !f.Contains("c") {
				t.Error("a table in pieces")
				return
			}
		}
	})
	for i := range 50 {
		x.write(t, []string{"c\n", "a0\na1\nc\n"}[i%2])
		wg.Go(func() { f.Reload() })
		f.Poll()
	}
	close(stop)
	wg.Wait()
}

func FuzzParse(f *testing.F) {
	f.Add("riley\n# x\n*@y # z\n")
	f.Add("\ufeffa\r\n\r\nb c")
	f.Add("\r#")
	f.Add(" \ufeff")
	f.Add("a\n\ufeff# x\n\ufeffb")
	f.Fuzz(func(t *testing.T, text string) {
		table, err := parse("f", []byte(text))
		if err != nil {
			return
		}
		if n := strings.Count(text, "\n") + 1; table.entries() > n {
			t.Fatalf("%d entries of %d lines", table.entries(), n)
		}
		var back []string
		for name := range table.names {
			back = append(back, name)
		}
		for _, g := range table.globs {
			back = append(back, string(g))
		}
		slices.Sort(back)
		again, err := parse("f", []byte(strings.Join(back, "\n")))
		if err != nil || again.entries() != table.entries() || table.lost(again) != 0 {
			t.Fatalf("%q becomes %q: %v", text, back, err)
		}
	})
}
