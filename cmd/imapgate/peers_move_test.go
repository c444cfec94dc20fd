//go:build unix

package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/imapgate/imapgate/proxy/imaptest/realpeer"
)

// A moveForm is a server with more or less of what moving needs.
type moveForm struct {
	name   string
	prefix string
	start  func(testing.TB, []realpeer.User) *realpeer.Server
	moves  ability // the client is offered MOVE
	purges ability // the originals are gone afterwards
	policy string
}

const dancing = "policy: {move_without_uidplus: dance}\n"

type ability string

const (
	can    ability = "can"
	cannot ability = ""
)

func moveForms() []moveForm {
	dovecot := func(without ...string) func(testing.TB, []realpeer.User) *realpeer.Server {
		return func(t testing.TB, users []realpeer.User) *realpeer.Server {
			list := realpeer.Without(realpeer.DovecotCapability, without...)
			return realpeer.Dovecot(t, realpeer.DovecotOptions{Users: users, Capability: list})
		}
	}
	courier := func(without ...string) func(testing.TB, []realpeer.User) *realpeer.Server {
		return func(t testing.TB, users []realpeer.User) *realpeer.Server {
			list := realpeer.Without(realpeer.CourierCapability, without...)
			return realpeer.Courier(t, realpeer.CourierOptions{Users: users, Capability: list})
		}
	}
	return []moveForm{
		{"dovecot", "", dovecot(), can, can, ""},
		{"dovecot without MOVE", "", dovecot("MOVE"), can, can, ""},
		{"dovecot without MOVE and UIDPLUS", "", dovecot("MOVE", "UIDPLUS"), cannot, cannot, ""},
		{"dovecot without MOVE and LITERAL+", "", dovecot("MOVE", "LITERAL+"), can, can, ""},
		{"dovecot, danced", "", dovecot("MOVE", "UIDPLUS"), can, can, dancing},
		{"courier", "INBOX.", courier(), can, can, ""},
		{"courier without UIDPLUS", "INBOX.", courier("UIDPLUS"), cannot, cannot, ""},
		{"courier, danced", "INBOX.", courier("UIDPLUS"), can, can, dancing},
	}
}

// A moved is a mailbox with six messages, of which 1 and 3 carry the user's own \Deleted mark, seen by a
// client through the proxy and by a witness at the server itself.
type moved struct {
	c, witness *rawClient
	box, to    string
	seen       []string // what the client believes to be in the mailbox
	silent     bool     // flags must not be told
}

func newMoved(t *testing.T, g *peerGate, server *realpeer.Server, u realpeer.User, prefix, name string) *moved {
	t.Helper()
	m := &moved{c: g.at(legImplicit).raw(t, u), witness: at(server, legNone).raw(t, u), box: prefix + "from" + name, to: prefix + "to" + name}
	for _, name := range []string{m.box, m.to} {
		// A Dovecot under load has said ALREADYEXISTS of a mailbox that this very command made; APPEND and what
		// is found in the end tell whether it is there, and empty.
		if answer, _ := m.witness.command("CREATE " + name); !strings.HasPrefix(answer, "OK") && !strings.HasPrefix(answer, "NO [ALREADYEXISTS]") {
			t.Fatalf("CREATE %s: %s", name, answer)
		}
	}
	for i := 1; i <= 6; i++ {
		text := fmt.Sprintf("Subject: m%d\r\n\r\nbody\r\n", i)
		flags := map[int]string{1: `(\Deleted)`, 3: `(\Deleted \Seen)`, 4: `(\Flagged)`}[i]
		tag := m.witness.begin(strings.Join(strings.Fields(fmt.Sprintf("APPEND %s %s {%d}", m.box, flags, len(text))), " "))
		m.witness.until("+")
		m.witness.say(text)
		m.witness.until(tag + " OK")
		m.seen = append(m.seen, fmt.Sprintf("m%d", i))
	}
	if strings.Contains(m.c.must("CAPABILITY")[0], " CONDSTORE ") {
		m.c.must("ENABLE CONDSTORE") // from now on servers tell of flags that were set silently
	}
	m.c.must("SELECT " + m.box)
	return m
}

// move runs a command and follows what the client is told.
func (m *moved) move(t *testing.T, command string) (answer string) {
	t.Helper()
	answer, untagged := m.c.command(command)
	for _, line := range untagged {
		fields := strings.Fields(line)
		if len(fields) == 3 && fields[2] == "EXPUNGE" {
			n, _ := strconv.Atoi(fields[1])
			if n < 1 || n > len(m.seen) {
				t.Fatalf("%s: %q with %d messages", command, line, len(m.seen))
			}
			m.seen = slices.Delete(m.seen, n-1, n)
		}
		if strings.Contains(line, "XGWMOVE") || m.silent && strings.Contains(line, " FETCH ") { // RFC 6851 section 3.3
			t.Errorf("%s: %q", command, line)
		}
	}
	return answer
}

// expect compares both mailboxes at the server itself, and the source with what the client was told.
func (m *moved) expect(t *testing.T, source, target string) {
	t.Helper()
	if got := strings.Join(m.witness.marks(m.box), " "); got != source {
		t.Errorf("source: got %q, want %q", got, source)
	}
	if got := strings.Join(m.witness.marks(m.to), " "); got != target {
		t.Errorf("target: got %q, want %q", got, target)
	}
	if got, want := strings.Join(m.seen, " "), strings.ReplaceAll(source, "!", ""); got != want {
		t.Errorf("the client sees %q, want %q", got, want)
	}
}

func TestPeersMove(t *testing.T) {
	t.Parallel()
	for _, f := range moveForms() {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			u := secretUser("mover.implicit")
			server := f.start(t, []realpeer.User{u})
			g := startPeerGate(t, server.Users, backendLegs(server), f.policy)
			for i, command := range []string{"XGWMOVE 2:4", "UID XGWMOVE 2,3:4", "MOVE 2:4", "UID MOVE 2,3:4", "XMOVE 2:4", "UID XAOL-MOVE 2,3:4"} {
				m := newMoved(t, g, server, u, f.prefix, strconv.Itoa(i))
				f.check(t, m, command)
			}
			f.checkOffer(t, g.at(legImplicit).raw(t, u))
		})
	}
}

// check moves three of six messages; first to nowhere, which must change nothing.
func (f moveForm) check(t *testing.T, m *moved, command string) {
	t.Helper()
	m.silent = f.purges == can
	untouched := "m1! m2 m3! m4 m5 m6"
	if f.moves == cannot && !strings.Contains(command, "XGW") && !strings.Contains(command, "XAOL") {
		// Not offered, so it is refused, although Dovecot would move.
		if answer := m.move(t, command+" "+m.to); !strings.HasPrefix(answer, "BAD") {
			t.Errorf("%s: %s", command, answer)
		}
		m.expect(t, untouched, "")
		return
	}
	if answer := m.move(t, command+" "+f.prefix+"nowhere"); !strings.HasPrefix(answer, "NO [TRYCREATE]") {
		t.Errorf("%s to nowhere: %s", command, answer)
	}
	m.expect(t, untouched, "")
	if answer := m.move(t, command+" "+m.to); !strings.HasPrefix(answer, "OK") {
		t.Fatalf("%s: %s", command, answer)
	}
	source := "m1! m5 m6"
	if f.purges == cannot {
		source = "m1! m2! m3! m4! m5 m6"
	}
	m.expect(t, source, "m2 m3! m4")
	// The numbers of the client are those of the server again.
	if got := m.c.must("FETCH 1:* (UID)"); len(got) != len(strings.Fields(source)) {
		t.Errorf("after %s: %q", command, got)
	}
	m.c.must("UID XGWMOVE 9999 " + m.to)
	m.expect(t, source, "m2 m3! m4")
}

func (f moveForm) checkOffer(t *testing.T, c *rawClient) {
	t.Helper()
	offered := " " + strings.Join(c.must("CAPABILITY"), " ") + " "
	if strings.Contains(offered, " MOVE ") != (f.moves == can) || !strings.Contains(offered, " XGWEXTENSIONS ") {
		t.Errorf("offered: %q", offered)
	}
	if got := c.must("XGWEXTENSIONS"); !slices.Equal(got, []string{"* XGWEXTENSIONS XGWMOVE"}) {
		t.Errorf("XGWEXTENSIONS: %q", got)
	}
}

// While mail arrives, the whole mailbox is moved again and again: no message may get lost, and none of
// those that arrived in between may carry a mark.
func TestPeersMoveWhileMailArrives(t *testing.T) {
	t.Parallel()
	for _, f := range moveForms() {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			u := secretUser("mover.none")
			server := f.start(t, []realpeer.User{u})
			g := startPeerGate(t, server.Users, backendLegs(server), f.policy)
			m := newMoved(t, g, server, u, f.prefix, "")
			m.witness.must("SELECT " + m.box)
			m.witness.must(`STORE 1:* -FLAGS.SILENT (\Deleted)`)
			const arrivals = 100
			arrived := make(chan struct{})
			go func() {
				defer close(arrived)
				for n := range arrivals {
					server.Deliver(t, u.Name, m.box, fmt.Sprintf("Subject: late%d\n\nbody\n", n))
				}
			}()
			m.c.must("NOOP")
			for rounds, over := 0, false; rounds < 10 || !over; rounds++ {
				select {
				case <-arrived:
					over = true
				default:
				}
				m.c.must("UID XGWMOVE 1:* " + m.to)
				if answer, _ := m.c.command("XGWMOVE 1:* " + m.to); strings.HasPrefix(answer, "NO") { // BAD in an empty mailbox
					t.Errorf("XGWMOVE: %s", answer)
				}
			}
			f.checkArrivals(t, m, arrivals)
		})
	}
}

func (f moveForm) checkArrivals(t *testing.T, m *moved, arrivals int) {
	t.Helper()
	source, target := m.witness.marks(m.box), m.witness.marks(m.to)
	for n := range arrivals + 6 {
		name := fmt.Sprintf("late%d", n-6)
		if n < 6 {
			name = fmt.Sprintf("m%d", n+1)
		}
		copied := slices.Contains(target, name) || slices.Contains(target, name+"!")
		switch {
		case !copied && !slices.Contains(source, name):
			t.Errorf("%s: is not copied, and is gone or marked in the source %q", name, source)
		case copied && f.purges == can && slices.Contains(source, name+"!"):
			t.Errorf("%s: is marked in the source", name)
		}
	}
	if len(target) == 0 {
		t.Error("nothing was moved")
	}
}
