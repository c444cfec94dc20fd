package proxy

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/imapgate/imapgate/proxy/backend"
	"github.com/imapgate/imapgate/proxy/imaptest"
	"github.com/imapgate/imapgate/routing"
)

// wiredBody is longer than what is read of a literal with the line before it, so that the rest is moved by
// pipes of the kernel.
var wiredBody = "Subject: long\r\n\r\n" + strings.Repeat("* BYE {3}\r\n", 270)

// wiredConversation has literals in both directions.
var wiredConversation = []rigTurn{
	{"", "* OK"},
	{"a1 LOGIN riley abc\r\n", "a1 "},
	{"a2 SELECT INBOX\r\n", "a2 "},
	{"a3 FETCH 1:2 (UID BODY[])\r\n", "a3 "},
	{"a4 APPEND Old {2986}\r\n", "+"},
	{wiredBody[:2986] + "\r\n", "a4 "},
	{"a5 APPEND Old {2900+}\r\n" + wiredBody[:2900] + "\r\na6 NOOP\r\n", "a6 "},
	{"a7 LOGOUT\r\n", "a7 "},
}

var wiredTags = []string{"a1", "a2", "a3", "a4", "a5", "a6", "a7"}

// A wiredListener gives a backend connections that are hurt, and keeps what it reads.
type wiredListener struct {
	net.Listener
	hurt imaptest.Injury

	mu    sync.Mutex
	heard []byte
}

func (l *wiredListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return wiredHurt(&wiredConn{nc.(*net.TCPConn), l}, l.hurt), nil
}

type wiredConn struct {
	*net.TCPConn
	l *wiredListener
}

func (c *wiredConn) Read(p []byte) (int, error) {
	n, err := c.TCPConn.Read(p)
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	c.l.heard = append(c.l.heard, p[:n]...)
	return n, err
}

// Abort resets the connection.
func (c *wiredConn) Abort() error {
	c.SetLinger(0)
	return c.Close()
}

func wiredHurt(c net.Conn, hurt imaptest.Injury) net.Conn {
	if hurt.Kind == 0 {
		return c
	}
	return imaptest.Injure(c, hurt)
}

// wired carries the conversation over TCP, where the peers' ends are hurt and the proxy's are as they are
// in life: whatever can be spliced is.
func wired(t *testing.T, hurtClient, hurtBackend imaptest.Injury) (stream, heard []byte) {
	store := imaptest.NewStore()
	store.Add("INBOX", wiredBody)
	store.Add("INBOX", wiredBody)
	store.Create("Old")
	back := &wiredListener{Listener: loopback(t), hurt: hurtBackend}
	(&imaptest.Backend{Store: store, Caps: "IMAP4rev1 UIDPLUS IDLE LITERAL+"}).Start(t, back)
	patience := time.Minute
	if hurtClient.Kind == imaptest.Stall || hurtBackend.Kind == imaptest.Stall {
		patience = 200 * time.Millisecond
	}
	address := wiredGate(t, back.Addr().String(), patience)
	nc, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	end := wiredHurt(&wiredConn{nc.(*net.TCPConn), &wiredListener{}}, hurtClient)
	end.SetWriteDeadline(time.Now().Add(time.Minute)) // a client that is stalled gives up
	stream = rigReader(t, end).converse(wiredConversation)
	for _, m := range store.Messages("Old") {
		if m.Body != wiredBody[:2986] && m.Body != wiredBody[:2900] {
			t.Fatalf("%d octets of a message were stored", len(m.Body))
		}
	}
	back.mu.Lock()
	defer back.mu.Unlock()
	return stream, back.heard
}

// wiredGate serves until the test's end.
func wiredGate(t *testing.T, address string, patience time.Duration) string {
	table, err := routing.NewTable(routing.Config{
		Backends: []routing.Backend{{Name: "one"}},
		Routes:   []routing.Route{{Backend: "one"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	opts := Options{
		Backends: map[string]*backend.Config{"one": {Name: "one", Address: address, TLS: backend.None}},
		Table:    table,
		Policy:   quietPolicy(),
	}
	opts.Timeouts.Response, opts.Timeouts.Write = patience, patience
	srv, err := NewServer(opts)
	if err != nil {
		t.Fatal(err)
	}
	ln := &Listener{Name: "imap", Listener: loopback(t), TLS: NoTLS, AllowPlaintextLogin: true}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(context.Background(), ln) }()
	t.Cleanup(func() {
		now, cancel := context.WithCancel(context.Background())
		cancel()
		srv.Shutdown(now)
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return ln.Addr().String()
}

// TestInjuryTCP hurts the peers of a proxy that moves literals within the kernel: what TestInjury wants of
// copied octets holds of these.
func TestInjuryTCP(t *testing.T) {
	was := moveFrom
	moveFrom = 1
	defer func() { moveFrom = was }()
	var ref rigReference
	ref.stream, ref.heard = wired(t, imaptest.Injury{}, imaptest.Injury{})
	s := rigParse(t, ref.stream)
	s.answered(t, false, wiredTags...)
	ref.ends = s.ends
	rigHeard(t, ref.heard)
	for _, e := range []struct {
		name   string
		client bool
		side   imaptest.Side
		kind   imaptest.Harm
		step   int // between the places
	}{
		{"backend's stream cut", false, imaptest.Writes, imaptest.Cut, 31},
		{"backend's stream ended", false, imaptest.Writes, imaptest.HalfClose, 37},
		{"backend's stream stalled", false, imaptest.Writes, imaptest.Stall, 811},
		{"backend's stream split", false, imaptest.Writes, imaptest.Split, 61},
		{"backend stops reading", false, imaptest.Reads, imaptest.Cut, 41},
		{"client's stream cut", true, imaptest.Writes, imaptest.Cut, 43},
		{"client's stream ended", true, imaptest.Writes, imaptest.HalfClose, 47},
		{"client's stream split", true, imaptest.Writes, imaptest.Split, 67},
		{"client stops reading", true, imaptest.Reads, imaptest.Cut, 53},
	} {
		t.Run(e.name, func(t *testing.T) {
			octets := len(ref.stream)
			if e.client == (e.side == imaptest.Writes) {
				octets = len(ref.heard)
			}
			for at := 1000; at < octets; at += e.step { // behind the login
				hurt := imaptest.Injury{Side: e.side, At: int64(at), Kind: e.kind}
				if !t.Run("", func(t *testing.T) { ref.hurtTCP(t, hurt, e.client) }) {
					t.Fatalf("at octet %d", at)
				}
			}
		})
	}
}

func (ref *rigReference) hurtTCP(t *testing.T, hurt imaptest.Injury, client bool) {
	hurtClient, hurtBackend := hurt, imaptest.Injury{}
	if !client {
		hurtClient, hurtBackend = hurtBackend, hurtClient
	}
	stream, heard := wired(t, hurtClient, hurtBackend)
	if hurt.Kind == imaptest.Split {
		if string(stream) != string(ref.stream) {
			t.Fatalf("the client got\n%s", rigTail(stream))
		}
		return
	}
	ref.check(t, stream)
	rigParse(t, stream).answered(t, true, wiredTags...)
	rigHeard(t, heard)
}
