package proxy

import (
	"bytes"
	"context"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imapgate/imapgate/proxy/backend"
	"github.com/imapgate/imapgate/proxy/imaptest"
)

// A rigPlan is a connection of which each Read and Write is split as a plan says.
type rigPlan struct {
	net.Conn
	plan []byte
	read int
	sent int
}

// next is how many octets of n may pass at step i.
func (c *rigPlan) next(i, n int) int {
	if len(c.plan) == 0 {
		return n
	}
	return min(n, 1+int(c.plan[i%len(c.plan)]))
}

func (c *rigPlan) Read(p []byte) (int, error) {
	c.read++
	return c.Conn.Read(p[:c.next(c.read, len(p))])
}

func (c *rigPlan) Write(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		c.sent++
		var m int
		m, err = c.Conn.Write(p[n : n+c.next(c.sent, len(p)-n)])
		n += m
	}
	return n, err
}

// NotifyReadable lets the proxy park.
func (c *rigPlan) NotifyReadable(f func()) bool { return c.Conn.(notifier).NotifyReadable(f) }

// CloseWrite half-closes the connection.
func (c *rigPlan) CloseWrite() error {
	return c.Conn.(interface{ CloseWrite() error }).CloseWrite()
}

// A fuzzMode is what an input forces, whatever the environment says: bits of the plan's first octet.
type fuzzMode byte

const (
	fuzzPark  fuzzMode = 1 << iota // readers give up their goroutine at every boundary
	fuzzPipe                       // every octet of a literal that was not read ahead passes by a Pipe
	fuzzModes                      // how many there are
)

// fuzzPlanned parts a plan into the mode and the sizes of pieces.
func fuzzPlanned(plan []byte) (fuzzMode, []byte) {
	if len(plan) == 0 {
		return 0, nil
	}
	return fuzzMode(plan[0]), plan[1:]
}

// force is for the time of one input. None runs beside another in the same process.
func (m fuzzMode) force(t *testing.T) {
	park, move := defaultPark, moveFrom
	t.Cleanup(func() { defaultPark, moveFrom = park, move })
	if m&fuzzPark != 0 {
		defaultPark = time.Nanosecond
	}
	if m&fuzzPipe != 0 {
		moveFrom = 1
	}
}

// FuzzRelay wants two things. However a conversation's octets are split in any of the four streams, and
// whatever the way on which they pass, the same octets come out. And whatever a client says after its
// login, the backend hears whole, clean commands under tags of the proxy's own, the client gets whole
// responses, and all ends.
func FuzzRelay(f *testing.F) {
	for i, e := range evilAfterLogin {
		if len(e.say) < 3000 {
			f.Add([]byte(e.say), []byte{byte(i) % byte(fuzzModes), 0})
		}
	}
	for _, say := range []string{
		"a1 SELECT INBOX\r\na2 UID MOVE 1 {3}\r\nOld\r\na3 FETCH 1:* (UID BODY[])\r\na4 IDLE\r\nDONE\r\na5 LOGOUT\r\n",
		"a1 APPEND Old (\\Seen) {5}\r\nab\r\nc {3+}\r\nabc ~{1}\r\n\x00\r\na2 SEARCH RETURN (ALL) TEXT {2+}\r\n\"(\r\n",
		"a1 ENABLE CONDSTORE X\r\na2 ID (\"name\" {2+}\r\nab)\r\na3 CAPABILITY\r\na4 STARTTLS\r\na5 SELECT x {0}\r\n",
	} {
		for mode := range fuzzModes {
			f.Add([]byte(say), []byte{byte(mode), 2, 0, 40})
			f.Add([]byte(say), []byte{byte(mode)})
		}
	}
	var ref rigReference
	f.Fuzz(func(t *testing.T, said, plan []byte) {
		if ref.stream == nil {
			ref = rigRefer(t)
		}
		mode, plan := fuzzPlanned(plan)
		mode.force(t)
		synctest.Test(t, func(t *testing.T) { ref.split(t, plan) })
		synctest.Test(t, func(t *testing.T) { fuzzSay(t, said, plan) })
	})
}

func planned(plan []byte) rigSetup {
	return rigSetup{
		wrapClient: func(c net.Conn) net.Conn { return &rigPlan{Conn: c, plan: plan} },
		backend: func(b *backend.Config) {
			dial := b.Dial
			b.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				c, err := dial(ctx, network, address)
				if err != nil {
					return nil, err
				}
				return &rigPlan{Conn: c, plan: plan}, nil
			}
		},
	}
}

// split carries the conversation of the reference in pieces.
func (ref *rigReference) split(t *testing.T, plan []byte) {
	r := rigStart(t, planned(plan))
	(&imaptest.Backend{Store: rigStore(), Caps: "IMAP4rev1 UIDPLUS IDLE"}).Start(t, r.back)
	stream := r.client().converse(rigConversation)
	r.ended()
	if !bytes.Equal(stream, ref.stream) || !bytes.Equal(r.heard(), ref.heard) {
		t.Fatalf("the client got\n%s\nnot\n%s\nthe backend\n%s\nnot\n%s", stream, ref.stream, r.heard(), ref.heard)
	}
}

// fuzzSay lets a client say anything and then leave.
func fuzzSay(t *testing.T, said, plan []byte) {
	if rigOwnTag.Match(said) {
		return // a client may call its tags what it likes, but then nobody can tell whose they are
	}
	r := rigStart(t, planned(plan))
	heard := make(chan []byte, 1)
	caps := "IMAP4rev1 UIDPLUS IDLE ENABLE CONDSTORE"
	if len(plan)%2 == 0 {
		caps += " LITERAL+ MOVE"
	}
	r.backend(caps, func(p *rigPeer) { heard <- p.obey() })
	c := r.client()
	c.login()
	c.say(string(said))
	c.conn.(*imaptest.Conn).CloseWrite()
	got, _ := c.end()
	c.conn.Close()
	r.ended()
	if s := rigParse(t, got); s.torn {
		t.Errorf("the client's stream ends inside a message:\n%s", rigTail(got))
	}
	rigHeard(t, r.heard())
	rigClean(t, <-heard)
	if n := bytes.Count(got, []byte("\r\na0 ")); n != 1 && !strings.Contains(string(said), "a0") {
		t.Errorf("%d answers to the login", n)
	}
}
