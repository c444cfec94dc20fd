// Package translate knows what commands and capabilities mean, and answers some client commands by
// commands of its own.
//
// Three tables are the whole policy, each in one place:
//
//   - the command table ([Lookup]): where a command is valid, what it changes, where message data and
//     tags stand in it. A command that is not in it is not passed on.
//   - the capability table ([Table]): what becomes of each capability name of a backend, with the
//     reason. A name that is not in it never reaches a client ([Session], [Preauth], [EnableFilter]).
//   - the translations ([All]): XGWEXTENSIONS, XGWMOVE, and MOVE in front of backends without it.
//
// A translation is straight-line code over an [Exchange]. Those that move messages share one rule
// that everything else serves: a message is marked or expunged only after the backend has said OK to
// its COPY, and only under a UID that was written out, never under the text of the client's set.
package translate
