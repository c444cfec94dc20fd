package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-imap/v2/imapserver/imapmemserver"
)

// A demoServer is an IMAP server in memory with one user.
type demoServer struct {
	name, about    string
	user, password string
	ln             net.Listener
	server         *imapserver.Server
	done           chan struct{} // closed when the server has stopped accepting
}

// startDemoServers starts both servers. The second has no MOVE, so that the proxy has to do it.
func startDemoServers(ctx context.Context) ([]*demoServer, error) {
	first := &demoServer{name: "first", about: "it can MOVE", user: "riley", password: "firetruck"}
	second := &demoServer{name: "second", about: "it cannot MOVE, the proxy does it", user: "morgan", password: "lighthouse"}
	if err := first.start(ctx, demoCaps(imap.CapMove), rileysMail()); err != nil {
		return nil, err
	}
	if err := second.start(ctx, demoCaps(), morgansMail()); err != nil {
		first.close()
		return nil, err
	}
	return []*demoServer{first, second}, nil
}

func demoCaps(more ...imap.Cap) imap.CapSet {
	caps := imap.CapSet{}
	for _, c := range append(more, imap.CapIMAP4rev1, imap.CapNamespace, imap.CapUIDPlus, imap.CapESearch,
		imap.CapListExtended, imap.CapListStatus, imap.CapStatusSize) {
		caps[c] = struct{}{}
	}
	return caps
}

func (s *demoServer) start(ctx context.Context, caps imap.CapSet, mail []demoFolder) error {
	store := imapmemserver.New()
	user, err := s.fill(mail)
	if err != nil {
		return fmt.Errorf("fill the demo's server %s: %w", s.name, err)
	}
	store.AddUser(user)
	var lc net.ListenConfig
	if s.ln, err = lc.Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
		return fmt.Errorf("open a port for the demo's server %s: %w", s.name, err)
	}
	s.server = imapserver.New(&imapserver.Options{
		NewSession: func(*imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
			return store.NewSession(), nil, nil
		},
		Caps:         caps,
		InsecureAuth: true, // only the proxy on the same machine talks to it
		Logger:       log.New(io.Discard, "", 0),
	})
	s.done = make(chan struct{})
	go func() {
		defer close(s.done)
		s.server.Serve(s.ln)
	}()
	return nil
}

// fill makes the user with folders and messages.
func (s *demoServer) fill(mail []demoFolder) (*imapmemserver.User, error) {
	user := imapmemserver.NewUser(s.user, s.password)
	for _, folder := range mail {
		if err := user.Create(folder.name, nil); err != nil {
			return nil, err
		}
		if err := user.Subscribe(folder.name); err != nil {
			return nil, err
		}
		for _, m := range folder.messages {
			raw, err := m.render()
			if err != nil {
				return nil, err
			}
			options := &imap.AppendOptions{Flags: m.flags, Time: m.date}
			if _, err := user.Append(folder.name, literal{bytes.NewReader(raw)}, options); err != nil {
				return nil, err
			}
		}
	}
	return user, nil
}

func (s *demoServer) address() string { return s.ln.Addr().String() }

// close cuts all connections and waits until no new one can come. The listener is closed here too:
// the server does not know it before its Serve has begun.
func (s *demoServer) close() {
	s.ln.Close()
	<-s.done
	s.server.Close()
}

// A literal is a message to append, as imapmemserver wants it.
type literal struct{ *bytes.Reader }

// Size returns the message's octets.
func (l literal) Size() int64 { return l.Reader.Size() }
