// Package wire turns bytes into IMAP messages and back, in both directions.
//
// It knows the grammar of lines, strings and literals (RFC 3501 section 9, RFC 7888, RFC 3516) and
// nothing else: no command's meaning, no policy. A message is one command or one response with its
// literals. Three rules hold everywhere:
//
//   - A literal is announced, then streamed. Its bytes are never held by a reader.
//   - Whether a line's end announces a literal is decided by the grammar: never inside a quoted
//     string, never in the text of OK, NO, BAD, BYE, PREAUTH and "+".
//   - Memory is bounded: one buffer a reader, which grows only for a line that must be whole, up to
//     the limit given by the owner, and goes back to a pool.
//
// [Commands] reads what a client sends: each line is checked whole before it is handed out.
// [Responses] reads what a backend sends: only heads are parsed; the rest moves as raw bytes unless
// somebody asks for tokens. [Writer] writes both. [Conn] is the connection below all of them.
package wire
