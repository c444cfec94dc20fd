package translate

import "github.com/imapgate/imapgate/proxy/wire"

func moveConversations() []conversation {
	return []conversation{
		{
			name: "numbers", caps: plusCaps, uids: []uint32{5, 9, 17, 22}, head: "MOVE", set: "3:4",
			want: `
S: FETCH 3:4 (UID FLAGS)
S: UID COPY 17,22 "Archive"
S: UID STORE 17,22 +FLAGS.SILENT (\Deleted)
C: * OK [COPYUID 77 17,22 501:502] Moved
S: UID EXPUNGE 17,22
C: * 3 EXPUNGE
C: * 3 EXPUNGE
C: a OK MOVE completed`,
			source: []uint32{5, 9}, copies: 2,
		},
		{
			name: "new mail between COPY and STORE is untouched", caps: plusCaps, uids: []uint32{5, 9},
			before: func(f *fake) { f.before[3] = func(f *fake) { f.deliver() } },
			head:   "UID MOVE", set: "9:*",
			want: `
S: UID FETCH 9:* (UID FLAGS)
S: UID COPY 9 "Archive"
S: UID STORE 9 +FLAGS.SILENT (\Deleted)
C: * 3 EXISTS
C: * OK [COPYUID 77 9 501] Moved
S: UID EXPUNGE 9
C: * 2 EXPUNGE
C: a OK UID MOVE completed`,
			source: []uint32{5, 10}, copies: 1,
		},
		{
			name: "star is the last message", caps: plusCaps, uids: []uint32{5, 9}, head: "UID MOVE", set: "40:*",
			want: `
S: UID FETCH 40:* (UID FLAGS)
S: UID COPY 9 "Archive"
S: UID STORE 9 +FLAGS.SILENT (\Deleted)
C: * OK [COPYUID 77 9 501] Moved
S: UID EXPUNGE 9
C: * 2 EXPUNGE
C: a OK UID MOVE completed`,
			source: []uint32{5}, copies: 1,
		},
		{
			name: "a message with a mark is moved, a marked one beside it stays", caps: plusCaps, uids: []uint32{5, 9},
			before: func(f *fake) { f.flag(5, `\Deleted`); f.flag(9, `\Deleted`) },
			head:   "UID MOVE", set: "9",
			want: `
S: UID FETCH 9 (UID FLAGS)
S: UID COPY 9 "Archive"
S: UID STORE 9 +FLAGS.SILENT (\Deleted)
C: * OK [COPYUID 77 9 501] Moved
S: UID EXPUNGE 9
C: * 2 EXPUNGE
C: a OK UID MOVE completed`,
			source: []uint32{5}, marked: []uint32{5}, copies: 1,
		},
		{
			name: "QRESYNC", caps: plusCaps, uids: []uint32{5, 9}, before: func(f *fake) { f.vanish = true },
			head: "MOVE", set: "1",
			want: `
S: FETCH 1 (UID FLAGS)
S: UID COPY 5 "Archive"
S: UID STORE 5 +FLAGS.SILENT (\Deleted)
C: * OK [COPYUID 77 5 501] Moved
S: UID EXPUNGE 5
C: * VANISHED 5
C: a OK [HIGHESTMODSEQ 101] MOVE completed`,
			source: []uint32{9}, copies: 1,
		},
		{
			name: "a backend that answers .SILENT and sends COPYUID untagged", caps: plusCaps, uids: []uint32{5, 9},
			before: func(f *fake) { f.loud, f.infoUID = true, true },
			head:   "MOVE", set: "1",
			want: `
S: FETCH 1 (UID FLAGS)
S: UID COPY 5 "Archive"
S: UID STORE 5 +FLAGS.SILENT (\Deleted)
C: * OK [COPYUID 77 5 501] Moved
S: UID EXPUNGE 5
C: * 1 EXPUNGE
C: a OK MOVE completed`,
			source: []uint32{9}, copies: 1,
		},
		{
			name: "no message", caps: plusCaps, uids: []uint32{5}, head: "UID MOVE", set: "7:8",
			want:   "S: UID FETCH 7:8 (UID FLAGS)\nC: a OK No matching messages",
			source: []uint32{5},
		},
		{
			name: "saved result", caps: plusCaps + " SEARCHRES", uids: []uint32{5, 9, 11, 12},
			before: func(f *fake) { f.saved = []uint32{5, 11, 12} },
			head:   "MOVE", set: "$",
			want: `
S: UID SEARCH $
S: UID FETCH 5,11:12 (UID FLAGS)
S: UID COPY 5,11:12 "Archive"
S: UID STORE 5,11:12 +FLAGS.SILENT (\Deleted)
C: * OK [COPYUID 77 5,11:12 501:503] Moved
S: UID EXPUNGE 5,11:12
C: * 1 EXPUNGE
C: * 2 EXPUNGE
C: * 2 EXPUNGE
C: a OK MOVE completed`,
			source: []uint32{9}, copies: 3,
		},
	}
}

func moveTroubles() []conversation {
	return []conversation{
		{
			name: "COPY refused", caps: plusCaps, uids: []uint32{5},
			before: func(f *fake) { f.faults[2] = answerNO }, head: "MOVE", set: "1",
			want:   "S: FETCH 1 (UID FLAGS)\nS: UID COPY 5 \"Archive\"\nC: a NO [OVERQUOTA] no",
			source: []uint32{5},
		},
		{
			name: "no such mailbox", caps: plusCaps, uids: []uint32{5}, head: "MOVE", set: "1", to: "Nowhere",
			want:   "S: FETCH 1 (UID FLAGS)\nS: UID COPY 5 \"Nowhere\"\nC: a NO [TRYCREATE] No such mailbox",
			source: []uint32{5},
		},
		{
			name: "STORE refused half way: marks go back, the user's stay", caps: plusCaps, uids: []uint32{5, 9, 11, 12},
			before: func(f *fake) { f.faults[3] = half; f.flag(5, `\Deleted`) }, head: "MOVE", set: "1:4",
			want: `
S: FETCH 1:4 (UID FLAGS)
S: UID COPY 5,9,11:12 "Archive"
S: UID STORE 5,9,11:12 +FLAGS.SILENT (\Deleted)
S: UID STORE 9,11:12 -FLAGS.SILENT (\Deleted)
S: UID FETCH 5,9,11:12 (UID FLAGS)
C: * 1 FETCH (UID 5 FLAGS (\Deleted))
C: * 2 FETCH (UID 9 FLAGS ())
C: * 3 FETCH (UID 11 FLAGS ())
C: * 4 FETCH (UID 12 FLAGS ())
R: rollback
C: a NO [SERVERBUG] Messages were copied, but the originals could not be removed`,
			source: []uint32{5, 9, 11, 12}, marked: []uint32{5}, copies: 4,
		},
		{
			name: "another session clears a mark", caps: plusCaps, uids: []uint32{5, 9},
			before: func(f *fake) { f.before[4] = func(f *fake) { f.unflag(5, `\Deleted`) } }, head: "MOVE", set: "1:2",
			want: `
S: FETCH 1:2 (UID FLAGS)
S: UID COPY 5,9 "Archive"
S: UID STORE 5,9 +FLAGS.SILENT (\Deleted)
C: * OK [COPYUID 77 5,9 501:502] Moved
S: UID EXPUNGE 5,9
C: * 2 EXPUNGE
S: UID SEARCH UID 5,9
S: UID STORE 5 +FLAGS.SILENT (\Deleted)
S: UID EXPUNGE 5
C: * 1 EXPUNGE
S: UID SEARCH UID 5
C: a OK MOVE completed`,
			copies: 2,
		},
		{
			name: "another session clears a mark and removes another message", caps: plusCaps, uids: []uint32{5, 7, 9},
			before: func(f *fake) {
				f.before[4] = func(f *fake) { f.unflag(5, `\Deleted`); f.drop(7) }
			}, head: "MOVE", set: "1,3",
			want: `
S: FETCH 1,3 (UID FLAGS)
S: UID COPY 5,9 "Archive"
S: UID STORE 5,9 +FLAGS.SILENT (\Deleted)
C: * OK [COPYUID 77 5,9 501:502] Moved
S: UID EXPUNGE 5,9
C: * 2 EXPUNGE
C: * 2 EXISTS
C: * 2 EXPUNGE
S: UID SEARCH UID 5,9
S: UID STORE 5 +FLAGS.SILENT (\Deleted)
S: UID EXPUNGE 5
C: * 1 EXPUNGE
S: UID SEARCH UID 5
C: a OK MOVE completed`,
			copies: 2,
		},
		{
			name: "UID EXPUNGE refused", caps: plusCaps, uids: []uint32{5, 9},
			before: func(f *fake) { f.faults[4], f.faults[7] = answerNO, answerNO }, head: "MOVE", set: "1",
			want: `
S: FETCH 1 (UID FLAGS)
S: UID COPY 5 "Archive"
S: UID STORE 5 +FLAGS.SILENT (\Deleted)
C: * OK [COPYUID 77 5 501] Moved
S: UID EXPUNGE 5
S: UID SEARCH UID 5
S: UID STORE 5 +FLAGS.SILENT (\Deleted)
S: UID EXPUNGE 5
S: UID SEARCH UID 5
S: UID STORE 5 -FLAGS.SILENT (\Deleted)
S: UID FETCH 5 (UID FLAGS)
C: * 1 FETCH (UID 5 FLAGS ())
R: rollback
C: a NO [EXPUNGEISSUED] Some messages were copied but not removed`,
			source: []uint32{5, 9}, copies: 1,
		},
		{
			name: "a message goes elsewhere before the COPY", caps: plusCaps, uids: []uint32{5, 9},
			before: func(f *fake) { f.before[2] = func(f *fake) { f.drop(5) } }, head: "UID MOVE", set: "5:9",
			want: `
S: UID FETCH 5:9 (UID FLAGS)
S: UID COPY 5,9 "Archive"
C: * 1 EXPUNGE
C: * 1 EXISTS
S: UID STORE 9 +FLAGS.SILENT (\Deleted)
C: * OK [COPYUID 77 9 501] Moved
S: UID EXPUNGE 9
C: * 1 EXPUNGE
S: UID SEARCH UID 9
S: UID SEARCH UID 5
C: a OK UID MOVE completed`,
			copies: 1,
		},
		{
			name: "EXPUNGE during FETCH by number", caps: plusCaps, uids: []uint32{5, 9},
			before: func(f *fake) {
				f.during[1] = func(f *fake, hear Sink) { f.drop(5); f.flush(hear) }
			}, head: "MOVE", set: "1",
			want: `
S: FETCH 1 (UID FLAGS)
C: * 1 EXPUNGE
C: * 1 EXISTS
C: a NO [EXPUNGEISSUED] Message numbers have changed; nothing was moved`,
			source: []uint32{9},
		},
		{
			name: "flags of others pass during RESOLVE and STORE", caps: plusCaps, uids: []uint32{5, 9},
			before: func(f *fake) {
				other := func(f *fake, hear Sink) {
					hear(f.fetched(f.message(9)))
					hear(wire.Numbered(1, "FETCH", wire.List(append([]wire.Token{wire.Word("FLAGS")}, wire.List()...)...)...))
				}
				f.during[1], f.during[3] = other, other
			}, head: "UID MOVE", set: "5",
			want: `
S: UID FETCH 5 (UID FLAGS)
C: * 2 FETCH (UID 9 FLAGS ())
C: * 1 FETCH (FLAGS ())
S: UID COPY 5 "Archive"
S: UID STORE 5 +FLAGS.SILENT (\Deleted)
C: * 2 FETCH (UID 9 FLAGS ())
C: * 1 FETCH (FLAGS ())
C: * OK [COPYUID 77 5 501] Moved
S: UID EXPUNGE 5
C: * 1 EXPUNGE
C: a OK UID MOVE completed`,
			source: []uint32{9}, copies: 1,
		},
		{
			name: "read-only", caps: plusCaps, uids: []uint32{5}, before: func(f *fake) { f.readOnly = true },
			head: "MOVE", set: "1", want: "C: a NO [NOPERM] Mailbox is read-only", source: []uint32{5},
		},
		{
			name: "saved result without SEARCHRES", caps: plusCaps, head: "MOVE", set: "$",
			want: "C: a BAD MOVE: " + errSet.Error(),
		},
	}
}

func moveSurprises() []conversation {
	return []conversation{
		{
			name: "COPY leaves a message out and says OK", caps: plusCaps, uids: []uint32{5, 9},
			before: func(f *fake) { f.skip = 5; f.vanish = true }, head: "MOVE", set: "1:2",
			want: `
S: FETCH 1:2 (UID FLAGS)
S: UID COPY 5,9 "Archive"
S: UID STORE 9 +FLAGS.SILENT (\Deleted)
C: * OK [COPYUID 77 9 501] Moved
S: UID EXPUNGE 9
C: * VANISHED 9
S: UID SEARCH UID 5
R: partial
C: * OK [HIGHESTMODSEQ 101] Highest
C: a NO Some messages were not copied and stay where they are`,
			source: []uint32{5}, copies: 1,
		},
		{
			name: "another session sets a mark during COPY", caps: plusCaps, uids: []uint32{5, 9},
			before: func(f *fake) {
				f.during[2] = func(f *fake, hear Sink) { f.flag(5, `\Deleted`); hear(f.fetched(f.message(5))) }
				f.instead = map[int]wire.Status{3: {Type: "NO", Code: "NOPERM", Text: "no right"}}
			}, head: "MOVE", set: "1:2",
			want: `
S: FETCH 1:2 (UID FLAGS)
S: UID COPY 5,9 "Archive"
C: * 1 FETCH (UID 5 FLAGS (\Deleted))
S: UID STORE 5,9 +FLAGS.SILENT (\Deleted)
S: UID STORE 9 -FLAGS.SILENT (\Deleted)
S: UID FETCH 5,9 (UID FLAGS)
C: * 1 FETCH (UID 5 FLAGS (\Deleted))
C: * 2 FETCH (UID 9 FLAGS ())
R: rollback
C: a NO [NOPERM] Messages were copied, but the originals could not be removed`,
			source: []uint32{5, 9}, marked: []uint32{5}, copies: 2,
		},
		{
			name: "new mail before the FETCH of star", caps: plusCaps, uids: []uint32{5, 9},
			before: func(f *fake) {
				f.during[1] = func(f *fake, hear Sink) { f.deliver(); f.flush(hear) }
			}, head: "MOVE", set: "*",
			want: `
S: FETCH * (UID FLAGS)
C: * 3 EXISTS
S: UID COPY 10 "Archive"
S: UID STORE 10 +FLAGS.SILENT (\Deleted)
C: * OK [COPYUID 77 10 501] Moved
S: UID EXPUNGE 10
C: * 3 EXPUNGE
C: a OK MOVE completed`,
			source: []uint32{5, 9}, copies: 1,
		},
		{
			name: "EXPUNGE before the FETCH of star by UID", caps: plusCaps, uids: []uint32{5, 9},
			before: func(f *fake) {
				f.during[1] = func(f *fake, hear Sink) { f.drop(5); f.pending = nil; f.tellGone(1, 5, hear) }
			}, head: "UID MOVE", set: "*",
			want: `
S: UID FETCH * (UID FLAGS)
C: * 1 EXPUNGE
S: UID COPY 9 "Archive"
S: UID STORE 9 +FLAGS.SILENT (\Deleted)
C: * OK [COPYUID 77 9 501] Moved
S: UID EXPUNGE 9
C: * 1 EXPUNGE
S: UID SEARCH UID 9
C: a OK UID MOVE completed`,
			copies: 1,
		},
		{
			name: "numbers out of range", caps: plusCaps, uids: []uint32{5}, head: "MOVE", set: "7",
			before: func(f *fake) { f.faults[1] = answerBAD },
			want:   "S: FETCH 7 (UID FLAGS)\nC: a BAD bad",
			source: []uint32{5},
		},
		{
			name: "a limit on messages", caps: plusCaps, uids: []uint32{5}, head: "MOVE", set: "1",
			before: func(f *fake) {
				f.instead = map[int]wire.Status{1: {Type: "OK", Code: "MESSAGELIMIT", Args: "1 5", Text: "x"}}
			},
			want:   "S: FETCH 1 (UID FLAGS)\nC: a NO [MESSAGELIMIT 1 5] Too many messages for one command",
			source: []uint32{5},
		},
		{
			name: "saved result refused", caps: plusCaps + " SEARCHRES", uids: []uint32{5}, head: "MOVE", set: "$",
			before: func(f *fake) { f.faults[1] = answerNO },
			want:   "S: UID SEARCH $\nC: a NO [OVERQUOTA] no",
			source: []uint32{5},
		},
		{
			name: "empty saved result", caps: plusCaps + " SEARCHRES", uids: []uint32{5}, head: "UID MOVE", set: "$",
			want: "S: UID SEARCH $\nC: a OK No matching messages", source: []uint32{5},
		},
	}
}
