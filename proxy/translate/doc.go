// Package translate knows what commands and capabilities mean, and answers some client commands by
// commands of its own.
//
// Tables are the whole policy, each in one place:
//
//   - the command table ([Lookup]): where a command is valid, what it changes, where message data and
//     tags stand in it. A command that is not in it is not passed on.
//   - the capability table ([Table]): what becomes of each capability name of a backend, with the
//     reason. A name that is not in it never reaches a client ([Session], [Preauth], [EnableFilter]).
//   - the uses (uses.go): which commands and which words in arguments use a capability. From it and the
//     policy a [Gate] is made, which refuses what was taken away.
//   - the translations ([All]): old extensions, polyfills, and MOVE in front of backends without it.
//   - the quirks ([AllQuirks]): how servers and clients are recognised that break sessions, and what is
//     done about it.
//
// # Layers
//
// Between a client and its backend the translations that a session needs stand above one another
// ([Stack]): each sees below it a backend that has what the layers below it add. XGWMOVE becomes MOVE,
// which becomes COPY, STORE and EXPUNGE. A translation is straight-line code over an [Exchange]; what it
// remembers from one command to the next is a field of [Memory]. Below the lowest stands the [Dialect]: other
// mailbox names, and what quirks change in commands and responses.
//
// Those that move messages share one rule that everything else serves: a message is marked or expunged
// only after the backend has said OK to its COPY, and only under a UID that was written out, never under
// the text of the client's set.
package translate
