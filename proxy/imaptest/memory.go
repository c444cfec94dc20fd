package imaptest

import (
	"crypto/tls"
	"io"
	"log"
	"net"
	"testing"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-imap/v2/imapserver/imapmemserver"
)

// MemoryOptions says what a [MemoryServer] is. The zero value has no users and speaks IMAP4rev1 without
// TLS.
type MemoryOptions struct {
	Users    map[string]string // passwords by name; each user gets an INBOX
	Caps     imap.CapSet       // nil: IMAP4rev1, NAMESPACE, UIDPLUS, MOVE, ESEARCH, LIST-EXTENDED, LITERAL+
	TLS      *tls.Config       // offers STARTTLS
	Implicit bool              // TLS from the first byte, with the config of TLS
}

// Memory is a running [MemoryServer].
type Memory struct {
	Addr  string // host:port on loopback
	Users map[string]*imapmemserver.User
}

// MemoryServer starts go-imap's memory server on a loopback port; it ends with the test. Plain-text
// logins are allowed. It runs in real time: not for synctest bubbles.
func MemoryServer(t testing.TB, o MemoryOptions) *Memory {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &Memory{Addr: l.Addr().String(), Users: map[string]*imapmemserver.User{}}
	store := imapmemserver.New()
	for name, password := range o.Users {
		m.Users[name] = memoryUser(t, name, password)
		store.AddUser(m.Users[name])
	}
	if o.Implicit {
		l = tls.NewListener(l, o.TLS)
		o.TLS = nil
	}
	serve(t, l, o.server(store))
	return m
}

func memoryUser(t testing.TB, name, password string) *imapmemserver.User {
	t.Helper()
	u := imapmemserver.NewUser(name, password)
	if err := u.Create("INBOX", nil); err != nil {
		t.Fatal(err)
	}
	return u
}

func (o MemoryOptions) server(store *imapmemserver.Server) *imapserver.Server {
	if o.Caps == nil {
		o.Caps = imap.CapSet{
			imap.CapIMAP4rev1: {}, imap.CapNamespace: {}, imap.CapUIDPlus: {}, imap.CapMove: {},
			imap.CapESearch: {}, imap.CapListExtended: {}, imap.CapLiteralPlus: {},
		}
	}
	return imapserver.New(&imapserver.Options{
		NewSession: func(*imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
			return store.NewSession(), nil, nil
		},
		Caps:         o.Caps,
		Logger:       log.New(io.Discard, "", 0), // it reports each connection that a test cuts
		TLSConfig:    o.TLS,
		InsecureAuth: true,
	})
}

func serve(t testing.TB, l net.Listener, server *imapserver.Server) {
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Close()
		if err := <-done; err != nil {
			t.Errorf("memory server: %v", err)
		}
	})
}
