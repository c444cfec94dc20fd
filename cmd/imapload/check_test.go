package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
)

// A mute is a server of which only what it says is known.
type mute struct{ net.Conn }

func (mute) Write(b []byte) (int, error) { return len(b), nil }

// hearing returns a client to whom all this is said.
func hearing(said []byte) *client {
	return &client{nc: mute{}, in: bufio.NewReaderSize(bytes.NewReader(said), smallBuffer)}
}

// fewMessages are mailboxes that are made fast.
var (
	fewTexts = &mailbox{name: "texts", messages: 3, size: 9000}
	fewLines = &mailbox{name: "lines", messages: 3}
)

// TestFetchChecks changes what arrives in every way that a proxy could, and wants it noticed.
func TestFetchChecks(t *testing.T) {
	for _, tt := range []struct {
		name   string
		m      *mailbox
		change func([]byte) []byte
		want   error
	}{
		{"texts", fewTexts, nil, nil},
		{"lines", fewLines, nil, nil},
		{"an octet of a text", fewTexts, func(b []byte) []byte { b[12_000] ^= 1; return b }, errWrong},
		{"the last octet of a text", fewTexts, func(b []byte) []byte { b[len(b)-4] ^= 1; return b }, errWrong},
		{"an octet of a line", fewLines, func(b []byte) []byte { b[300] ^= 1; return b }, errWrong},
		{"the number of a message", fewTexts, replace("* 2 FETCH", "* 3 FETCH"), errWrong},
		{"its UID", fewTexts, replace("(UID 2", "(UID 3"), errWrong},
		{"its length", fewTexts, replace("{9000}", "{8999}"), errWrong},
		{"what follows a text", fewTexts, func(b []byte) []byte { return append(b[:len(b)-2], ")\r\n"...) }, errWrong},
		{"a text that is missing", fewTexts, func(b []byte) []byte { return b[len(b)/3:] }, errWrong},
		{"a line that is missing", fewLines, func(b []byte) []byte { return b[bytes.IndexByte(b, '\n')+1:] }, errWrong},
		{"the last line missing", fewLines, func(b []byte) []byte { return b[:bytes.LastIndex(b, []byte("* "))] }, errWrong},
		{"a line that comes twice", fewLines, func(b []byte) []byte { return append(b, b[bytes.LastIndex(b, []byte("* ")):]...) }, errWrong},
		{"a line between", fewLines, replace("* 2 FETCH", "* 4 EXISTS\r\n* 2 FETCH"), errWrong},
		{"an end in the middle", fewTexts, func(b []byte) []byte { return b[:len(b)/2] }, io.EOF},
	} {
		t.Run(tt.name, func(t *testing.T) {
			said := bytes.Clone(tt.m.makeAnswer().octets)
			if tt.change != nil {
				said = tt.change(said)
			}
			if !errors.Is(tt.want, io.EOF) {
				said = append(said, "f1 OK done\r\n"...)
			}
			f := fetch{c: hearing(said), m: tt.m, arrived: func(int) {}, stopped: func() bool { return false }}
			if err := f.run(); !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
		})
	}
}

func replace(old, with string) func([]byte) []byte {
	return func(b []byte) []byte { return bytes.Replace(b, []byte(old), []byte(with), 1) }
}

func TestFetchAnswers(t *testing.T) {
	for _, tt := range []struct {
		said string
		want error
	}{
		{"f1 NO not now\r\n", errAnswer},
		{"f1 OK done\r\n", errWrong},
		{"* BYE\r\n", errWrong},
		{"", errClosed},
	} {
		f := fetch{c: hearing([]byte(tt.said)), m: fewTexts, arrived: func(int) {}, stopped: func() bool { return false }}
		if err := f.run(); !errors.Is(err, tt.want) {
			t.Errorf("%q: %v, want %v", tt.said, err, tt.want)
		}
	}
}

func TestFetchStops(t *testing.T) {
	f := fetch{c: hearing(fewTexts.makeAnswer().octets), m: fewTexts, arrived: func(int) {}}
	f.stopped = func() bool { return f.seen == 2 }
	if err := f.run(); !errors.Is(err, errStopped) || f.seen != 2 {
		t.Errorf("%v behind %d messages", err, f.seen)
	}
}

func TestUploadChecks(t *testing.T) {
	m := newMessage(1000)
	for _, tt := range []struct {
		said string
		want error
	}{
		{fmt.Sprintf("+ go on\r\n* 5 EXISTS\r\na1 OK [APPENDUID 1 1] checksum=%08x\r\n", m.sum), nil},
		{fmt.Sprintf("* 5 EXISTS\r\n+ go on\r\na1 OK checksum=%08x\r\n", m.sum), nil},
		{fmt.Sprintf("+ go on\r\na1 OK checksum=%08x\r\n", m.sum+1), errWrong},
		{"+ go on\r\na1 OK\r\n", errWrong},
		{"+ go on\r\na1 NO full\r\n", errAnswer},
		{"a1 NO full\r\n", errAnswer},
		{"+ go on\r\n", errClosed},
	} {
		if err := hearing([]byte(tt.said)).upload(m); !errors.Is(err, tt.want) {
			t.Errorf("%q: %v, want %v", tt.said, err, tt.want)
		}
	}
}

func TestWaitChecks(t *testing.T) {
	for _, tt := range []struct {
		said string
		want error
	}{
		{"* 1 EXISTS\r\nn1 OK\r\n", nil},
		{"n1 NO\r\n", errAnswer},
		{"n1 BAD\r\n", errAnswer},
		{"n12 OK\r\n", errAnswer},
		{"n2 OK\r\n", errAnswer},
		{"\r\n", errAnswer},
		{"+ go on\r\n", errAnswer},
		{"n1 OK", errClosed},
	} {
		if err := hearing([]byte(tt.said)).wait("n1"); !errors.Is(err, tt.want) {
			t.Errorf("%q: %v, want %v", tt.said, err, tt.want)
		}
	}
}
