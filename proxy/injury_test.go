package proxy

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/imapgate/imapgate/proxy/imaptest"
)

// A rigTurn is one thing that a client says, and the line that it waits for.
type rigTurn struct{ say, hear string }

// rigConversation touches each way in which the relay moves octets: a literal down, one up that waits
// for "+" and one that does not, IDLE, a translation, the end.
var rigConversation = []rigTurn{
	{"", "* OK"},
	{"a1 LOGIN riley {3}\r\n", "+"},
	{"abc\r\n", "a1 "},
	{"a2 SELECT INBOX\r\n", "a2 "},
	{"a3 FETCH 1:2 (UID BODY[])\r\n", "a3 "},
	{"a4 APPEND Old {5}\r\n", "+"},
	{"to be\r\n", "a4 "},
	{"a5 APPEND Old {2+}\r\nok\r\na6 NOOP\r\n", "a6 "},
	{"a7 IDLE\r\n", "+"},
	{"DONE\r\n", "a7 "},
	{"a8 UID MOVE 1 Old\r\n", "a8 "},
	{"a9 LOGOUT\r\n", "a9 "},
}

var rigTags = []string{"a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8", "a9"}

// converse goes through the conversation as far as it goes, and ends like a client: with Close.
func (c *rigClient) converse(turns []rigTurn) []byte {
	for _, turn := range turns {
		if turn.say != "" && !c.say(turn.say) {
			break
		}
		line, ok := c.hear(turn.hear)
		if !ok {
			break
		}
		if strings.HasPrefix(line, "a1 NO") { // a client that is not let in leaves
			c.conn.Close()
			break
		}
	}
	got, _ := c.end()
	c.conn.Close()
	return got
}

// rigStore has a source with a message that the user has marked, and a mailbox to move to.
func rigStore() *imaptest.Store {
	st := imaptest.NewStore()
	st.Add("INBOX", "Subject: one\r\n\r\n* BYE {3}\r\n")
	st.Add("INBOX", "two", `\Deleted`)
	st.Create("Old")
	return st
}

// injured carries the conversation over injured connections.
func injured(t *testing.T, hurtClient, hurtBackend imaptest.Injury) (stream, heard, read []byte, r *rig) {
	store := rigStore()
	r = rigStart(t, rigSetup{hurtClient: hurtClient, hurtBackend: hurtBackend})
	(&imaptest.Backend{Store: store, Caps: "IMAP4rev1 UIDPLUS IDLE"}).Start(t, r.back)
	c := r.client()
	stream = c.converse(rigConversation)
	r.ended()
	rigNeverLost(t, store, "Subject: one\r\n\r\n* BYE {3}\r\n", "two")
	return stream, r.heard(), r.carried("backend"), r
}

// rigNeverLost wants each message in some mailbox, and the marks of the user as they were.
func rigNeverLost(t *testing.T, store *imaptest.Store, bodies ...string) {
	t.Helper()
	for _, body := range bodies {
		if !strings.Contains(fmt.Sprint(store.Messages("INBOX"), store.Messages("Old")), body) {
			t.Errorf("the message %q is in neither mailbox", body)
		}
	}
	for _, m := range store.Messages("INBOX") {
		if m.Body == "two" && !m.Has(`\Deleted`) {
			t.Error("a mark of the user's is gone")
		}
	}
}

// A rigReference is the conversation without injury.
type rigReference struct {
	sent, stream, heard, read []byte
	ends                      []int // where messages of stream end
}

func rigRefer(t *testing.T) (ref rigReference) {
	synctest.Test(t, func(t *testing.T) {
		var r *rig
		ref.stream, ref.heard, ref.read, r = injured(t, imaptest.Injury{}, imaptest.Injury{})
		ref.sent = r.carried("client")
		s := rigParse(t, ref.stream)
		s.answered(t, false, rigTags...)
		ref.ends = s.ends
		rigHeard(t, ref.heard)
	})
	if t.Failed() {
		t.FailNow()
	}
	return ref
}

var rigOneLine = regexp.MustCompile(`^(a\d (NO|BAD)|\* BYE) [^\r\n]*$`)

// check wants a stream to be the reference up to some point. Behind it may stand, at a message's end,
// answers that commands failed and then BYE.
func (ref *rigReference) check(t *testing.T, stream []byte) {
	t.Helper()
	n := 0
	for n < min(len(stream), len(ref.stream)) && stream[n] == ref.stream[n] {
		n++
	}
	if n == len(stream) {
		return
	}
	at := 0
	for _, e := range ref.ends {
		if e <= n {
			at = e
		}
	}
	rest, whole := strings.CutSuffix(string(stream[at:]), "\r\n")
	lines := strings.Split(rest, "\r\n")
	for _, line := range lines {
		if !rigOneLine.MatchString(line) {
			t.Fatalf("the client got %q behind\n%s", stream[at:], rigTail(stream[:at]))
		}
	}
	if last := lines[len(lines)-1]; whole && !strings.HasPrefix(last, "* BYE") && len(lines) > 1 {
		t.Fatalf("the client got %q, the last of it is no BYE", stream[at:])
	}
}

// rigStreams are the four streams, by the proxy's end.
var rigStreams = []struct {
	name   string
	client bool
	side   imaptest.Side
	octets func(*rigReference) []byte
}{
	{"client to proxy", true, imaptest.Reads, func(r *rigReference) []byte { return r.sent }},
	{"proxy to client", true, imaptest.Writes, func(r *rigReference) []byte { return r.stream }},
	{"proxy to backend", false, imaptest.Writes, func(r *rigReference) []byte { return r.heard }},
	{"backend to proxy", false, imaptest.Reads, func(r *rigReference) []byte { return r.read }},
}

var rigHarms = []struct {
	name string
	kind imaptest.Harm
}{{"cut", imaptest.Cut}, {"half-close", imaptest.HalfClose}, {"stall", imaptest.Stall}, {"split", imaptest.Split}, {"drip", imaptest.Drip}}

// TestInjury hurts each of the four streams at each octet. That nobody is left behind is shown by the
// bubble, which cannot end while a goroutine is blocked.
func TestInjury(t *testing.T) {
	ref := rigRefer(t)
	for _, stream := range rigStreams {
		for _, harm := range rigHarms {
			t.Run(stream.name+"/"+harm.name, func(t *testing.T) {
				t.Parallel()
				octets := len(stream.octets(&ref))
				if harm.kind == imaptest.Drip {
					octets = 0
				}
				for at := range octets + 1 {
					hurt := imaptest.Injury{Side: stream.side, At: int64(at), Kind: harm.kind}
					synctest.Test(t, func(t *testing.T) { ref.hurt(t, hurt, stream.client) })
					if t.Failed() {
						t.Fatalf("at octet %d", at)
					}
				}
			})
		}
	}
}

func (ref *rigReference) hurt(t *testing.T, hurt imaptest.Injury, client bool) {
	hurtClient, hurtBackend := hurt, imaptest.Injury{}
	if !client {
		hurtClient, hurtBackend = hurtBackend, hurtClient
	}
	stream, heard, _, _ := injured(t, hurtClient, hurtBackend)
	if hurt.Kind == imaptest.Split || hurt.Kind == imaptest.Drip {
		if !bytes.Equal(stream, ref.stream) || !bytes.Equal(heard, ref.heard) {
			t.Fatalf("the client got\n%s\nnot\n%s\nthe backend\n%s\nnot\n%s", stream, ref.stream, heard, ref.heard)
		}
		return
	}
	ref.check(t, stream)
	rigParse(t, stream).answered(t, true, rigTags...)
	rigHeard(t, heard)
}

// TestInjuryTLS hurts connections below TLS: a client whose last message is not whole must see that it
// was cut, by the lack of close_notify. Only in TLS 1.2 can that be seen from outside.
func TestInjuryTLS(t *testing.T) {
	ref := rigRefer(t)
	cert, pool := imaptest.Certificate(t)
	for _, stream := range rigStreams {
		for at := 0; at < len(stream.octets(&ref))+1000; at += 11 {
			hurt := imaptest.Injury{Side: stream.side, At: int64(at), Kind: imaptest.Cut}
			set := rigSetup{hurtClient: hurt, listener: func(l *Listener) {
				l.TLS = ImplicitTLS
				l.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}, MaxVersion: tls.VersionTLS12}
			}}
			if !stream.client {
				set.hurtClient, set.hurtBackend = imaptest.Injury{}, hurt
			}
			synctest.Test(t, func(t *testing.T) { ref.hurtTLS(t, set, pool) })
			if t.Failed() {
				t.Fatalf("%s cut at octet %d", stream.name, at)
			}
		}
	}
}

func (ref *rigReference) hurtTLS(t *testing.T, set rigSetup, roots *x509.CertPool) {
	r := rigStart(t, set)
	(&imaptest.Backend{Store: rigStore(), Caps: "IMAP4rev1 UIDPLUS IDLE"}).Start(t, r.back)
	c := rigReader(t, tls.Client(r.dial(), &tls.Config{RootCAs: roots, ServerName: "localhost"}))
	got := c.converse(rigConversation)
	r.ended()
	ref.check(t, got)
	told := rigAlerted(r.passed("client", func(c *rigConn) []byte { return c.wrote }))
	if s := rigParse(t, got); s.torn && told {
		t.Errorf("the stream ends in the middle of a message, but with close_notify:\n%s", rigTail(got))
	} else if s.bye && !told && set.hurtClient.Kind == 0 {
		t.Errorf("the stream ends with BYE, but without close_notify:\n%s", rigTail(got))
	}
}

// rigAlerted reports whether there is an alert among TLS records (RFC 5246 section 6.2.1).
func rigAlerted(records []byte) bool {
	for len(records) >= 5 {
		if records[0] == 21 {
			return true
		}
		records = records[min(len(records), 5+int(records[3])<<8+int(records[4])):]
	}
	return false
}

// A client that ends its direction gets the answers to all that it asked before; half a command is none.
func TestHalfCloseByClient(t *testing.T) {
	for _, said := range []string{"", "a2 NOO", "a2 APPEND Old {10+}\r\nabc"} {
		synctest.Test(t, func(t *testing.T) {
			store := rigStore()
			r := rigStart(t, rigSetup{})
			(&imaptest.Backend{Store: store}).Start(t, r.back)
			c := r.client()
			c.login()
			c.say("a1 SELECT INBOX\r\na3 CAPABILITY\r\na4 FETCH 1:2 (BODY[])\r\n" + said)
			c.conn.(*imaptest.Conn).CloseWrite()
			got, _ := c.end()
			c.conn.Close()
			r.ended()
			rigParse(t, got).answered(t, false, "a0", "a1", "a3", "a4")
			if n := len(store.Messages("Old")); n != 0 {
				t.Errorf("half an APPEND left %d messages", n)
			}
		})
	}
}

// A backend that ends its direction has gone; what it said before is passed.
func TestHalfCloseByBackend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rigStart(t, rigSetup{})
		r.backend(rigCapsPlain, func(p *rigPeer) {
			p.want("NOOP")
			p.send("* 5 EXISTS")
			p.conn.(*imaptest.Conn).CloseWrite()
			p.drain()
		})
		c := r.client()
		c.login()
		c.say("a1 NOOP\r\na2 NOOP\r\n")
		c.must("* 5 EXISTS")
		c.must("a1 NO [UNAVAILABLE]")
		c.endBye("[UNAVAILABLE]")
		c.conn.Close()
		r.ended()
	})
}
