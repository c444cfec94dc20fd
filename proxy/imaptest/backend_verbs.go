package imaptest

import (
	"encoding/base64"
	"errors"
	"os"
	"strings"
	"time"
)

// A state is what a command needs of the session.
type state uint8

const (
	always state = iota
	beforeLogin
	afterLogin
	inMailbox
)

type verb struct {
	state      state
	capability string // without which the command is unknown
	run        func(*session, *command) string
	alone      bool // it reads or writes itself, and locks the store where it needs it
	quiet      bool // RFC 3501 section 7.4.1: no EXPUNGE during FETCH, STORE and SEARCH
}

var verbs = map[string]verb{
	"CAPABILITY":   {run: (*session).capability},
	"NOOP":         {run: done},
	"LOGOUT":       {run: (*session).logout},
	"ID":           {capability: "ID", run: (*session).id},
	"STARTTLS":     {state: beforeLogin, run: (*session).starttls},
	"LOGIN":        {state: beforeLogin, run: (*session).login},
	"AUTHENTICATE": {state: beforeLogin, run: (*session).authenticate, alone: true},
	"ENABLE":       {state: afterLogin, capability: "ENABLE", run: (*session).enable},
	"SELECT":       {state: afterLogin, run: (*session).doSelect},
	"EXAMINE":      {state: afterLogin, run: (*session).doSelect},
	"CREATE":       {state: afterLogin, run: (*session).create},
	"DELETE":       {state: afterLogin, run: (*session).delete},
	"SUBSCRIBE":    {state: afterLogin, run: done},
	"UNSUBSCRIBE":  {state: afterLogin, run: done},
	"LIST":         {state: afterLogin, run: (*session).list},
	"LSUB":         {state: afterLogin, run: (*session).list},
	"NAMESPACE":    {state: afterLogin, capability: "NAMESPACE", run: (*session).namespace},
	"STATUS":       {state: afterLogin, run: (*session).status},
	"APPEND":       {state: afterLogin, run: (*session).append},
	"IDLE":         {state: afterLogin, capability: "IDLE", run: (*session).idle, alone: true},
	"CHECK":        {state: inMailbox, run: done},
	"CLOSE":        {state: inMailbox, run: (*session).closeMailbox},
	"UNSELECT":     {state: inMailbox, capability: "UNSELECT", run: (*session).unselect},
	"EXPUNGE":      {state: inMailbox, run: (*session).expunge},
	"UID EXPUNGE":  {state: inMailbox, capability: "UIDPLUS", run: (*session).expunge},
	"FETCH":        {state: inMailbox, run: (*session).fetch, quiet: true},
	"UID FETCH":    {state: inMailbox, run: (*session).fetch},
	"STORE":        {state: inMailbox, run: (*session).storeFlags, quiet: true},
	"UID STORE":    {state: inMailbox, run: (*session).storeFlags},
	"SEARCH":       {state: inMailbox, run: (*session).search, quiet: true},
	"UID SEARCH":   {state: inMailbox, run: (*session).search},
	"COPY":         {state: inMailbox, run: (*session).copy},
	"UID COPY":     {state: inMailbox, run: (*session).copy},
	"MOVE":         {state: inMailbox, capability: "MOVE", run: (*session).move},
	"UID MOVE":     {state: inMailbox, capability: "MOVE", run: (*session).move},

	"XGWEXTENSIONS": {state: afterLogin, capability: "XGWEXTENSIONS", run: (*session).xgwExtensions},
	"UID XGWMOVE":   {state: inMailbox, capability: "XGWEXTENSIONS", run: (*session).move, quiet: true},
}

// run does a command and returns its tagged status; untagged responses stand in out.
func (s *session) run(c *command) string {
	v, known := verbs[c.name]
	switch {
	case !known || v.capability != "" && !s.has(v.capability):
		return "BAD unknown command"
	case v.state == beforeLogin && s.loggedIn:
		return "BAD already logged in"
	case v.state >= afterLogin && !s.loggedIn:
		return "BAD log in first"
	case v.state == inMailbox && s.selected == nil:
		return "BAD select a mailbox first"
	case v.alone:
		return v.run(s, c)
	}
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	defer s.store.notify()
	status := v.run(s, c)
	if v.quiet {
		s.tellNew()
	} else {
		s.tell()
	}
	return status
}

func done(_ *session, c *command) string { return "OK " + c.name + " completed" }

func (s *session) capability(c *command) string {
	s.printf("* CAPABILITY %s", s.capabilities())
	return done(s, c)
}

func (s *session) logout(c *command) string {
	s.printf("* BYE see you")
	s.over = errOver
	return done(s, c)
}

func (s *session) id(c *command) string {
	s.printf("* ID NIL")
	return done(s, c)
}

func (s *session) starttls(c *command) string {
	if !s.startsTLS() {
		return "BAD no TLS here"
	}
	s.over = errStartTLS
	return done(s, c)
}

func (s *session) login(c *command) string {
	if len(c.args) != 2 {
		return "BAD LOGIN takes a user and a password"
	}
	return s.admit(c.str(0), c.str(1))
}

func (s *session) admit(user, password string) string {
	b := s.backend
	if b.User != "" && (user != b.User || password != b.Password) {
		return "NO [AUTHENTICATIONFAILED] wrong user or password"
	}
	s.loggedIn = true
	return "OK [CAPABILITY " + s.capabilities() + "] logged in"
}

// authenticate knows PLAIN (RFC 4616), with and without initial response (RFC 4959).
func (s *session) authenticate(c *command) string {
	if !strings.EqualFold(c.str(0), "PLAIN") {
		return "NO no such mechanism"
	}
	response := c.str(1)
	if len(c.args) == 1 {
		line, err := s.ask("+ ")
		if err != nil {
			s.over = err
		}
		response = line
	} else if !s.has("SASL-IR") {
		return "BAD no initial response here"
	}
	if response == "*" {
		return "BAD cancelled"
	}
	data, err := base64.StdEncoding.DecodeString(response)
	parts := strings.Split(string(data), "\x00")
	if err != nil || len(parts) != 3 {
		return "BAD not a PLAIN response"
	}
	return s.admit(parts[1], parts[2])
}

func (s *session) ask(prompt string) (string, error) {
	s.printf("%s", prompt)
	if err := s.flush(); err != nil {
		return "", err
	}
	line, err := s.in.ReadString('\n')
	return strings.TrimRight(line, "\r\n"), err
}

func (s *session) xgwExtensions(c *command) string {
	s.printf("* XGWEXTENSIONS XGWMOVE")
	return done(s, c)
}

func (s *session) enable(c *command) string {
	enabled := "* ENABLED"
	for _, a := range c.args {
		if name := strings.ToUpper(a.text); s.has(name) {
			enabled += " " + name
		}
	}
	s.printf("%s", enabled)
	return done(s, c)
}

// idle tells what changes until the client says DONE (RFC 2177).
func (s *session) idle(c *command) string {
	s.watch()
	defer s.unwatch()
	s.printf("+ idling")
	var line string
	for {
		if err := s.tellNow(); err != nil {
			s.over = err
			return ""
		}
		piece, err := s.in.ReadString('\n')
		line += piece
		switch {
		case err == nil && strings.EqualFold(strings.TrimRight(line, "\r\n"), "DONE"):
			return done(s, c)
		case err == nil:
			return "BAD only DONE ends IDLE"
		case !errors.Is(err, os.ErrDeadlineExceeded):
			s.over = errOver // the connection has ended
			return ""
		}
	}
}

func (s *session) watch() {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	s.store.watchers[s] = struct{}{}
}

func (s *session) unwatch() {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	delete(s.store.watchers, s)
	s.conn.SetReadDeadline(time.Time{})
}

// tellNow sends what has changed. The deadline goes first: a change from here on sets it again.
func (s *session) tellNow() error {
	s.store.mu.Lock()
	s.conn.SetReadDeadline(time.Time{})
	s.tell()
	s.store.mu.Unlock()
	return s.flush()
}
