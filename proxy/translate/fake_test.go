package translate

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/wire"
)

var errGone = errors.New("backend vanished")

// A stored is a message of the fake backend. body is its identity across copies.
type stored struct {
	uid   uint32
	body  int
	flags []string
}

func (s *stored) has(flag string) bool { return slices.Contains(s.flags, flag) }

func (s *stored) set(flag string) {
	if !s.has(flag) {
		s.flags = append(s.flags, flag)
	}
}

func (s *stored) clear(flag string) {
	s.flags = slices.DeleteFunc(slices.Clone(s.flags), func(f string) bool { return f == flag })
}

// A fault is what goes wrong at one step.
type fault int

const (
	none       fault = iota
	answerNO         // refused, nothing done
	answerBAD        // refused, nothing done
	lostBefore       // the backend vanishes before it has done the work
	lostAfter        // the backend vanishes after it has done the work
	half             // does the work for some of the messages, then NO
)

// fake is a backend with one selected mailbox and any number of other mailboxes, and the client's ear.
// It judges every command as a strict server would and keeps the invariants of a move under watch.
type fake struct {
	t        testing.TB
	peers    Peers
	box      []*stored
	readOnly bool
	other    map[string][]*stored
	validity map[string]uint32
	nextUID  uint32
	modseq   uint32
	log      []string // "S: ..." to the backend, "C: ..." to the client, "R: ..." results

	faults    map[int]fault             // by step, from 1
	instead   map[int]wire.Status       // the answer to a step that does nothing
	skip      uint32                    // COPY leaves this UID out and says OK
	before    map[int]func(*fake)       // other sessions, before a step
	during    map[int]func(*fake, Sink) // unsolicited responses in a step
	step      int
	vanish    bool // VANISHED instead of EXPUNGE
	noCode    bool // no COPYUID
	infoUID   bool // COPYUID in an untagged OK
	loud      bool // FETCH responses in spite of .SILENT
	saved     []uint32
	closed    bool // no mailbox is selected
	memory    Memory
	marks     Marks
	plain     bool            // an EXPUNGE without UIDs was sent
	raced     map[uint32]bool // removed by it because another session had marked them at the last moment
	late      map[uint32]bool // marked by other sessions since the last search for marks
	wasMarked map[uint32]bool // as a search for marks has said; those may be set again

	answers  int
	copiedOK map[uint32]bool // by source UID, as told by OK
	told     bool            // COPYUID was told to the client
	early    bool            // an EXPUNGE of ours came before COPYUID
	pending  []string
}

func newFake(t testing.TB, caps string, uids ...uint32) *fake {
	f := &fake{
		t: t, other: map[string][]*stored{}, validity: map[string]uint32{}, faults: map[int]fault{},
		before: map[int]func(*fake){}, during: map[int]func(*fake, Sink){},
		copiedOK: map[uint32]bool{}, nextUID: 1, modseq: 100, late: map[uint32]bool{}, raced: map[uint32]bool{}, wasMarked: map[uint32]bool{},
	}
	f.memory.marks = f.marks.Of("riley", "old")
	f.peers = Peers{Backend: ParseCaps(caps), Real: ParseCaps(caps), Enabled: imap.CapSet{}, Policy: quietPolicy()}
	for _, uid := range uids {
		f.box = append(f.box, &stored{uid: uid, body: int(uid)})
		f.nextUID = uid + 1
	}
	f.create("Archive", 77)
	return f
}

// quietPolicy is the default policy without the polyfills and quirks that a test does not ask for.
func quietPolicy() Policy {
	p := DefaultPolicy()
	p.Polyfills, p.Quirks = Choice{}, Choice{}
	return p
}

func (f *fake) create(name string, validity uint32) {
	f.other[name], f.validity[name] = []*stored{}, validity
}

func (f *fake) message(uid uint32) *stored {
	for _, s := range f.box {
		if s.uid == uid {
			return s
		}
	}
	return nil
}

// The methods of other sessions.

func (f *fake) deliver(flags ...string) {
	f.box = append(f.box, &stored{uid: f.nextUID, body: int(f.nextUID), flags: flags})
	f.late[f.nextUID] = true
	f.nextUID++
	f.pending = append(f.pending, "exists")
}

func (f *fake) flag(uid uint32, flag string) {
	if s := f.message(uid); s != nil {
		s.set(flag)
		f.late[uid] = true
	}
}

func (f *fake) unflag(uid uint32, flag string) {
	if s := f.message(uid); s != nil {
		s.clear(flag)
	}
}

// drop removes a message and leaves the EXPUNGE for the next command that permits one.
func (f *fake) drop(uid uint32) {
	if i := f.index(uid); i >= 0 {
		f.box = slices.Delete(f.box, i, i+1)
		f.pending = append(f.pending, fmt.Sprintf("gone %d %d", i+1, uid))
	}
}

func (f *fake) index(uid uint32) int {
	return slices.IndexFunc(f.box, func(s *stored) bool { return s.uid == uid })
}

// Exchange

func (f *fake) Peers() Peers             { return f.peers }
func (f *fake) Tag() string              { return "a" }
func (f *fake) Offered() []imap.Cap      { return NewStack(f.peers, All()).Caps() }
func (f *fake) Memory() *Memory          { return &f.memory }
func (f *fake) Leave()                   { f.closed = true }
func (f *fake) Enable(names ...imap.Cap) { f.log = append(f.log, "enabled "+Format(names)) }
func (f *fake) Progress(int, int)        {}

func (f *fake) Introduce([]IDPair) []IDPair { return nil }

func (f *fake) Body() Body { panic("the fake backend has no messages with literals") }

func (f *fake) DoAll(cmds []*wire.Message, sink Sink) (answers []wire.Status, err error) {
	for _, cmd := range cmds {
		s, err := f.Do(cmd, sink)
		if err != nil {
			return nil, err
		}
		answers = append(answers, s)
	}
	return answers, nil
}

func (f *fake) Mailbox() Mailbox {
	if f.closed {
		return Mailbox{}
	}
	n := len(f.box)
	for _, p := range f.pending {
		if p == "exists" {
			n--
		} else {
			n++
		}
	}
	return Mailbox{Name: "INBOX", ReadOnly: f.readOnly, Exists: uint32(n), UIDValidity: "5"}
}

func (f *fake) Send(m *wire.Message) error {
	f.answers++
	f.log = append(f.log, "send "+render(m))
	return nil
}

func (f *fake) Untagged(m *wire.Message) error {
	f.log = append(f.log, "C: "+render(m))
	return nil
}

func (f *fake) Info(s wire.Status) error {
	f.told = f.told || s.Code == "COPYUID"
	f.log = append(f.log, "C: * "+s.String())
	return nil
}

func (f *fake) Reply(s wire.Status) error {
	f.answers++
	f.log = append(f.log, "C: a "+s.String())
	return nil
}

func (f *fake) Result(word string) { f.log = append(f.log, "R: "+word) }

func (f *fake) Do(cmd *wire.Message, sink Sink) (wire.Status, error) {
	f.step++
	line := render(cmd)
	f.log = append(f.log, "S: "+line)
	if len(line) > 8000-30 {
		f.t.Errorf("command of %d octets", len(line))
	}
	if other := f.before[f.step]; other != nil {
		other(f)
	}
	if sink == nil {
		sink = func(*wire.Message) (Verdict, error) { return Pass, nil }
	}
	hear := func(m *wire.Message) (Verdict, error) { return f.hear(m, sink) }
	if s, ok := f.instead[f.step]; ok {
		return s, nil
	}
	switch f.faults[f.step] {
	case answerNO:
		return wire.Status{Type: "NO", Code: "OVERQUOTA", Text: "no"}, nil
	case answerBAD:
		return wire.Status{Type: "BAD", Text: "bad"}, nil
	case lostBefore:
		return wire.Status{}, errGone
	case lostAfter:
		if _, err := f.run(cmd, hear); err != nil {
			f.t.Fatal(err)
		}
		return wire.Status{}, errGone
	}
	if during := f.during[f.step]; during != nil {
		during(f, hear)
	}
	return f.run(cmd, hear)
}

func (f *fake) hear(m *wire.Message, sink Sink) (Verdict, error) {
	v, err := sink(m)
	if err != nil {
		f.t.Fatalf("sink: %v", err)
	}
	if v == Pass {
		f.log = append(f.log, "C: "+render(m))
	}
	return v, err
}

// do runs a client command as a session does: a Refused becomes the answer.
func (f *fake) do(head, set, mailbox string) error {
	m := wire.Command(head, wire.Word(set), wire.String(mailbox))
	return f.doMessage(m)
}

func (f *fake) doMessage(m *wire.Message) error {
	if t, _, ok := NewStack(f.peers, All()).Answering(m, &f.memory, Top); ok {
		return f.answer(t.Run(m, f))
	}
	f.t.Fatalf("no translation takes %s", m.Name)
	return nil
}

func (f *fake) answer(err error) error {
	var refused *Refused
	if errors.As(err, &refused) {
		return f.Reply(refused.Status)
	}
	return err
}
