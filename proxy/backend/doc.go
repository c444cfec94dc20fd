// Package backend holds one connection to a backend: dial, TLS, greeting, capabilities and login. What
// happens after the login is the session's.
//
// A backend is believed as little as its TLS mode allows: capabilities learned before TLS are
// forgotten, anything that stands behind the answer to STARTTLS ends the connection, and a PREAUTH
// greeting is refused, because it would lead a user into somebody else's mail.
package backend
