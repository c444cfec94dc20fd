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
// each; bearer tokens that are replayed as passwords need more.
const (
	MaxUser     = 1024
	MaxPassword = 4096
)

// secret stands where a password would be shown.
const secret = "<secret>"

// Credentials are what a user proved to be with. They cannot be printed: every formatting verb, JSON
// and slog show <secret> in the place of the password. They cannot be compared with == either.
type Credentials struct {
	User string

	// The password is behind a function because fmt does not call the methods of a value in an
	// unexported field, nor of any value for %p: it would print a string as it is.
	password func() string
}

// Password returns credentials of a user name and a password. They are not checked; see Check.
func Password(user, password string) Credentials {
	return Credentials{User: user, password: func() string { return password }}
}

// Reveal returns the password, for the one place that sends it to a backend.
func (c Credentials) Reveal() string {
	if c.password == nil {
		return ""
	}
	return c.password()
}

// Check returns an ErrMalformed that says why no backend could be asked about these credentials: an
// empty user name, a NUL in either part (PLAIN separates with it: such a user name could name
// another user), or a part longer than MaxUser or MaxPassword. An empty password is left to the
// backend's judgement.
func (c Credentials) Check() error {
	password := c.Reveal()
	switch {
	case c.User == "":
		return fmt.Errorf("%w: the user name is empty", ErrMalformed)
	case len(c.User) > MaxUser:
		return fmt.Errorf("%w: the user name has %d octets, at most %d are taken", ErrMalformed, len(c.User), MaxUser)
	case len(password) > MaxPassword:
		return fmt.Errorf("%w: the password has more than %d octets", ErrMalformed, MaxPassword)
	case strings.IndexByte(c.User, 0) >= 0:
		return fmt.Errorf("%w: the user name has a NUL in it", ErrMalformed)
	case strings.IndexByte(password, 0) >= 0:
		return fmt.Errorf("%w: the password has a NUL in it", ErrMalformed)
	}
	return nil
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
