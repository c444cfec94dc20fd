//go:build !race

package proxy

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"testing"
)

// TestRelayDoesNotAllocate pins that no message which passes through a session costs memory: not one
// allocation in a whole round of the conversations below, on average over many. The client and the
// backend around it allocate nothing, and the client's side has no TLS, because crypto/tls allocates by
// itself. (The race detector makes pools drop what they are given.)
func TestRelayDoesNotAllocate(t *testing.T) {
	awakeOnly(t)
	for _, c := range conversations() {
		t.Run(c.name, func(t *testing.T) {
			nc := road(t, []byte(c.data), "imapgate", NoTLS)
			for _, one := range c.talks {
				one.check(t, nc)
			}
			hear := make([]byte, 64<<10)
			round := func() {
				if err := c.round(nc, hear); err != nil {
					t.Fatal(err)
				}
			}
			for range 300 { // buffers, entries and the buckets of histograms are made
				round()
			}
			if n := testing.AllocsPerRun(c.rounds, round); n != 0 {
				t.Errorf("%v allocations a round", n)
			}
		})
	}
}

// A conversation is what is said in one round, in turns.
type conversation struct {
	name   string
	data   string // what the backend sends before its tagged answers
	talks  []talk
	rounds int
}

func (c conversation) round(nc net.Conn, hear []byte) error {
	for i := range c.talks {
		if err := hearAll(c.talks[i].ask(nc), hear, len(c.talks[i].answer)); err != nil {
			return err
		}
	}
	return nil
}

// simple is one command and its answer.
func simple(command, data string) conversation {
	name, _, _ := strings.Cut(command, "\r\n")
	return conversation{
		name: name, data: data, rounds: 1000,
		talks: []talk{{request: []byte("a " + command + "\r\n"), answer: []byte(data + answerOK)}},
	}
}

func conversations() []conversation {
	flags := `* 3 FETCH (UID 7 FLAGS (\Seen))` + "\r\n"
	long := simple("FETCH 1 BODY[]", string(fetches(1, 1<<20)))
	long.name, long.rounds = "literal of 1 MB", 20
	dense := simple("FETCH 1:* ALL", string(denseLines(300)))
	dense.rounds = 50
	return []conversation{
		simple("NOOP", ""),
		simple("CHECK", "* 12 EXISTS\r\n* 1 RECENT\r\n* 3 EXPUNGE\r\n* OK still here\r\n* OK [UNSEEN 3] first\r\n"),
		simple("FETCH 1:* (UID FLAGS BODY.PEEK[HEADER.FIELDS (TO \"CC\")])", string(fetches(20, 500))),
		simple("UID FETCH 1:* (FLAGS)", strings.Repeat(flags, 50)),
		simple(`STORE 3 +FLAGS (\Seen)`, flags),
		simple(`UID STORE 7 +FLAGS.SILENT (\Seen)`, ""),
		simple("UID SEARCH UNSEEN", "* SEARCH 1 2 3\r\n"),
		simple(`LIST "" "*"`, `* LIST (\HasNoChildren) "/" "Sent Items"`+"\r\n"),
		simple(`STATUS "Sent Items" (MESSAGES)`, `* STATUS "Sent Items" (MESSAGES 3)`+"\r\n"),
		simple("APPEND x {310+}\r\n"+string(mail(310)), ""),
		simple(`APPEND "Sent Items" (\Seen) ~{1048576+}`+"\r\n"+string(mail(1<<20)), ""),
		dense, long, pipelined(), waiting(), idling(),
	}
}

func pipelined() conversation {
	c := conversation{name: "50 at once", rounds: 100}
	c.talks = []talk{{request: bytes.Repeat([]byte("a NOOP\r\n"), 50), answer: bytes.Repeat([]byte(answerOK), 50)}}
	return c
}

// waiting is an APPEND whose literal waits for the backend's "+".
func waiting() conversation {
	c := conversation{name: "APPEND that waits", rounds: 1000}
	c.talks = []talk{
		{request: fmt.Appendf(nil, "a APPEND x {%d}\r\n", 310), answer: []byte("+ go on\r\n")},
		{request: append(mail(310), "\r\n"...), answer: []byte(answerOK)},
	}
	return c
}

func idling() conversation {
	data := "* 13 EXISTS\r\n* 3 EXPUNGE\r\n"
	return conversation{name: "IDLE", data: data, rounds: 1000, talks: []talk{
		{request: []byte("a IDLE\r\n"), answer: []byte("+ idling\r\n" + data)},
		{request: []byte("DONE\r\n"), answer: []byte(answerOK)},
	}}
}
