package usersfile

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/imapgate/imapgate/routing"
)

// Config says which file is read and how.
type Config struct {
	Path          string
	Name          string        // what it is called in decisions, reports and errors; "" is the Path
	DefaultDomain string        // as in routing.Config
	Shrink        Shrink        // "" is Refuse
	Report        func(Outcome) // is told how each reading went; nil tells nobody. It must not call the File
	Before        *File         // the same file in the configuration before this one: its users may be kept; nil at start
}

// Shrink says what becomes of a file that has lost many entries, or all.
type Shrink string

// The ways to take a file that has shrunk.
const (
	Refuse Shrink = "refuse" // the table before is kept
	Allow  Shrink = "allow"  // it is a table like any other, also when it is empty
)

// A Result is how a reading went: a word for metrics.
type Result string

// The results. All but Loaded leave the table as it was.
const (
	Loaded     Result = "ok"
	Unreadable Result = "unreadable" // Err keeps the cause
	Empty      Result = "empty"
	BadLine    Result = "bad_line"
	Shrunk     Result = "shrunk" // more than 10 % and more than 10 entries are gone
)

// An Outcome is how one reading went.
type Outcome struct {
	Name    string
	Result  Result
	Entries int   // of the table that is now in use
	Err     error // nil for Loaded; it names the file and says what to do
}

// A File is the set of users that a file names. It may be used by any number of goroutines.
type File struct {
	config Config
	table  atomic.Pointer[table]

	mu   sync.Mutex // of reading
	seen look
}

// Open reads a file. Where Before is nil, a file that cannot be read, has a bad line or, unless Shrink
// is Allow, names nobody is an error; otherwise it is reported, and the users of Before are kept.
func Open(c Config) (*File, error) {
	c.Name = cmp.Or(c.Name, c.Path)
	c.DefaultDomain = routing.Normalise(c.DefaultDomain)
	f := &File{config: c}
	if c.Before != nil {
		f.table.Store(c.Before.table.Load())
	}
	o := f.read(f.look())
	if f.table.Load() == nil {
		return nil, o.Err
	}
	f.report(o)
	return f, nil
}

// Contains reports whether a user is named: by his name, by his name without the default domain, or by
// a glob.
func (f *File) Contains(user string) bool {
	return f.table.Load().contains(routing.WithDomain(user, f.config.DefaultDomain), f.config.DefaultDomain)
}

// Entries returns how many names and globs are in use.
func (f *File) Entries() int { return f.table.Load().entries() }

// String returns the name.
func (f *File) String() string { return f.config.Name }

// Reload reads the file now, whether it has changed or not, and reports the outcome.
func (f *File) Reload() Outcome {
	f.mu.Lock()
	defer f.mu.Unlock()
	o := f.read(f.look())
	f.report(o)
	return o
}

// Poll reads the file if it does not look as it did, or if it may have changed unseen, and reports the outcome. It returns false where there is no news: the file
// was not read, or only to find the same text.
func (f *File) Poll() (Outcome, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now, before := f.look(), f.seen
	if now.same(before) && !before.recent {
		return Outcome{}, false
	}
	o := f.read(now)
	if f.seen.same(before) && f.seen.sum == before.sum {
		return Outcome{}, false
	}
	f.report(o)
	return o, true
}

func (f *File) report(o Outcome) {
	if f.config.Report != nil {
		f.config.Report(o)
	}
}

// A look is what was seen of a file.
type look struct {
	info   os.FileInfo // nil where err is not
	err    error
	recent bool              // it changed so short a time before that it may change again unseen
	sum    [sha256.Size]byte // of its text, once it was read
}

// grain is longer than any file system's clock stands still.
const grain = 2 * time.Second

func (f *File) look() look {
	info, err := os.Stat(f.config.Path)
	if err == nil && !info.Mode().IsRegular() { // opening a pipe could wait for ever
		err = errors.New("it is not a regular file")
	}
	if err != nil {
		return look{err: cause(err)}
	}
	return look{info: info, recent: time.Since(info.ModTime()).Abs() < grain}
}

// same reports whether a file looks as it did.
func (k look) same(earlier look) bool {
	if k.err != nil || earlier.err != nil {
		return k.err != nil && earlier.err != nil && k.err.Error() == earlier.err.Error()
	}
	return os.SameFile(k.info, earlier.info) && k.info.Size() == earlier.info.Size() && k.info.ModTime().Equal(earlier.info.ModTime())
}

// maxSize bounds what is held in memory while a file is read, in octets.
const maxSize = 256 << 20

// text reads the file that was looked at.
func (f *File) text() ([]byte, error) {
	r, err := os.Open(f.config.Path)
	if err != nil {
		return nil, cause(err)
	}
	defer r.Close()
	text, err := io.ReadAll(io.LimitReader(r, maxSize+1))
	if err == nil && len(text) > maxSize {
		err = errors.New("it is larger than 256 MiB")
	}
	return text, cause(err)
}

// cause is an error without the path, which is said already.
func cause(err error) error {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		return p.Err
	}
	return err
}

// read reads the file, replaces the table or keeps it, and remembers the look.
func (f *File) read(k look) Outcome {
	var text []byte
	if k.err == nil {
		text, k.err = f.text()
		k.sum = sha256.Sum256(text)
	}
	f.seen = k
	if k.err != nil {
		return f.kept(Unreadable, fmt.Errorf("%s: %w; make it a file that can be read, with a user name or glob a line", f.config.Name, k.err))
	}
	next, err := parse(f.config.Name, text)
	if err != nil {
		return f.kept(BadLine, fmt.Errorf("%w; write one name or glob a line, in UTF-8", err))
	}
	if f.config.Shrink != Allow {
		if next.entries() == 0 {
			return f.kept(Empty, fmt.Errorf("%s: nobody is named; name a user, or write users_file_shrink: allow if that is meant", f.config.Name))
		}
		if lost := f.lost(next); lost > 0 {
			return f.kept(Shrunk, fmt.Errorf("%s: %d of %d entries are gone; write users_file_shrink: allow if that is meant", f.config.Name, lost, f.Entries()))
		}
	}
	f.table.Store(next)
	return Outcome{Name: f.config.Name, Result: Loaded, Entries: next.entries()}
}

// lost returns how many entries would go, and 0 where so few may.
func (f *File) lost(next *table) int {
	now := f.table.Load()
	if now == nil {
		return 0
	}
	if lost := now.lost(next); lost > 10 && lost*10 > now.entries() {
		return lost
	}
	return 0
}

// kept is the outcome of a reading that leaves the table as it was, if there is one.
func (f *File) kept(r Result, err error) Outcome {
	o := Outcome{Name: f.config.Name, Result: r, Err: err}
	if t := f.table.Load(); t != nil {
		o.Entries = t.entries()
		o.Err = fmt.Errorf("%w; the users read before stay in use", err)
	}
	return o
}
