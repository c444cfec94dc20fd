package main

import (
	"fmt"
	"hash/crc32"
	"strconv"
	"sync"
)

// A mailbox is what the backend shows and what the load generator knows of it. Both make it of the same
// rule, so that every octet that arrives can be checked without asking anybody.
type mailbox struct {
	name     string
	messages int
	size     int // of one message's text; 0 where messages are listed and never read
}

// The mailboxes of the backend. Another name that is selected is the inbox.
var (
	inbox        = &mailbox{name: "INBOX", messages: 100, size: 4 << 10}
	bigMailbox   = &mailbox{name: "big", messages: 20, size: 5 << 20}
	smallMailbox = &mailbox{name: "small", messages: 5000, size: 4 << 10}
	longMailbox  = &mailbox{name: "long", messages: 100_000}
)

func mailboxNamed(name string) *mailbox {
	for _, m := range []*mailbox{bigMailbox, smallMailbox, longMailbox} {
		if m.name == name {
			return m
		}
	}
	return inbox
}

// lap is how far the texts of two messages are apart in the text that all are cut from; a prime.
const lap = 613

// text is what all messages are cut from: lines of 76 characters that do not repeat.
var text = sync.OnceValue(func() []byte {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	t := make([]byte, bigMailbox.size+64<<10)
	x := uint64(0x2545F4914F6CDD1D)
	for i := range t {
		switch i % 78 {
		case 76:
			t[i] = '\r'
		case 77:
			t[i] = '\n'
		default:
			x ^= x << 13
			x ^= x >> 7
			x ^= x << 17
			t[i] = alphabet[x>>58]
		}
	}
	return t
})

// body is the text of one message. Nobody writes to it.
func (m *mailbox) body(uid int) []byte {
	from := uid * lap % (64 << 10)
	return text()[from : from+m.size]
}

// appendResponse appends the FETCH response of one message, whose UID is its number too.
func (m *mailbox) appendResponse(b []byte, uid int) []byte {
	if m.size == 0 {
		return appendEnvelope(b, uid)
	}
	b = append(b, "* "...)
	b = strconv.AppendInt(b, int64(uid), 10)
	b = append(b, " FETCH (UID "...)
	b = strconv.AppendInt(b, int64(uid), 10)
	b = append(b, " BODY[] {"...)
	b = strconv.AppendInt(b, int64(m.size), 10)
	b = append(b, "}\r\n"...)
	b = append(b, m.body(uid)...)
	return append(b, ")\r\n"...)
}

// appendEnvelope is what a client gets that lists a folder: many tokens and no literal.
func appendEnvelope(b []byte, uid int) []byte {
	return fmt.Appendf(b, `* %d FETCH (FLAGS (\Seen \Answered) UID %d ENVELOPE ("Wed, 17 Jul 2024 02:23:25 -0700" `+
		`"Re: minutes of the \"IMAP\" group, no. %d" (("Terry Gray" NIL "gray" "cac.example.edu")) NIL NIL `+
		`(("John Klensin" NIL "klensin" "mit.example.edu")) NIL NIL NIL "<B%d@cac.example.edu>"))`+"\r\n", uid, uid, uid, uid)
}

// An answer is all FETCH responses of a mailbox, one behind the other.
type answer struct {
	octets []byte
	starts []int // of each response, and the end of the last
}

// answers are made when a mailbox is first selected, so that no measured time goes into making them.
var answers sync.Map // of *mailbox to func() answer

func (m *mailbox) answer() answer {
	made, _ := answers.LoadOrStore(m, sync.OnceValue(m.makeAnswer))
	return made.(func() answer)()
}

func (m *mailbox) makeAnswer() answer {
	a := answer{
		octets: make([]byte, 0, m.messages*(m.size+320)),
		starts: make([]int, 0, m.messages+1),
	}
	for uid := 1; uid <= m.messages; uid++ {
		a.starts = append(a.starts, len(a.octets))
		a.octets = m.appendResponse(a.octets, uid)
	}
	a.starts = append(a.starts, len(a.octets))
	return a
}

// from returns the responses of messages from one to another.
func (a answer) from(first, last int) []byte {
	return a.octets[a.starts[first-1]:a.starts[last]]
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// checksums are those of the mailbox's texts, or of its lines where it has no texts, by UID less one.
func (m *mailbox) checksums() []uint32 {
	made, _ := sums.LoadOrStore(m, sync.OnceValue(m.makeChecksums))
	return made.(func() []uint32)()
}

var sums sync.Map // of *mailbox to func() []uint32

func (m *mailbox) makeChecksums() []uint32 {
	all := make([]uint32, m.messages)
	var line []byte
	for i := range all {
		if m.size > 0 {
			all[i] = checksum(m.body(i + 1))
			continue
		}
		line = appendEnvelope(line[:0], i+1)
		all[i] = checksum(line)
	}
	return all
}
