// Package proxy carries IMAP sessions between clients and backends.
//
// # The whole on one page
//
//	           client                      proxy                        backend
//	             |                           |                             |
//	accept       | --- TCP, TLS -----------> | *client                     |
//	preauth      | <-- greeting, STARTTLS -> |                             |
//	             | --- LOGIN, AUTHENTICATE > | *login: its tag is open     |
//	connect      |                           | --- dial, TLS, login -----> |
//	             | <-- tagged OK + caps ---- | *session                    |
//	relay   up   | --- a1 FETCH -----------> | --- p1 FETCH -------------> |
//	        down | <-- a1 OK --------------- | <-- p1 OK ----------------- |
//	close        | <-- BYE ----------------- | --- LOGOUT ---------------> |
//
// Each phase is a type that is made by the one before, and a file: client.go (with introduce.go, the PROXY
// header, and admit.go, the limit of an address), preauth.go, connect.go, relay.go (relay and close). The
// server accepts (server.go), and [Server.Serve] gives each connection one goroutine up to its login (serve.go);
// from there on it is the session's. Each connection is closed once, in release. What a listener says before
// login is made in foresight.go, from what backends have said of themselves. A connection reads the server's
// options once, and once more when it logs in; [Server.Reload] puts others in their place (reload.go).
//
// # The relay
//
// Two goroutines work on a session. up (up.go) reads the client's commands and alone writes to the backend.
// down (down.go) reads the backend's responses and writes to the client; up writes to the client as well, and
// the [wire.Writer] is locked for exactly one message.
//
// Either of them that has had nothing to read for a moment, between messages, or at once in IDLE, gives up its
// goroutine, its buffers and its readers (work.go): it is parked (lot.go). An epoll of our own watches the
// connection's descriptor (poller_linux.go);
// what can be read, a time that has come or a signal starts the goroutine again, which goes on where the last
// one stopped. All that has to be known for that is in the session, so that errQuiet can unwind the stack. A
// reader parks only where nothing that its peer has sent is held above the descriptor ([wire.Conn.Drained]).
// The memory that many of them leave is given back to the system in tidy.go. Where descriptors cannot be watched,
// readers keep their goroutines.
//
// Between the two stands the queue of what is owed (pending.go). A command gets an entry before its
// first byte goes up, and a tag of our own: p1, p2, ... in base 36. An entry is one of four kinds: the
// backend's answer passes to the client; it is for a translation; a translation is going to answer; the
// proxy's own answer waits until all before it are done. Whatever the queue does not expect is out of
// sync, and ends the backend connection: never guess, never reuse.
//
// What came together is queued together, before any of it leaves (staging.go), and answers that came together are
// noted together, before they leave (given.go): a command among many takes no lock of its own. One that differs in its
// tag alone from the one before is compared and not parsed, and so is an answer.
//
//	client --> wire.Commands --> gate --+--> forward (tokens, canonical) ---+--> dialect --> backend
//	                                    +--> local answer (held entry)      |
//	                                    +--> layers (exchange.go): -- commands of our own
//	client <-- wire.Writer <-- rewrite <-- sink of the layers <-- dialect --+
//	                  ^                                                     |
//	                  +-------------- lines as they are ---- wire.Responses <-- backend
//
// The gate refuses what the client was not offered (gate.go). A command that a translation wants goes to
// the uppermost layer of the session's stack (stacks.go), and what that sends to the layers below it; what
// the lowest sends, and what no layer wants, passes the dialect, which knows what is odd about this backend
// and what it calls its mailboxes (dialect.go). Where there is no gate, no layer and no dialect for a
// command or a response, none costs anything.
//
// A command is always read as tokens and written anew, so what was understood is what the backend gets
// (forward.go). A response passes by lines, unless its name is one that carries a tag, a capability or
// the mailbox's state (looks in down.go), or a translation's sink asks. Tags and capabilities are
// replaced in rewrite.go. Literals stream in bounded memory; the client's "+" follows the backend's.
// IDLE is a state of the relay (idle.go).
//
// # Before login
//
// The list of capabilities before login holds what the proxy itself keeps, and what every session will have
// that can come about at this listener, once each of its backends was seen (foresight.go). The session's
// own list stands in the answer to the login. A password is taken
// only on a secure connection, unless the listener says otherwise.
//
// # Who owns what
//
//	listener               Serve; closed when the server stops
//	client connection      serveConn up to the login, then the session; client.release
//	its reading, meanwhile the lobby, which the server's end interrupts; behind the login the registry
//	backend connection     backend.Config.Open until it returns, then the session; session.giveBack
//	one that waits         spares.watch, until a session takes it (reuse.go)
//	one that is ready      Server.makeReady, until a login takes it (ready.go)
//	relayUp, relayDown     runUp, which waits for the other; parked, the server's lot
//	the lot's poller       Server.Shutdown, behind the last session
//	client's Writer        whoever holds its lock, for one message
//	backend's Writer       the up goroutine alone
//	pending, ledger        their own locks; down completes, up adds
//	a wait of up           staging.cond; teardown ends it with errOver
//
// Everybody else interrupts readers by deadline (control.go): the reader sets its deadline, then looks at
// the signal, then reads. Each write has its own deadline (sink). Deadlines that must fall at a message's
// end are looked at only there (source.go).
//
// # How it ends
//
// judge in relay.go finds the one reason, and says what is still told to whom. A backend that vanishes
// between messages: every open command gets NO [UNAVAILABLE], in order, then BYE. In the middle of a
// message: nothing more is written and the raw connection is closed, so that no BYE lands in a literal.
// A command of which a part is up and whose rest is bad is cut before its CRLF, so it is never executed.
package proxy
