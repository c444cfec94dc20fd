// Package imaptest holds what the tests of an IMAP proxy need, and is imported by tests only.
//
// A transcript test, whole:
//
//	var _ = imaptest.UpdateFlag() // go test -update rewrites the file
//
//	func TestTranscripts(t *testing.T) {
//		imaptest.Transcripts(t, "testdata/move.txt", func(t *testing.T, s imaptest.Section) imaptest.Stage {
//			client, front := imaptest.Pipe()
//			backends := imaptest.Listen()
//			go serve(front, backends.DialContext, s.Options["policy"])
//			return imaptest.Stage{Client: client, Listener: backends}
//		})
//	}
//
// with testdata/move.txt:
//
//	=== login caps="IMAP4rev1 UIDPLUS"
//	c: * OK ready
//	C: a1 LOGIN riley firetruck
//	b: * OK [CAPABILITY ${caps}] backend ready
//	B: p1 LOGIN riley firetruck
//	b: p1 OK done
//	c: a1 OK done
//
//	=== noop prefix=login caps=IMAP4rev1
//	C: a2 NOOP
//	B: p2 NOOP
//	b: p2 OK done
//	c: a2 OK done
//
// [ParseTranscript] describes the form. Every section is played in a [testing/synctest] bubble: after
// each thing said the player waits until nothing moves any more, so no test sleeps and no test guesses
// how long an answer takes.
//
// Below that stand [Pipe], an in-memory connection that behaves like TCP where a proxy can tell (a
// buffer, back-pressure, half-close, deadlines, resets); [Listener]; [Injure], which damages a
// connection at a given byte; [Script], a peer as a list of steps; [Backend], a small IMAP server whose
// [Store] can be inspected and whose faults are chosen by the test; [Certificate]; and [MemoryServer],
// go-imap's server on a loopback port.
//
// What the in-memory connection does not imitate: segments, Nagle's algorithm, loss, and data that a
// closing socket throws away because it was not read.
package imaptest
