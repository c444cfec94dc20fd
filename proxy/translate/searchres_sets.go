package translate

import "github.com/imapgate/imapgate/proxy/wire"

// onSaved runs a command whose message set is "$". COPY and MOVE run by UID: their answers have no numbers
// in them, and they permit EXPUNGE in either form. FETCH and STORE run in the client's own form, because by
// UID they would let the backend renumber messages while the client waits for numbers (RFC 9051 section
// 7.5.1).
func onSaved(m *wire.Message, x Exchange) error {
	if len(m.Tokens) < 2 && m.Name != "UID EXPUNGE" {
		return bad(m.Name + " takes more than a message set")
	}
	if err := selected(x); err != nil {
		return err
	}
	name, set, err := namedSaved(m.Name, x)
	if err != nil {
		return err
	}
	texts := set.Texts(setOctets)
	switch len(texts) {
	case 0:
		return x.Reply(wire.Status{Type: "OK", Text: "No messages are saved"})
	case 1:
		return x.Send(withSet(name, texts[0], m))
	}
	return runPieces(withSet(name, texts[0], m), 0, texts, x)
}

// namedSaved returns what "$" stands for in a command, and the form of the command that takes it.
func namedSaved(head string, x Exchange) (name string, set Set, err error) {
	mem := x.Memory()
	switch {
	case len(mem.saved().uids.ranges) == 0:
		return head, Set{}, nil
	case head == "FETCH" || head == "STORE":
		err = mem.uids().ready(x)
		return head, mem.uids().numbers(mem.saved().uids), err
	case !uidForm(head):
		head = "UID " + head
	}
	set, err = shortSaved(x)
	return head, set, err
}

func withSet(name, set string, m *wire.Message) *wire.Message {
	tokens := append([]wire.Token{wire.Word(set)}, m.Tokens[1:]...)
	return &wire.Message{Name: name, Tokens: tokens}
}
