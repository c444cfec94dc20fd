package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// A target is one column of the table: a server that runs, or the backend itself.
type target struct {
	name     string
	version  string
	plain    door
	tls      door
	secure   door // TLS on both legs
	keeping  door // without TLS; connections to the backend are kept for the user's next login
	extra    int  // the port that the peer uses as it likes
	limit    int  // of sessions that wait without TLS; 0 for none
	child    *child
	relaunch func(context.Context) (*child, error) // nil for the backend itself
}

// A connection says which door clients of a step use.
type connection struct {
	name string
	of   func(*target) door
}

// The connections of a step.
var (
	plainConnection   = connection{"plain", func(t *target) door { return t.plain }}
	tlsConnection     = connection{"TLS", func(t *target) door { return t.tls }}
	secureConnection  = connection{"TLS, both legs", func(t *target) door { return t.secure }}
	keepingConnection = connection{"plain, kept behind", func(t *target) door { return t.keeping }}

	keepingWays = []connection{plainConnection, keepingConnection}
	allWays     = []connection{plainConnection, tlsConnection, secureConnection}
)

// restart gives the target a fresh process: one that was used keeps memory that it has freed, and would
// flatter itself.
func (t *target) restart(ctx context.Context) error {
	if t.relaunch == nil {
		if !t.runs() {
			return errors.New("it has ended, and all others with it")
		}
		return nil
	}
	if t.child != nil {
		err := t.child.stop()
		t.child = nil
		if err != nil {
			return err
		}
	}
	c, err := t.relaunch(ctx)
	t.child = c
	return err
}

// runs reports whether the target's process is there.
func (t *target) runs() bool {
	if t.child == nil {
		return false
	}
	select {
	case <-t.child.ended:
		return false
	default:
		return true
	}
}

// A stage is where the targets run: one folder, one backend, and ports that are free.
type stage struct {
	dir     string
	self    string // our own program
	auth    string // where nginx asks for users
	clients int    // at once
	common  facts  // of the templates, without what is a peer's own
	ports   portRange
	backend *target
}

// A portRange gives out ports that are free and that the system does not give to connections.
type portRange struct{ next, end int }

func (r *portRange) take() (int, error) {
	for ; r.next < r.end; r.next++ {
		ln, err := net.Listen("tcp", loopback(r.next))
		if err != nil {
			continue
		}
		ln.Close()
		r.next++
		return r.next - 1, nil
	}
	return 0, fmt.Errorf("no port below %d is free", r.end)
}

// takeAll sets ports.
func (r *portRange) takeAll(ports ...*int) (err error) {
	for _, p := range ports {
		if *p, err = r.take(); err != nil {
			return err
		}
	}
	return nil
}

// raise starts the backend.
func (s *stage) raise(ctx context.Context) error {
	p := backendPeer(s.self)
	t, err := s.start(ctx, p)
	if err != nil {
		return err
	}
	s.backend = t
	s.common.Backend, s.common.SecureBackend = t.plainPort(), t.tlsPort()
	// Seen from the load generator the backend is a target of its own, that nobody restarts.
	t.relaunch = nil
	t.name = "direct"
	return nil
}

func (t *target) plainPort() int { return portOf(t.plain) }
func (t *target) tlsPort() int   { return portOf(t.tls) }

func portOf(d door) (port int) {
	_, err := fmt.Sscanf(d.address, "127.0.0.1:%d", &port)
	if err != nil {
		return 0
	}
	return port
}

// start starts a peer.
func (s *stage) start(ctx context.Context, p peer) (*target, error) {
	program, err := p.find()
	if err != nil {
		return nil, err
	}
	f := s.common
	f.Dir = filepath.Join(s.dir, p.name)
	if err := s.ports.takeAll(&f.Plain, &f.TLS, &f.Secure, &f.Extra); err != nil {
		return nil, err
	}
	args, err := p.prepare(&f)
	if err != nil {
		return nil, err
	}
	listening := []int{f.Plain, f.TLS}
	t := &target{
		name:    p.name,
		extra:   f.Extra,
		limit:   p.sessionLimit,
		version: p.versionOf(ctx, program),
		plain:   door{address: loopback(f.Plain), user: "user"},
		tls:     door{address: loopback(f.TLS), user: "user", tls: true},
	}
	switch p.secure {
	case secureDoor:
		t.secure = door{address: loopback(f.Secure), user: "user", tls: true}
		listening = append(listening, f.Secure)
	case secureUser:
		t.secure = door{address: loopback(f.TLS), user: "secure", tls: true}
	}
	switch p.keep {
	case keepUser:
		t.keeping = door{address: loopback(f.Plain), user: "webmail"}
	case keepOnly:
		t.keeping, t.plain, t.tls, listening = t.plain, door{}, door{}, []int{f.Plain}
	}
	t.relaunch = func(ctx context.Context) (*child, error) {
		return startChild(ctx, program, args, f.Dir, listening)
	}
	return t, t.restart(ctx)
}

// newStage makes the folder, the certificate and what else peers share.
func newStage(dir, self, auth string, clients, firstPort int) (*stage, error) {
	s := &stage{dir: dir, self: self, auth: auth, clients: clients, ports: portRange{firstPort, firstPort + 1000}}
	s.common = facts{
		Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem"), Pair: filepath.Join(dir, "pair.pem"),
		Auth: auth, Capabilities: nginxCapabilities(), Clients: clients, Files: 2*clients + 100,
	}
	if _, err := os.Stat(debianMailModule); err == nil {
		s.common.NginxModules = []string{debianMailModule}
	}
	return s, writeCertificate(s.common)
}
