package proxy

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/backend"
	"github.com/imapgate/imapgate/proxy/imaptest"
	"github.com/imapgate/imapgate/proxy/translate"
)

// A layersPlay is a conversation with its policy.
type layersPlay struct {
	turns  []rigTurn
	policy func(*translate.Policy)
	target string   // as the backend calls it
	parts  []string // of what the client gets
}

var layersPlays = []layersPlay{
	{layersConversation, func(p *translate.Policy) { p.Add = []imap.Cap{imap.CapIMAP4rev2} }, "Old",
		[]string{"SIZE 24", "BINARY[2] {11}\r\n* BYE {3}\r\n BINARY.SIZE[2] 11)", "COPYUID", "DELETED 1"}},
	{namesConversation, func(p *translate.Policy) {
		p.Names = translate.NameMap{Prefix: "Mail/", Separator: "/"}
		p.XGWMove = translate.XGWMoveAnnounce
	}, "Mail/Old", []string{"COPYUID", `* LIST (\HasNoChildren) "/" "Old"`}},
}

// namesConversation names mailboxes under other names than the backend's, in literals before and behind
// which there is more.
var namesConversation = []rigTurn{
	{"", "* OK"},
	{"a0 LOGIN riley abc\r\n", "a0 "},
	{"a1 LIST \"\" {1+}\r\n*\r\n", "a1 "},
	{"a2 APPEND {3}\r\n", "+"},
	{"Old {3}\r\n", "+"},
	{"abc\r\n", "a2 "},
	{"a3 APPEND {3+}\r\nOld (\\Seen) {3+}\r\nabd\r\na4 STATUS {3+}\r\nOld (MESSAGES)\r\n", "a4 "},
	{"a5 SELECT INBOX\r\n", "a5 "},
	{"a6 UID SEARCH RETURN (SAVE) UNDELETED\r\n", "a6 "},
	{"a7 UID XGWMOVE 1 {3}\r\n", "+"},
	{"Old\r\n", "a7 "},
	{"a8 SELECT {3+}\r\nOld\r\n", "a8 "},
	{"a9 LOGOUT\r\n", "a9 "},
}

// layersConversation has commands in which several translations work for one another.
var layersConversation = []rigTurn{
	{"", "* OK"},
	{"a0 LOGIN riley abc\r\n", "a0 "},
	{"a1 ENABLE IMAP4rev2\r\n", "a1 "},
	{"a2 LIST \"\" * RETURN (STATUS (MESSAGES SIZE))\r\n", "a2 "},
	{"a3 SELECT INBOX\r\n", "a3 "},
	{"a4 SEARCH RETURN (SAVE COUNT) UNDELETED\r\n", "a4 "},
	{"a5 FETCH $ (UID BINARY.PEEK[2] BINARY.SIZE[2])\r\n", "a5 "},
	{"a6 STATUS INBOX (MESSAGES SIZE DELETED)\r\na7 UID MOVE $ {3+}\r\nOld\r\n", "a7 "},
	{"a8 FETCH $ FLAGS\r\n", "a8 "},
	{"a9 LOGOUT\r\n", "a9 "},
}

var layersTags = append([]string{"a0"}, rigTags...)

// layersProgress is what a client hears while the backend stalls.
var layersProgress = regexp.MustCompile(`\* OK \[INPROGRESS \("a\d" \S+ \S+\)\] Still at work\r\n`)

// layersBodies are messages: the first moves, the second has a mark of the user's.
var layersBodies = [2]string{"KiBCWUUgezN9DQo=\r\n", "dHdv\r\n"}

// troubles fail a test for each error that is logged.
type troubles struct{ t *testing.T }

func (l troubles) Write(p []byte) (int, error) {
	l.t.Errorf("%s", p)
	return len(p), nil
}

func (p layersPlay) injured(t *testing.T, set rigSetup) (stream []byte, r *rig) {
	store := imaptest.NewStore()
	store.Add("INBOX", layersBodies[0])
	store.Add("INBOX", layersBodies[1], `\Deleted`)
	store.Create(p.target)
	set.options = func(o *Options) {
		o.Policy.Polyfills = translate.Choice{Auto: true}
		p.policy(&o.Policy)
		o.Log = slog.New(slog.NewTextHandler(troubles{t}, &slog.HandlerOptions{Level: slog.LevelError}))
	}
	r = rigStart(t, set)
	(&imaptest.Backend{Store: store, Caps: "IMAP4rev1 UIDPLUS"}).Start(t, r.back)
	stream = r.client().converse(p.turns)
	r.ended()
	appended := 0
	for _, m := range store.Messages(p.target) {
		if m.Body == "abc" {
			appended++
		}
	}
	if appended > 1 {
		t.Errorf("one APPEND left %d messages", appended)
	}
	for i, body := range layersBodies {
		here, there := 0, 0
		for _, m := range store.Messages("INBOX") {
			if m.Body == body {
				here++
				if i == 1 && !m.Has(`\Deleted`) {
					t.Error("a mark of the user's is gone")
				}
			}
		}
		for _, m := range store.Messages(p.target) {
			if m.Body == body {
				there++
			}
		}
		told := set.backend == nil // the truth
		if here+there == 0 || here > 1 || there > 1 || told && i == 1 && (here != 1 || there != 0) {
			t.Errorf("message %d is %d times in the source and %d times in the target", i, here, there)
		}
	}
	return stream, r
}

func (p layersPlay) refer(t *testing.T) (ref rigReference) {
	synctest.Test(t, func(t *testing.T) {
		var r *rig
		ref.stream, r = p.injured(t, rigSetup{})
		ref.heard, ref.read, ref.sent = r.heard(), r.carried("backend"), r.carried("client")
		s := rigParse(t, ref.stream)
		s.answered(t, false, layersTags...)
		ref.ends = s.ends
		rigHeard(t, ref.heard)
	})
	for _, part := range p.parts {
		if !strings.Contains(string(ref.stream), part) {
			t.Fatalf("the client did not get %q:\n%s", part, ref.stream)
		}
	}
	return ref
}

// TestInjuryLayers is TestInjury for commands that take others below them.
func TestInjuryLayers(t *testing.T) {
	for n, play := range layersPlays {
		ref := play.refer(t)
		for _, stream := range rigStreams {
			for _, harm := range rigHarms {
				t.Run(fmt.Sprint(n, stream.name, "/", harm.name), func(t *testing.T) {
					t.Parallel()
					octets := len(stream.octets(&ref))
					if harm.kind == imaptest.Drip {
						octets = 0
					}
					for at := 0; at <= octets && !t.Failed(); at++ {
						hurt := imaptest.Injury{Side: stream.side, At: int64(at), Kind: harm.kind}
						synctest.Test(t, func(t *testing.T) { play.hurt(t, &ref, hurt, stream.client) })
						if t.Failed() {
							t.Errorf("at octet %d", at)
						}
					}
				})
			}
		}
	}
}

func (p layersPlay) hurt(t *testing.T, ref *rigReference, hurt imaptest.Injury, client bool) {
	hurtClient, hurtBackend := hurt, imaptest.Injury{}
	if !client {
		hurtClient, hurtBackend = hurtBackend, hurtClient
	}
	stream, r := p.injured(t, rigSetup{hurtClient: hurtClient, hurtBackend: hurtBackend})
	if hurt.Kind == imaptest.Split || hurt.Kind == imaptest.Drip {
		if heard := r.heard(); !bytes.Equal(stream, ref.stream) || !bytes.Equal(heard, ref.heard) {
			t.Fatalf("the client got\n%s\nnot\n%s\nthe backend\n%s\nnot\n%s", stream, ref.stream, heard, ref.heard)
		}
		return
	}
	rigParse(t, stream).answered(t, true, layersTags...)
	ref.check(t, layersProgress.ReplaceAll(stream, nil))
	rigHeard(t, r.heard())
}

// A liar is a connection of which one octet that is read is another.
type liar struct {
	net.Conn
	at  int
	say byte
}

func (l *liar) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	if 0 <= l.at && l.at < n {
		p[l.at] = l.say
	}
	l.at -= n
	return n, err
}

// A stutterer is a connection of which one line that is read comes times times.
type stutterer struct {
	net.Conn
	lines *bufio.Reader
	at    int
	times int
	rest  []byte
}

func (s *stutterer) Read(p []byte) (int, error) {
	for len(s.rest) == 0 {
		line, err := s.lines.ReadBytes('\n')
		if err != nil {
			return 0, err
		}
		if s.rest = line; s.at == 0 {
			s.rest = bytes.Repeat(line, s.times)
		}
		s.at--
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// TestLiesLayers: whatever octet or line of the backend's is another, no message is lost, no command is
// answered twice, and nobody is left behind.
func TestLiesLayers(t *testing.T) {
	for n, play := range layersPlays {
		play.lies(t, n)
	}
}

func (p layersPlay) lies(t *testing.T, n int) {
	ref := p.refer(t)
	for _, say := range []byte("012 *({\"\n]A") {
		t.Run(fmt.Sprintf("%d %q", n, say), func(t *testing.T) {
			t.Parallel()
			p.lied(t, len(ref.read)/3, func(c net.Conn, at int) net.Conn { return &liar{c, 3*at + int(say)%3, say} })
		})
	}
	for _, times := range []int{0, 2} {
		t.Run(fmt.Sprint(n, " ", times, " times"), func(t *testing.T) {
			t.Parallel()
			p.lied(t, bytes.Count(ref.read, []byte("\n")), func(c net.Conn, at int) net.Conn {
				return &stutterer{Conn: c, lines: bufio.NewReader(c), at: at, times: times}
			})
		})
	}
}

// lied runs the conversation n times, with another lie each time.
func (p layersPlay) lied(t *testing.T, n int, lie func(net.Conn, int) net.Conn) {
	for at := range n {
		set := rigSetup{backend: func(b *backend.Config) {
			dial := b.Dial
			b.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				c, err := dial(ctx, network, address)
				if err != nil {
					return nil, err
				}
				return lie(c, at), nil
			}
		}}
		synctest.Test(t, func(t *testing.T) {
			stream, r := p.injured(t, set)
			rigHeard(t, r.heard())
			for _, tag := range layersTags {
				if n := strings.Count(string(stream), "\r\n"+tag+" "); n > 1 {
					t.Errorf("%d answers to %s", n, tag)
				}
			}
			if t.Failed() {
				t.Fatalf("lie %d: the client got\n%s\nthe backend\n%s", at, stream, r.heard())
			}
		})
		if t.Failed() {
			return
		}
	}
}
