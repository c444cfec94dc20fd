// Package auth holds the SASL servers that clients speak to, the SASL clients that backends are
// spoken to with, and the sealed credentials that pass between them.
package auth

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// Limits of what is taken for credentials, in octets. RFC 4616 section 2 asks for at least 255 of
// user name and password; bearer tokens that are replayed as passwords need more, and those that carry
// groups and signatures more still.
const (
	MaxUser     = 1024
	MaxPassword = 4096
	MaxToken    = 12 << 10
)

// secret stands where a password would be shown.
const secret = "<secret>"

// Credentials are what a user proved to be with: a password, or an OAuth token. They cannot be printed:
// every formatting verb, JSON and slog show <secret> in the place of either. They cannot be compared with
// == either.
type Credentials struct {
	User string

	// The password is behind a function because fmt does not call the methods of a value in an
	// unexported field, nor of any value for %p: it would print a string as it is.
	password func() string
	bearer   string // the mechanism by which a token came; empty for a password
}

// Password returns credentials of a user name and a password. They are not checked; see Check.
func Password(user, password string) Credentials {
	return Credentials{User: user, password: func() string { return password }}
}

// Token returns credentials of a user name and an OAuth 2.0 bearer token, which came by a mechanism:
// [XOAuth2] or [OAuthBearer]. They are not checked; see Check.
func Token(mechanism, user, token string) Credentials {
	return Credentials{User: user, password: func() string { return token }, bearer: mechanism}
}

// Bearer returns the mechanism by which the token came; false where the secret is a password.
func (c Credentials) Bearer() (mechanism string, ok bool) { return c.bearer, c.bearer != "" }

// Reveal returns the password or the token, for the one place that sends it to a backend.
func (c Credentials) Reveal() string {
	if c.password == nil {
		return ""
	}
	return c.password()
}

// Check returns an ErrMalformed that says why no backend could be asked about these credentials: an
// empty user name, a NUL in either part (PLAIN separates with it: such a user name could name
// another user), or a part longer than MaxUser or MaxPassword. An empty password is left to the
// backend's judgement; a token must be one (RFC 6750 section 2.1, but with any visible character).
func (c Credentials) Check() error {
	password := c.Reveal()
	if _, ok := c.Bearer(); ok {
		return c.checkToken(password)
	}
	switch {
	case len(password) > MaxPassword:
		return fmt.Errorf("%w: the password has more than %d octets", ErrMalformed, MaxPassword)
	case strings.IndexByte(password, 0) >= 0:
		return fmt.Errorf("%w: the password has a NUL in it", ErrMalformed)
	}
	return c.checkUser()
}

func (c Credentials) checkUser() error {
	switch {
	case c.User == "":
		return fmt.Errorf("%w: the user name is empty", ErrMalformed)
	case len(c.User) > MaxUser:
		return fmt.Errorf("%w: the user name has %d octets, at most %d are taken", ErrMalformed, len(c.User), MaxUser)
	case strings.IndexByte(c.User, 0) >= 0:
		return fmt.Errorf("%w: the user name has a NUL in it", ErrMalformed)
	}
	return nil
}

// checkToken also keeps the octet out of user names that parts the fields around them: such a name could
// bring a token of its own.
func (c Credentials) checkToken(token string) error {
	switch {
	case token == "":
		return fmt.Errorf("%w: the token is empty", ErrMalformed)
	case len(token) > MaxToken:
		return fmt.Errorf("%w: the token has more than %d octets", ErrMalformed, MaxToken)
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return fmt.Errorf("%w: the token has characters that no token has", ErrMalformed)
	case strings.Contains(c.User, separator):
		return fmt.Errorf("%w: the user name has a ^A in it", ErrMalformed)
	}
	return c.checkUser()
}

// String returns the user name, quoted, and <secret>.
func (c Credentials) String() string {
	return fmt.Sprintf("{User:%q Password:%s}", c.User, secret)
}

// GoString is String: %#v shows no more than %v.
func (c Credentials) GoString() string { return c.String() }

// Format writes String whatever the verb and the flags.
func (c Credentials) Format(f fmt.State, _ rune) { io.WriteString(f, c.String()) }

// MarshalJSON writes the user name and <secret>. What it writes cannot be read back.
func (c Credentials) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct{ User, Password string }{c.User, secret})
}

// MarshalText writes String, for encoders other than JSON.
func (c Credentials) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// LogValue is a group of the user name and <secret>.
func (c Credentials) LogValue() slog.Value {
	return slog.GroupValue(slog.String("user", c.User), slog.String("password", secret))
}
