package proxy

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/imapgate/imapgate/proxy/imaptest"
	"github.com/imapgate/imapgate/proxy/translate"
)

// A saver is a client of a backend without ESEARCH and SEARCHRES that saves results and uses them, while
// others deliver, remove and mark messages. It keeps a model of the mailbox from what it hears.
type saver struct {
	t     *testing.T
	r     *rand.Rand
	store *imaptest.Store
	in    *bufio.Reader
	out   io.Writer
	n     int
	view  []uint32 // 0: not known yet
	saved map[uint32]bool
	marks map[string]map[uint32]bool // what "$" was when a mark was set
}

// ask runs a command and returns what came before its OK. EXPUNGE must not come where numbers are under way.
func (s *saver) ask(command string) (lines []string) {
	s.n++
	tag := fmt.Sprintf("t%d", s.n)
	fmt.Fprintf(s.out, "%s %s\r\n", tag, command)
	name, _, _ := strings.Cut(command, " ")
	for {
		line, err := s.in.ReadString('\n')
		if err != nil {
			s.t.Fatalf("%s: %v after %q", command, err, lines)
		}
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, tag+" ") {
			if !strings.HasPrefix(line, tag+" OK") {
				s.t.Fatalf("%s: %s", command, line)
			}
			return lines
		}
		var num int
		var what string
		fmt.Sscanf(line, "* %d %s", &num, &what)
		switch what {
		case "EXISTS":
			for len(s.view) < num {
				s.view = append(s.view, 0)
			}
		case "EXPUNGE":
			if name == "FETCH" || name == "STORE" || name == "SEARCH" {
				s.t.Fatalf("%s: %s", command, line)
			}
			s.view = slices.Delete(s.view, num-1, num)
		case "FETCH":
			var uid uint32
			if n, _ := fmt.Sscanf(line, "* %d FETCH (UID %d", &num, &uid); n == 2 && s.view[num-1] != 0 && s.view[num-1] != uid {
				s.t.Fatalf("%q, but message %d is %d", line, num, s.view[num-1])
			}
		}
		lines = append(lines, line)
	}
}

// look asks for all UIDs, by number.
func (s *saver) look() {
	if len(s.view) == 0 {
		return
	}
	for _, line := range s.ask("FETCH 1:* (UID)") {
		var num int
		var uid uint32
		if n, _ := fmt.Sscanf(line, "* %d FETCH (UID %d)", &num, &uid); n == 2 {
			s.view[num-1] = uid
		}
	}
}

// others is what other sessions do.
func (s *saver) others() {
	all := s.store.Messages("INBOX")
	for range s.r.IntN(4) {
		switch s.r.IntN(3) {
		case 0:
			s.store.Add("INBOX", "new")
		case 1:
			if len(all) > 0 {
				s.store.Remove("INBOX", all[s.r.IntN(len(all))].UID)
			}
		case 2:
			if len(all) > 0 {
				m := all[s.r.IntN(len(all))]
				s.store.SetFlags("INBOX", m.UID, append(slices.DeleteFunc(m.Flags, func(f string) bool { return f == `\Flagged` }), `\Flagged`)...)
			}
		}
	}
}

// save saves a result, and keeps it in the model by what the same command told.
func (s *saver) save(prefix, options, keys string) {
	lines := s.ask(fmt.Sprintf("%sSEARCH RETURN (SAVE %s) %s", prefix, options, keys))
	s.saved = map[uint32]bool{}
	s.look()
	for _, line := range lines {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[1] != "ESEARCH" {
			continue
		}
		for i, f := range fields {
			if f != "ALL" && f != "MIN" && f != "MAX" {
				continue
			}
			set, err := translate.ParseSet(fields[i+1])
			if err != nil {
				s.t.Fatal(err)
			}
			for n := range uint32(1000) {
				switch {
				case !set.Contains(n, 0):
				case prefix == "":
					s.saved[s.view[n-1]] = true
				default:
					s.saved[n] = true
				}
			}
		}
	}
	delete(s.saved, 0)
}

// fetch wants the messages of "$" that are in the view, all of those that are still there.
func (s *saver) fetch(prefix string) {
	got := map[uint32]bool{}
	for _, line := range s.ask(prefix + "FETCH $ (UID)") {
		var num int
		var uid uint32
		if n, err := fmt.Sscanf(line, "* %d FETCH (UID %d)", &num, &uid); n != 2 || err != nil {
			continue // flags that others have changed
		}
		if !s.saved[uid] {
			s.t.Fatalf("%q is not in $: %v of %v", line, s.saved, s.view)
		}
		got[uid] = true
	}
	for _, m := range s.store.Messages("INBOX") {
		if s.saved[m.UID] && slices.Contains(s.view, m.UID) && !got[m.UID] {
			s.t.Fatalf("%d is in $ and was not fetched: %v", m.UID, got)
		}
	}
}

// mark marks what "$" stands for.
func (s *saver) mark(prefix string) {
	name := fmt.Sprintf("m%d", s.n)
	s.ask(prefix + "STORE $ +FLAGS.SILENT (" + name + ")")
	s.marks[name] = s.saved
}

// check wants no mark on any other message.
func (s *saver) check() {
	for _, m := range s.store.Messages("INBOX") {
		for _, f := range m.Flags {
			if meant := s.marks[f]; meant != nil && !meant[m.UID] {
				s.t.Fatalf("%d has %s, which was meant for %v", m.UID, f, meant)
			}
		}
	}
}

func (s *saver) step() {
	prefix := []string{"", "UID "}[s.r.IntN(2)]
	switch s.r.IntN(7) {
	case 0:
		s.ask("NOOP")
		s.look()
	case 1:
		keys := []string{"ALL", "FLAGGED", "NOT FLAGGED", "$", "NOT $", "OR $ FLAGGED", "$ FLAGGED"}[s.r.IntN(7)]
		options := []string{"ALL", "MIN", "MAX", "MIN MAX", "ALL COUNT"}[s.r.IntN(5)]
		s.look()
		s.save(prefix, options, keys)
	case 2, 3:
		s.fetch(prefix)
	case 4:
		s.mark(prefix)
	case 5:
		s.ask(prefix + "COPY $ Old")
	case 6:
		if s.r.IntN(8) == 0 {
			s.view, s.saved = nil, map[uint32]bool{}
			s.ask("SELECT INBOX")
			s.look()
		}
	}
}

// TestSavedRandom: whatever others do meanwhile, "$" is what was saved, less what is gone.
func TestSavedRandom(t *testing.T) {
	for seed := range uint64(25) {
		synctest.Test(t, func(t *testing.T) {
			th := startWith(t, func(th *theatre) {
				th.opts.Policy.Polyfills = translate.Choice{Names: []string{"esearch", "searchres"}}
			})
			s := &saver{t: t, r: rand.New(rand.NewPCG(seed, 4)), store: imaptest.NewStore(), marks: map[string]map[uint32]bool{}}
			s.saved = map[uint32]bool{}
			s.store.Create("Old")
			for i := range 12 {
				s.store.Add("INBOX", "old", [][]string{nil, {`\Flagged`}}[i%2]...)
			}
			(&imaptest.Backend{Store: s.store, Caps: "IMAP4rev1 UIDPLUS"}).Start(t, th.backends)
			c := th.dial(t)
			defer c.Close()
			s.in, s.out = bufio.NewReader(c), c
			if greeting, err := s.in.ReadString('\n'); err != nil || !strings.HasPrefix(greeting, "* OK") {
				t.Fatal(greeting, err)
			}
			s.ask("LOGIN riley firetruck")
			s.ask("SELECT INBOX")
			s.look()
			for range 150 {
				s.others()
				s.step()
				s.check()
			}
		})
	}
}
