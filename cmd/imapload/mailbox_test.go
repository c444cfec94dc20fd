package main

import (
	"bytes"
	"slices"
	"testing"
)

func TestMailboxes(t *testing.T) {
	for _, m := range []*mailbox{inbox, smallMailbox, longMailbox} {
		all := m.answer()
		if got := bytes.Count(all.octets, []byte(" FETCH (")); got != m.messages {
			t.Errorf("%s: %d responses of %d", m.name, got, m.messages)
		}
		var one []byte
		for _, uid := range []int{1, 2, m.messages - 1, m.messages} {
			one = m.appendResponse(one[:0], uid)
			if !bytes.Equal(all.from(uid, uid), one) {
				t.Errorf("%s: message %d is another one in the answer", m.name, uid)
			}
		}
		if !bytes.Equal(all.from(1, m.messages), all.octets) {
			t.Errorf("%s: not all messages are in the answer", m.name)
		}
	}
	if mailboxNamed("small") != smallMailbox || mailboxNamed("Archive") != inbox {
		t.Error("names lead to other mailboxes")
	}
}

// TestChecksums shows that two messages which were mixed up would be noticed.
func TestChecksums(t *testing.T) {
	for _, m := range []*mailbox{bigMailbox, longMailbox} {
		sums := slices.Clone(m.checksums())
		slices.Sort(sums)
		// Of 100,000 sums of 32 bits one or two pairs are alike by chance.
		if different := len(slices.Compact(sums)); different < m.messages-10 {
			t.Errorf("%s: only %d checksums of %d differ", m.name, different, m.messages)
		}
	}
}

func TestLiteralAtEnd(t *testing.T) {
	for _, tt := range []struct {
		line  string
		n     int
		waits bool
		ok    bool
	}{
		{"APPEND x {12}", 12, true, true},
		{"APPEND x {12+}", 12, false, true},
		{"APPEND x {0}", 0, true, true},
		{"", 0, false, false},
		{"}", 0, false, false},
		{"{}", 0, false, false},
		{"{+}", 0, false, false},
		{"{+1}", 0, false, false},
		{"{-1}", 0, false, false},
		{"{12} ", 0, false, false},
		{"{99999999999}", 0, false, false},
	} {
		n, waits, ok := literalAtEnd([]byte(tt.line))
		if n != tt.n || ok != tt.ok || ok && waits != tt.waits {
			t.Errorf("%q: %d %v %v, want %d %v %v", tt.line, n, waits, ok, tt.n, tt.waits, tt.ok)
		}
	}
}

func TestSplit(t *testing.T) {
	for _, tt := range []struct {
		line string
		want []string
	}{
		{"", nil},
		{"  ", nil},
		{"LOGIN  riley firetruck ", []string{"LOGIN", "riley", "firetruck"}},
		{`LOGIN "ri ley" "a\"b\\"`, []string{"LOGIN", "ri ley", `a"b\`}},
		{`LOGIN "open`, []string{"LOGIN", "open"}},
		{`LOGIN ""`, []string{"LOGIN", ""}},
		{`LOGIN "a\`, []string{"LOGIN", `a\`}},
	} {
		if got := split(tt.line); !slices.Equal(got, tt.want) {
			t.Errorf("%q: %q, want %q", tt.line, got, tt.want)
		}
	}
}

func TestNumbers(t *testing.T) {
	for _, tt := range []struct {
		set         string
		first, last int
	}{
		{"1:*", 1, 9}, {"*", 9, 9}, {"3", 3, 3}, {"5:2", 2, 5}, {"0:99", 1, 9}, {"x", 1, 1},
	} {
		if first, last := numbers(tt.set, 9); first != tt.first || last != tt.last {
			t.Errorf("%q: %d to %d, want %d to %d", tt.set, first, last, tt.first, tt.last)
		}
	}
}
