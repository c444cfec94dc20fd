package imaptest

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A Fault is what goes wrong with one command.
type Fault uint8

// The faults. To vanish is to reset the connection; what was sent before arrives.
const (
	Sound        Fault = iota // nothing goes wrong
	AnswerNo                  // tagged NO [SERVERBUG], nothing done
	AnswerBad                 // tagged BAD, nothing done
	VanishBefore              // vanishes, nothing done
	VanishAfter               // does it, then vanishes without a byte of answer
	VanishUntold              // does it, sends the untagged responses, then vanishes before the tagged one
	VanishMiddle              // does it, sends the first half of the bytes of the answer, then vanishes
	StallBefore               // reads on but never answers again, nothing done
	StallAfter                // does it, reads on but never answers again
)

// A Backend is a small IMAP4rev1 server over a [Store], for tests of what a proxy does under faults. It
// knows what RFC 3501 demands of a selected mailbox, UIDPLUS (RFC 4315), MOVE (RFC 6851), UNSELECT,
// IDLE, ENABLE, LITERAL+, SASL-IR and GroupWise's XGWMOVE; FETCH items are UID, FLAGS, RFC822.SIZE, INTERNALDATE and BODY[];
// STATUS, SEARCH and LIST the plain forms. Set the fields before the first connection.
type Backend struct {
	Store *Store
	// Caps is the capability list; "" means IMAP4rev1 LITERAL+ SASL-IR UIDPLUS MOVE UNSELECT IDLE
	// ENABLE. What is not in it is not understood either. AUTH=PLAIN and STARTTLS are added before login.
	Caps string
	// User and Password are what a login must give; any login is right where User is empty.
	User, Password string
	// TLS offers STARTTLS.
	TLS *tls.Config
	// Fault decides for the nth command of a name ("UID STORE"), counted from 1 over all connections.
	// nil: all are sound.
	Fault func(command string, n int) Fault

	mu     sync.Mutex
	counts map[string]int
	heard  []string
}

const defaultCaps = "IMAP4rev1 LITERAL+ SASL-IR UIDPLUS MOVE UNSELECT IDLE ENABLE"

// FaultAt returns a Fault function: fault at the nth command of that name, from 1; all others are sound.
func FaultAt(command string, n int, fault Fault) func(string, int) Fault {
	return func(c string, i int) Fault {
		if c == command && i == n {
			return fault
		}
		return Sound
	}
}

// Commands returns the commands that were received on all connections, in order, without their tags;
// the arguments of LOGIN and AUTHENTICATE are left out, literals stand as they came.
func (b *Backend) Commands() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.heard)
}

// Start serves every connection of l. When the test ends it closes l and all connections and waits for
// them.
func (b *Backend) Start(t testing.TB, l net.Listener) {
	t.Helper()
	conns := &connSet{open: map[net.Conn]struct{}{}}
	var work sync.WaitGroup
	work.Go(func() { b.accept(l, conns, &work) })
	t.Cleanup(func() {
		l.Close()
		conns.closeAll()
		work.Wait()
	})
}

func (b *Backend) accept(l net.Listener, conns *connSet, work *sync.WaitGroup) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		if !conns.add(c) {
			c.Close()
			return
		}
		work.Go(func() {
			defer conns.remove(c)
			b.Serve(c)
		})
	}
}

// A connSet closes connections at the end of a test.
type connSet struct {
	mu   sync.Mutex
	open map[net.Conn]struct{}
	over bool
}

func (s *connSet) add(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over {
		s.open[c] = struct{}{}
	}
	return !s.over
}

func (s *connSet) remove(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
}

func (s *connSet) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	for c := range s.open {
		c.Close()
	}
}

// Serve carries one connection to its end and closes it. The error is nil after LOGOUT, the end of the
// stream, and faults.
func (b *Backend) Serve(c net.Conn) error {
	s := &session{backend: b, store: b.Store, raw: c, conn: c, in: bufio.NewReader(c)}
	defer func() { s.conn.Close() }()
	s.printf("* OK [CAPABILITY %s] ready", s.capabilities())
	err := s.flush()
	for err == nil {
		err = s.command()
	}
	if errors.Is(err, errOver) || errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// errOver ends a session in order.
var errOver = errors.New("the session is over")

// count notes a command and returns what goes wrong with it.
func (b *Backend) count(c *command) Fault {
	b.mu.Lock()
	if b.counts == nil {
		b.counts = map[string]int{}
	}
	b.counts[c.name]++
	n := b.counts[c.name]
	b.heard = append(b.heard, c.shown())
	b.mu.Unlock()
	if b.Fault == nil {
		return Sound
	}
	return b.Fault(c.name, n)
}

// A session is one connection to a Backend.
type session struct {
	backend *Backend
	store   *Store
	raw     net.Conn // the connection itself
	conn    net.Conn // raw, or TLS above it
	in      *bufio.Reader
	out     bytes.Buffer // the answer so far

	loggedIn bool
	selected *box
	name     string // of the selected mailbox
	readOnly bool
	view     []seen // what the client has been told
	told     uint32 // messages with this UID or a higher one have not been told
	over     error  // why the session ends behind the answer to this command
}

// seen is one message as the client knows it; its place is its sequence number.
type seen struct {
	uid   uint32
	flags string
}

func (s *session) printf(format string, args ...any) {
	fmt.Fprintf(&s.out, format+"\r\n", args...)
}

func (s *session) flush() error {
	_, err := s.conn.Write(s.out.Bytes())
	s.out.Reset()
	return err
}

func (s *session) has(capability string) bool {
	return slices.Contains(strings.Fields(s.caps()), capability)
}

func (s *session) caps() string {
	if s.backend.Caps == "" {
		return defaultCaps
	}
	return s.backend.Caps
}

// capabilities is what is announced in the state that the session is in.
func (s *session) capabilities() string {
	caps := s.caps()
	if !s.loggedIn {
		caps += " AUTH=PLAIN"
	}
	if !s.loggedIn && s.startsTLS() {
		caps += " STARTTLS"
	}
	return caps
}

func (s *session) startsTLS() bool { return s.backend.TLS != nil && s.conn == s.raw }

// command reads one command and answers it.
func (s *session) command() error {
	c, err := s.readCommand()
	if err != nil {
		return err
	}
	fault := s.backend.count(c)
	switch fault {
	case AnswerNo:
		s.printf("%s NO [SERVERBUG] refused", c.tag)
		return s.flush()
	case AnswerBad:
		s.printf("%s BAD not understood", c.tag)
		return s.flush()
	case VanishBefore:
		return s.vanish()
	case StallBefore:
		return s.stall()
	}
	status := s.run(c)
	untagged := s.out.Len()
	s.printf("%s %s", c.tag, status)
	return s.answer(fault, untagged)
}

// answer sends what stands in out, or as much of it as the fault leaves.
func (s *session) answer(fault Fault, untagged int) error {
	switch fault {
	case StallAfter:
		return s.stall()
	case VanishAfter:
		return s.vanish()
	case VanishUntold:
		s.out.Truncate(untagged)
	case VanishMiddle:
		s.out.Truncate(s.out.Len() / 2)
	}
	if err := s.flush(); err != nil {
		return err
	}
	if fault != Sound {
		return s.vanish()
	}
	if s.over == errStartTLS {
		return s.startTLS()
	}
	return s.over
}

func (s *session) vanish() error {
	abort(s.raw)
	return errOver
}

// stall ends with the connection.
func (s *session) stall() error {
	io.Copy(io.Discard, s.in)
	return errOver
}

var errStartTLS = errors.New("TLS begins behind this answer")

func (s *session) startTLS() error {
	if s.in.Buffered() > 0 {
		return errors.New("something stands behind STARTTLS")
	}
	c := tls.Server(s.raw, s.backend.TLS)
	c.SetDeadline(time.Now().Add(scriptTimeout))
	if err := c.Handshake(); err != nil {
		return err
	}
	c.SetDeadline(time.Time{})
	s.conn, s.in, s.over = c, bufio.NewReader(c), nil
	return nil
}

// wake interrupts an IDLE of this session; the store calls it when something has changed.
func (s *session) wake() { s.conn.SetReadDeadline(time.Unix(1, 0)) }
