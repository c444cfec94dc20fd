package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"hash/crc32"
	"math"
	"net"
	"strconv"
	"strings"
)

const (
	lineLimit    = 4 << 10  // octets of a command line
	literalLimit = 64 << 10 // octets of a literal that is no message
)

// capabilities are those of a server of today that has no extensions to its answers, so that every
// proxy finds what it asks for.
const capabilities = "IMAP4rev1 LITERAL+ SASL-IR AUTH=PLAIN ID ENABLE IDLE NAMESPACE UIDPLUS MOVE UNSELECT CHILDREN"

// newsCommand makes the backend tell all sessions in IDLE how many messages there are now: the number behind
// it, or one more than there are. It is no IMAP: the load generator sends it on a connection of its own, past
// the proxy.
const newsCommand = "XNEWS"

// A session is one connection to the backend.
type session struct {
	b       *backend
	nc      net.Conn
	in      *bufio.Reader
	out     []byte // not sent yet
	mailbox *mailbox
}

func (s *session) run() {
	defer s.b.endIdle(s)
	s.sayf("* OK [CAPABILITY %s] ready", capabilities)
	for {
		line, err := s.line()
		if err != nil {
			return
		}
		if !s.command(line) {
			s.flush()
			if t, ok := s.nc.(*tls.Conn); ok {
				t.CloseWrite()
			}
			return
		}
	}
}

// line returns the next line without its end, valid until the next call. Before it waits, it sends what
// is to be sent, so that the answers to pipelined commands leave together.
func (s *session) line() ([]byte, error) {
	buffered, _ := s.in.Peek(s.in.Buffered())
	if bytes.IndexByte(buffered, '\n') < 0 {
		if err := s.flush(); err != nil {
			return nil, err
		}
	}
	line, err := s.in.ReadSlice('\n')
	return bytes.TrimRight(line, "\r\n"), err
}

func (s *session) flush() error {
	if len(s.out) == 0 {
		return nil
	}
	_, err := s.nc.Write(s.out)
	s.out = s.out[:0]
	return err
}

func (s *session) sayf(format string, args ...any) {
	s.out = fmt.Appendf(s.out, format+"\r\n", args...)
}

// command answers one command and reports whether the session goes on.
func (s *session) command(line []byte) bool {
	tag, rest, ok := bytes.Cut(line, []byte(" "))
	if !ok {
		s.sayf("* BAD no tag")
		return true
	}
	if bytes.EqualFold(rest, []byte("NOOP")) { // measured by the million
		s.out = append(append(s.out, tag...), " OK done\r\n"...)
		return true
	}
	name := string(tag)
	if verb, _, _ := bytes.Cut(rest, []byte(" ")); bytes.EqualFold(verb, []byte("APPEND")) {
		return s.takeMessage(name, rest) == nil
	}
	words, err := s.words(string(rest))
	if err != nil {
		return false
	}
	return s.perform(name, words)
}

// perform answers a command whose words are all there.
func (s *session) perform(tag string, words []string) bool {
	verb := strings.ToUpper(words[0])
	if verb == "UID" && len(words) > 1 {
		words = words[1:]
		verb = strings.ToUpper(words[0])
	}
	switch verb {
	case "CAPABILITY":
		s.sayf("* CAPABILITY %s", capabilities)
	case "LOGIN":
		s.sayf("%s OK [CAPABILITY %s] logged in", tag, capabilities)
		return true
	case "AUTHENTICATE":
		return s.authenticate(tag, words) == nil
	case "ID":
		s.sayf(`* ID ("name" "imapload")`)
	case "NAMESPACE":
		s.sayf(`* NAMESPACE (("" "/")) NIL NIL`)
	case "LIST":
		s.sayf(`* LIST () "/" INBOX`)
	case "ENABLE", "UNSELECT", "CLOSE", "CHECK":
	case "SELECT", "EXAMINE":
		s.open(words)
		s.sayf("%s OK [READ-WRITE] selected", tag)
		return true
	case "FETCH":
		return s.fetch(tag, words)
	case "IDLE":
		return s.idle(tag) == nil
	case newsCommand:
		s.sayf("%s OK %d told", tag, s.b.tellAll(news(words)))
		return true
	case "LOGOUT":
		s.sayf("* BYE")
		s.sayf("%s OK done", tag)
		return false
	default:
		s.sayf("%s BAD unknown", tag)
		return true
	}
	s.sayf("%s OK done", tag)
	return true
}

// news is what sessions in IDLE are told.
func news(words []string) string {
	n := inbox.messages + 1
	if len(words) > 1 {
		n = number(words[1], math.MaxInt32)
	}
	return fmt.Sprintf("* %d EXISTS\r\n", n)
}

func (s *session) authenticate(tag string, words []string) error {
	var response string
	if len(words) > 2 {
		response = words[2]
	} else {
		s.sayf("+ ")
		line, err := s.line()
		if err != nil {
			return err
		}
		response = string(line)
	}
	plain, err := base64.StdEncoding.DecodeString(response)
	if err != nil || bytes.Count(plain, []byte{0}) != 2 {
		s.sayf("%s NO not PLAIN", tag)
		return nil
	}
	s.sayf("%s OK [CAPABILITY %s] logged in", tag, capabilities)
	return nil
}

func (s *session) open(words []string) {
	s.mailbox = inbox
	if len(words) > 1 {
		s.mailbox = mailboxNamed(words[1])
	}
	s.mailbox.answer()
	s.sayf(`* FLAGS (\Answered \Flagged \Deleted \Seen \Draft)`)
	s.sayf("* %d EXISTS", s.mailbox.messages)
	s.sayf("* 0 RECENT")
	s.sayf("* OK [UIDVALIDITY 1]")
	s.sayf("* OK [UIDNEXT %d]", s.mailbox.messages+1)
}

// fetch sends the answer of the mailbox whatever the items are: the load generator asks each mailbox
// for what it has.
func (s *session) fetch(tag string, words []string) bool {
	if len(words) < 3 {
		s.sayf("%s BAD what?", tag)
		return true
	}
	first, last := numbers(words[1], s.mailbox.messages)
	if s.flush() != nil {
		return false
	}
	if _, err := s.nc.Write(s.mailbox.answer().from(first, last)); err != nil {
		return false
	}
	s.sayf("%s OK done", tag)
	return true
}

// numbers reads n, n:m or n:*, and puts them within the mailbox.
func numbers(set string, messages int) (first, last int) {
	from, to, isRange := strings.Cut(set, ":")
	first = number(from, messages)
	if !isRange {
		return first, first
	}
	last = number(to, messages)
	return min(first, last), max(first, last)
}

func number(s string, messages int) int {
	if s == "*" {
		return messages
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return 1
	}
	return min(max(n, 1), messages)
}

func (s *session) idle(tag string) error {
	if err := s.b.beginIdle(s); err != nil {
		return err
	}
	line, err := s.line()
	s.b.endIdle(s)
	if err != nil {
		return err
	}
	if !bytes.EqualFold(line, []byte("DONE")) {
		s.sayf("%s BAD not DONE", tag)
		return nil
	}
	s.sayf("%s OK done", tag)
	return nil
}

// takeMessage reads the message of APPEND, drops it, and answers with its checksum.
func (s *session) takeMessage(tag string, line []byte) error {
	n, waits, ok := literalAtEnd(line)
	if !ok {
		s.sayf("%s BAD no message", tag)
		return nil
	}
	if waits {
		s.sayf("+ go on")
	}
	if err := s.flush(); err != nil {
		return err
	}
	var sum uint32
	if err := takeLiteral(s.in, n, func(b []byte) { sum = crc32.Update(sum, castagnoli, b) }); err != nil {
		return err
	}
	if _, err := s.line(); err != nil {
		return err
	}
	s.sayf("%s OK [APPENDUID 1 1] %s%08x", tag, checksumMark, sum)
	return nil
}
