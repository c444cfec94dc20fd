// Package backend holds one connection to a backend: dial, TLS, greeting, capabilities and login. What
// happens after the login is the session's.
//
// A backend is believed as little as its TLS mode allows: capabilities learned before TLS are
// forgotten, anything that stands behind the answer to STARTTLS ends the connection, and a PREAUTH
// greeting is refused, because it would lead a user into somebody else's mail.
//
// A backend is told where the client comes from when it is asked for by name, in two ways that may be
// used together: by the PROXY protocol in front of all else ([ProxyHeader]), and by ID in one write with
// the login ([Forward]). A connection that was opened with either is never used for another client; others may
// serve the same user again, where that is asked for ([Reuse]), and may be opened before anybody has logged in.
package backend
