package translate

import "github.com/imapgate/imapgate/proxy/wire"

// remark sets \Deleted marks again that a MOVE had taken away for its EXPUNGE when the connection to the
// backend ended: as soon as the user selects the mailbox again. See [Marks].
func remark() *Translation {
	return &Translation{
		Name:     "remark",
		Commands: []string{"SELECT"},
		Takes:    func(p Peers) bool { return moveWayOf(p) == byDance },
		// A name in a literal is taken too, so that it is known when messages are moved out of the mailbox.
		Wants: func(m *wire.Message, st *Memory) bool {
			_, literal := m.Literal()
			return literal || st.marks.Owes()
		},
		Run: runRemark,
	}
}

func runRemark(m *wire.Message, x Exchange) error {
	s, err := x.Do(m, nil)
	if err != nil {
		return err
	}
	if s.OK() && !x.Mailbox().ReadOnly && x.Memory().marks.Owes() {
		if _, err := payMarks(x); err != nil {
			return err
		}
	}
	return x.Reply(s)
}

// payMarks sets the marks that are owed to the selected mailbox. What cannot be done now stays owed, and
// paid is false.
func payMarks(x Exchange) (paid bool, err error) {
	c := x.Memory().marks.claim(x.Memory().plain(x.Mailbox()))
	if c == nil {
		return false, nil
	}
	defer c.release()
	return c.pay(x)
}

// pay sets the marks. Where an EXPUNGE was sent that may still come, it waits until what that was to
// remove is gone: it would remove the messages with the marks, too.
func (c *claim) pay(x Exchange) (paid bool, err error) {
	if c.debt.kept == nil {
		return true, nil
	}
	if c.late() {
		gone, err := c.copiedGone(x)
		if !gone || err != nil {
			return false, err
		}
	}
	for _, text := range c.debt.kept {
		set, err := ParseSet(text)
		if err != nil {
			return false, err
		}
		s, err := x.Do(storeCommand(Chunk{Text: text}, "+FLAGS.SILENT"), func(m *wire.Message) (Verdict, error) {
			if f, ok := readFetch(m); ok && f.uid != 0 && set.Contains(f.uid, 0) {
				return Drop, nil // the client was never told that the mark was away
			}
			return Pass, nil
		})
		if err != nil || !s.OK() {
			return false, err
		}
	}
	c.paid()
	return true, nil
}

func (c *claim) copiedGone(x Exchange) (bool, error) {
	for _, set := range c.debt.copied {
		var found collector
		s, err := x.Do(wire.Command("UID SEARCH", wire.Word("UID"), wire.Word(set)), found.sink)
		if err != nil || !s.OK() || s.Code == "MESSAGELIMIT" || len(found.uids) > 0 {
			return false, err
		}
	}
	return true, nil
}
