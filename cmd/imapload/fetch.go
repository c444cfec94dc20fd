package main

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
)

// errStopped says that an answer was left in the middle because the time is over.
var errStopped = errors.New("the time is over")

// errWrong says that data did not arrive as they were sent.
var errWrong = errors.New("wrong data")

// A fetch is one FETCH of a mailbox or of a part of it, of which every octet is checked.
type fetch struct {
	c       *client
	m       *mailbox
	first   int              // message to ask for; 0 for all
	last    int              // of them
	arrived func(octets int) // of data that count
	stopped func() bool      // asked between messages
	seen    int              // the number of the message that came last
}

// command asks for the messages.
func (f *fetch) command() string {
	set := "1:*"
	if f.first > 0 {
		set = fmt.Sprintf("%d:%d", f.first, f.last)
	}
	if f.m.size == 0 {
		return "f1 FETCH " + set + " (FLAGS UID ENVELOPE)\r\n"
	}
	return "f1 UID FETCH " + set + " BODY.PEEK[]\r\n"
}

// run asks for the messages and checks what comes.
func (f *fetch) run() error {
	if err := f.c.send(f.command()); err != nil {
		return err
	}
	return f.take()
}

// take checks what comes, up to the tagged answer.
func (f *fetch) take() error {
	if f.first == 0 {
		f.first, f.last = 1, f.m.messages
	}
	for f.seen = f.first - 1; ; {
		line, err := f.c.line()
		if err != nil {
			return err
		}
		if bytes.HasPrefix(line, []byte("f1 ")) {
			return f.end(line)
		}
		if err := f.response(line); err != nil {
			return err
		}
		if f.stopped() {
			return errStopped
		}
	}
}

func (f *fetch) end(line []byte) error {
	if !bytes.HasPrefix(line, []byte("f1 OK")) {
		return fmt.Errorf("%w: %.100q", errAnswer, line)
	}
	if f.seen != f.last {
		return fmt.Errorf("%w: up to message %d of %d", errWrong, f.seen, f.last)
	}
	return nil
}

// response checks one response, which must be that of the next message.
func (f *fetch) response(line []byte) error {
	if f.seen == f.last {
		return fmt.Errorf("%w: more behind message %d", errWrong, f.seen)
	}
	want := f.m.checksums()[f.seen]
	f.seen++
	if f.m.size == 0 {
		f.arrived(len(line) + 2)
		if crc32.Update(checksum(line), castagnoli, []byte("\r\n")) != want {
			return fmt.Errorf("%w: message %d: %.100q", errWrong, f.seen, line)
		}
		return nil
	}
	if err := f.head(line); err != nil {
		return err
	}
	var sum uint32
	err := takeLiteral(f.c.in, f.m.size, func(b []byte) {
		sum = crc32.Update(sum, castagnoli, b)
		f.arrived(len(b))
	})
	if err != nil {
		return err
	}
	tail, err := f.c.line()
	if err != nil {
		return err
	}
	if sum != want || string(tail) != ")" {
		return fmt.Errorf("%w: message %d has another text", errWrong, f.seen)
	}
	return nil
}

// head checks the line that announces a text: whose it is, and how long.
func (f *fetch) head(line []byte) error {
	want := make([]byte, 0, 80)
	want = append(want, "* "...)
	want = strconv.AppendInt(want, int64(f.seen), 10)
	want = append(want, " FETCH (UID "...)
	want = strconv.AppendInt(want, int64(f.seen), 10)
	want = append(want, " BODY[] {"...)
	want = strconv.AppendInt(want, int64(f.m.size), 10)
	want = append(want, '}')
	if !bytes.Equal(line, want) {
		return fmt.Errorf("%w: %.100q in place of %q", errWrong, line, want)
	}
	return nil
}

// A message is one to append: its text, a line end behind it, and the text's checksum.
type message struct {
	octets []byte
	size   int
	sum    uint32
}

func newMessage(size int) message {
	octets := append(bytes.Clone(text()[:size]), "\r\n"...)
	return message{octets: octets, size: size, sum: checksum(octets[:size])}
}

// upload appends one message, and compares what the backend has got.
func (c *client) upload(m message) error {
	if err := c.send(fmt.Sprintf("a1 APPEND INBOX {%d}\r\n", m.size)); err != nil {
		return err
	}
	if err := c.proceed(); err != nil {
		return err
	}
	if _, err := c.nc.Write(m.octets); err != nil {
		return err
	}
	return c.uploaded(m)
}

// uploaded takes the answer to an APPEND.
func (c *client) uploaded(m message) error {
	line, err := c.answer("a1")
	if err != nil {
		return err
	}
	if !bytes.HasSuffix(line, fmt.Appendf(nil, " %s%08x", checksumMark, m.sum)) {
		return fmt.Errorf("%w: the backend has another message than was appended: %.100q", errWrong, line)
	}
	return nil
}
