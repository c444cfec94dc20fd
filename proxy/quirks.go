package proxy

import (
	"slices"
	"strings"

	"github.com/imapgate/imapgate/proxy/translate"
	"github.com/imapgate/imapgate/proxy/wire"
)

// noteClient notes who a client says it is, and takes up the work-arounds for it.
func (s *session) noteClient(name string) {
	s.ledger.named(name)
	q := translate.FindClientQuirks(s.peers.Policy.Quirks, name)
	s.knownData.Store(q.KnownData || s.peers.Quirks.KnownData)
}

// quirkNames are those that the session's log line names.
func (s *session) quirkNames() string {
	client := translate.FindClientQuirks(s.peers.Policy.Quirks, s.ledger.clientName())
	return strings.Join(slices.Concat(s.peers.Quirks.Names, client.Names), " ")
}

// nonsense reports a response that is about a message but names none, as "* 0 FETCH": there is no message
// 0 (RFC 3501 section 9, nz-number).
func nonsense(m *wire.Message) bool {
	if m.Num != 0 || !m.Untagged() {
		return false
	}
	switch m.Name {
	case "FETCH", "EXPUNGE":
		return true
	}
	return false
}

// unknownData reports a response that no RFC defines, for clients that take it for an error.
func (s *session) unknownData(name string) bool { return s.knownData.Load() && !knownResponses[name] }

// knownResponses are those that every parser of responses expects.
var knownResponses = func() map[string]bool {
	set := make(map[string]bool)
	for _, name := range strings.Fields("OK NO BAD BYE FLAGS EXISTS RECENT EXPUNGE FETCH VANISHED LIST LSUB XLIST SEARCH " +
		"SORT THREAD ESEARCH STATUS NAMESPACE ID ENABLED CAPABILITY ACL LISTRIGHTS MYRIGHTS QUOTA QUOTAROOT METADATA LANGUAGE COMPARATOR") {
		set[name] = true
	}
	return set
}()

// granting reports whether a continuation request that stands behind a tag is that of the IDLE which waits
// for one. Any other with a tag means that the two sides do not talk of the same thing.
func (s *session) granting(tag []byte) bool {
	own, mine := parseOwn(tag)
	s.pending.mu.Lock()
	defer s.pending.mu.Unlock()
	e := s.pending.find(own)
	return mine && e != nil && e.idle
}

// wantsNews reports whether a NOOP has to follow an APPEND, so that the client hears of the message that it
// appends to the mailbox it has selected (RFC 3501 section 6.3.11).
func (s *session) wantsNews(m *wire.Message, cmd *translate.Command) bool {
	if !s.peers.Quirks.SilentAppend || cmd.Name != "APPEND" || len(m.Tokens) == 0 {
		return false
	}
	selected := s.ledger.selected().Name
	if t := m.Tokens[0]; t.Kind != wire.Literal || t.Text != nil {
		name := t.Value()
		return name == selected || strings.EqualFold(name, "INBOX") && strings.EqualFold(selected, "INBOX")
	}
	return selected != ""
}

// newsBehind gives the NOOP that follows e its place in the queue. From here on e's answer waits for that
// of the NOOP: what NOOP tells may be told only while a command is under way (RFC 9051 section 7.5.1).
func (s *session) newsBehind(e *entry) (*entry, error) {
	cmd, _ := s.spec("NOOP")
	o, err := s.push(ours, e.tag, cmd)
	if err != nil {
		return nil, err
	}
	s.pending.mu.Lock()
	defer s.pending.mu.Unlock()
	if o != e && !e.done { // one that was refused before its end is soon another command's
		o.gets().behind, e.waits = e, true
	}
	return o, nil
}

func (s *session) askNews(o *entry) {
	s.head(o, "NOOP")
	s.b.Out.CRLF()
	s.pending.sentNow(o)
}

// answeredLater keeps the answer to a command until the NOOP behind it is answered.
func (s *session) answeredLater(e *entry, m *wire.Message) error {
	s.concluded(e, m)
	status := m.Status()
	status.Text = string(s.plain([]byte(status.Text)))
	if status.Code == "CAPABILITY" || status.Code == "REFERRAL" {
		status.Code, status.Args = "", ""
	}
	if err := s.b.In.DropLine(); err != nil {
		return err
	}
	s.pending.mu.Lock()
	defer s.pending.mu.Unlock()
	e.kind, e.result = held, status.Type
	e.gets().later = append(status.Append(append(append([]byte(nil), e.tag...), ' ')), "\r\n"...)
	s.metrics.inFlight.Dec()
	s.pending.recount(s.pending.clock.now())
	return nil
}
