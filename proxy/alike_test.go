package proxy

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imapgate/imapgate/proxy/imaptest"
)

// What comes together and is alike passes without a second look: see [session.forwardLines] and [session.swift]. The
// tests here let the same conversation come octet by octet too, where nothing ever comes together, and want no
// difference.

// octetByOctet has every Read and Write of the proxy move one octet.
var octetByOctet = []byte{0}

// alikeQuirks are what a session can be that looks at its commands or answers one by one.
var alikeQuirks = []string{"", "courier", "outlook-express", "uw", "mailutils", "exchange2007"}

// alikeCommands are what the neighbours in a stream are made of. Each begins behind the tag, and has no last CRLF.
var alikeCommands = []string{
	"NOOP", "noop", "NOOP ", "FETCH 1 (FLAGS)", "FETCH 1 (FLAGS)\x00", "UID FETCH 1 FLAGS", "CHECK", "EXPUNGE", "CLOSE",
	"SELECT INBOX", "EXAMINE {5+}\r\nINBOX", "UNSELECT", "CAPABILITY", "STATUS x (HIGHESTMODSEQ)", "SEARCH ALL",
	"UID SEARCH RETURN (SAVE) ALL", "LIST \"\" \"a&AOQ-\"", "LIST \"\" \"\u00e4\"", "ENABLE UTF8=ACCEPT", "SEARCH TEXT {2+}\r\nab",
	"APPEND INBOX {4+}\r\nt NO", "APPEND INBOX {4}\r\nt NO", "APPEND INBOX {99999}", "IDLE\r\nDONE", "IDLE x", "FOO", "DONE", "STORE 1 FLAGS (",
	"COPY 1 " + strings.Repeat("x", 5000), "COPY 1 " + strings.Repeat("x", 9000), "NOOP\r", "ID NIL", "CREATE \" \"", "NOOP\n",
	"COPY 1 " + strings.Repeat("x", 30_000), "COPY 1 " + strings.Repeat("x", 200),
}

// alikeTags are what a tag may be; each is followed by a number, unless it is whole.
var alikeTags = []string{"t", "T", "p", "P", strings.Repeat("x", 60), strings.Repeat("x", 64), "0", "*", "+", ""}

// alikeLine is the limit of a line where there is a low one: that of "COPY 1 xxx..." under a tag of two octets.
const alikeLine = 2 + len(" COPY 1 ") + 5000

// An alikeSetup is what else a conversation depends on, as it is packed into an octet: the quirk, whether lines are
// limited to alikeLine, and a fuzzMode.
type alikeSetup byte

// alikeSetups are those that differ in their quirk alone, and some others.
func alikeSetups(yield func(byte) bool) {
	for i := range len(alikeQuirks) {
		if !yield(byte(i)) || !yield(byte(i)|0x20) || !yield(byte(i)|byte(fuzzPark)<<6) {
			return
		}
	}
}

func (s alikeSetup) options(o *Options) {
	o.Policy.Quirks = choice(alikeQuirks[int(s&0x1f)%len(alikeQuirks)])
	if s&0x20 != 0 {
		o.Limits.Line = alikeLine
	}
}

func (s alikeSetup) force(t *testing.T) { fuzzMode(s >> 6).force(t) }

// alikeStream makes a stream of commands: of each two octets the first says which, and the second how often and with
// what tags.
func alikeStream(plan []byte) string {
	var b strings.Builder
	n := 0
	for ; len(plan) > 1 && b.Len() < 60_000; plan = plan[2:] {
		command, tag := alikeCommands[int(plan[0])%len(alikeCommands)], alikeTags[int(plan[1]>>4)%len(alikeTags)]
		for range 1 << (plan[1] & 3) * (1 + plan[1]>>2&3) {
			n++
			fmt.Fprintf(&b, "%s%d %s\r\n", tag, n, command)
		}
	}
	return b.String()
}

// FuzzAlikeCommands wants the backend to hear the same commands, the client the same answers, and the metrics to count
// the same, whether commands come together or octet by octet.
func FuzzAlikeCommands(f *testing.F) {
	for setup := range alikeSetups {
		f.Add(setup, []byte{0, 2, 28, 15, 0, 2})
		f.Add(setup, []byte{34, 0, 35, 15, 35, 15, 35, 15, 34, 1, 0, 15})
		f.Add(setup, []byte{0, 15, 12, 1, 0, 15, 3, 7, 13, 3, 7, 3, 9, 1, 3, 7, 8, 1, 0, 3, 18, 0, 16, 3, 23, 1, 0, 6})
		f.Add(setup, []byte{16, 3, 17, 3, 18, 0, 16, 3, 17, 3, 14, 7, 15, 7, 19, 3, 20, 2, 0, 3, 21, 1, 0, 3})
		f.Add(setup, []byte{28, 15, 29, 15, 0, 15, 29, 7, 0, 0x4f, 0, 0x5f, 0, 0x3f, 0, 0x2f, 0, 0x6f, 0, 0x1f, 2, 7, 1, 7, 0, 7})
		f.Add(setup, []byte{0, 7, 4, 3, 3, 3, 30, 2, 0, 3, 33, 3, 0, 3, 27, 3, 24, 2, 26, 2, 25, 3, 31, 3, 32, 3, 0, 15, 22, 0, 0, 3})
	}
	f.Fuzz(func(t *testing.T, setup byte, plan []byte) {
		alikeSetup(setup).force(t)
		say := alikeStream(plan)
		var got, heard, figures [2]string
		for i, pieces := range [][]byte{nil, octetByOctet} {
			synctest.Test(t, func(t *testing.T) {
				got[i], heard[i], figures[i] = alikeCommandsIn(t, alikeSetup(setup), say, pieces)
			})
		}
		if heard[0] != heard[1] {
			t.Errorf("together the backend hears\n%q\nand octet by octet\n%q", heard[0], heard[1])
		}
		if got[0] != got[1] {
			t.Errorf("together the client gets\n%q\nand octet by octet\n%q", got[0], got[1])
		}
		if figures[0] != figures[1] {
			t.Errorf("together the metrics are\n%s\nand octet by octet\n%s", figures[0], figures[1])
		}
	})
}

// alikeCommandsIn carries a client's commands in pieces.
func alikeCommandsIn(t *testing.T, setup alikeSetup, say string, pieces []byte) (got, heard, figures string) {
	set := planned(pieces)
	set.options = func(o *Options) {
		setup.options(o)
		o.Policy.Polyfills = choice("utf8 unselect searchres")
	}
	r := rigStart(t, set)
	r.backend("IMAP4rev1 LITERAL+ UIDPLUS IDLE ENABLE CONDSTORE", (*rigPeer).gather)
	c := r.client()
	c.login()
	from := len(c.got)
	c.say(say)
	c.conn.(*imaptest.Conn).CloseWrite()
	all, _ := c.end()
	c.conn.Close()
	r.ended()
	return string(all[from:]), string(r.heard()), r.figures()
}

// figures are all that the metrics count, without times.
func (r *rig) figures() string {
	families, err := r.srv.options().Registry.Gather()
	if err != nil {
		r.t.Error(err)
	}
	var b strings.Builder
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "imapgate_") {
			continue
		}
		for _, m := range f.GetMetric() {
			n := m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			fmt.Fprintln(&b, f.GetName(), m.GetLabel(), n)
		}
	}
	return b.String()
}

// gathered are answers of which each speaks of something else.
var gathered = []string{
	"TAG OK done\r\n", "TAG NO no\r\n", "TAG BAD bad\r\n", "TAG OK [COPYUID 1 2 3] done\r\n", "TAG OK done with TAG\r\n",
	"TAG OK [CAPABILITY IMAP4rev1 X] done\r\n", "* 3 FETCH (FLAGS ())\r\nTAG OK done\r\n", "TAG OK \r\n", "TAG NO APPEND [TRYCREATE] no\r\n",
	"TAG OK [READ-ONLY] done\r\n", "TAG OK a\x00b\n",
}

// gather is obey for a backend that answers together what comes together, and in many ways.
func (p *rigPeer) gather() {
	var answers, command bytes.Buffer
	var idle string
	for {
		if p.in.Buffered() == 0 {
			p.raw(answers.String())
			answers.Reset()
		}
		line, err := p.in.ReadString('\n')
		if err != nil {
			return
		}
		command.WriteString(line)
		if n, sync, ok := rigLiteral(line); ok {
			if sync {
				answers.WriteString("+ go on\r\n")
			}
			p.raw(answers.String())
			answers.Reset()
			io.CopyN(&command, p.in, n)
			continue
		}
		tag, rest, _ := strings.Cut(command.String(), " ")
		command.Reset()
		switch {
		case idle != "":
			tag, idle = idle, ""
			answers.WriteString(tag + " OK done\r\n")
		case rest == "IDLE\r\n":
			idle = tag
			answers.WriteString("+ idling\r\n")
		default:
			answers.WriteString(strings.ReplaceAll(gathered[answerOf(rest)], "TAG", tag))
		}
	}
}

// answerOf chooses by a command's text.
func answerOf(rest string) int {
	sum := 0
	for _, c := range []byte(rest) {
		sum += int(c)
	}
	return sum % len(gathered)
}

// alikeAsked are commands that a client sends at once; CAPABILITY is answered here.
var alikeAsked = strings.Repeat("NOOP\n", 9) + "CAPABILITY\n" + strings.Repeat("FETCH 1 FLAGS\n", 3) + "SELECT INBOX\n" +
	strings.Repeat("CHECK\n", 24) + "CAPABILITY\n" + strings.Repeat("NOOP\n", 9)

// alikeAnswers are what a backend's stream is made of, each with how many commands it answers: NEXT is the tag that is
// due, LAST the one before, THEN the one behind it.
var alikeAnswers = []struct {
	said    string
	answers int
}{
	{"NEXT OK done\r\n", 1}, {"NEXT OK done \r\n", 1}, {"NEXT NO done\r\n", 1}, {"NEXT ok done\r\n", 1}, {"NEXT OK done\n", 1},
	{"NEXT OK do\rne\r\n", 1}, {"NEXT OK  done\r\n", 1}, {"NEXT  OK done\r\n", 1}, {"NEXT OK\r\n", 1}, {"NEXT OK done\x00\r\n", 1},
	{"NEXT OK [ALERT] done\r\n", 1}, {"NEXT OK [COPYUID 1 2 3] done\r\n", 1}, {"NEXT OK [READ-ONLY] done\r\n", 1},
	{"NEXT OK LAST NEXT THEN\r\n", 1}, {"NEXT OK " + strings.Repeat("done ", 1500) + "\r\n", 1}, {"NEXT BYE done\r\n", 1},
	{"NEXT OK done\r\nTHEN OK done\r\n", 2}, {"THEN OK done\r\nNEXT OK done\r\n", 2}, {"THEN OK done\r\n", 0}, {"LAST OK done\r\n", 0},
	{"p0NEXT OK done\r\n", 1}, {"PNEXT OK done\r\n", 1}, {"p1zz OK done\r\n", 0}, {"+ go on\r\n", 0}, {"* OK NEXT\r\n", 0},
	{"* 1 EXISTS\r\n", 0}, {"* 1 FETCH (FLAGS ())\r\n", 0}, {"\x00", 0},
}

// FuzzAlikeAnswers wants the client to get the same, whether a backend's answers, right and wrong ones, come together or
// octet by octet.
func FuzzAlikeAnswers(f *testing.F) {
	same := bytes.Repeat([]byte{0}, 47)
	for setup := range alikeSetups {
		f.Add(setup, same)
		for i := range alikeAnswers {
			f.Add(setup, append(append(bytes.Repeat([]byte{0}, 5), byte(i), byte(i), byte(i)), same...))
		}
	}
	f.Fuzz(func(t *testing.T, setup byte, plan []byte) {
		alikeSetup(setup).force(t)
		var got [2]string
		for i, pieces := range [][]byte{nil, octetByOctet} {
			synctest.Test(t, func(t *testing.T) {
				got[i] = alikeAnswersIn(t, alikeSetup(setup), plan[:min(len(plan), 100)], pieces)
			})
		}
		if got[0] != got[1] {
			t.Errorf("together the client gets\n%q\nand octet by octet\n%q", got[0], got[1])
		}
	})
}

// alikeAnswersIn carries a backend's answers in pieces.
func alikeAnswersIn(t *testing.T, setup alikeSetup, plan, pieces []byte) string {
	set := planned(pieces)
	set.options = setup.options
	r := rigStart(t, set)
	r.backend("IMAP4rev1 LITERAL+", func(p *rigPeer) {
		var tags []string
		for range strings.Count(alikeAsked, "\n") - strings.Count(alikeAsked, "CAPABILITY") {
			tag, _, ok := p.next()
			if !ok {
				return
			}
			tags = append(tags, tag)
		}
		p.raw(alikeSaid(tags, plan))
		p.drain()
	})
	c := r.client()
	c.login()
	from := len(c.got)
	var ask strings.Builder
	for i, command := range strings.Split(strings.TrimSuffix(alikeAsked, "\n"), "\n") {
		fmt.Fprintf(&ask, "t%d %s\r\n", i, command)
	}
	c.say(ask.String())
	rigPass(time.Second)
	synctest.Wait()
	return string(c.got[from:])
}

// alikeSaid is what a backend says that owes answers to these tags.
func alikeSaid(tags []string, plan []byte) string {
	var b strings.Builder
	at := func(i int) string { return tags[min(max(i, 0), len(tags)-1)] }
	next := 0
	for _, c := range plan {
		a := alikeAnswers[int(c)%len(alikeAnswers)]
		number := strings.TrimPrefix(at(next), "p")
		b.WriteString(strings.NewReplacer("p0NEXT", "p0"+number, "PNEXT", "P"+number,
			"NEXT", at(next), "LAST", at(next-1), "THEN", at(next+1)).Replace(a.said))
		next += a.answers
	}
	return b.String()
}
