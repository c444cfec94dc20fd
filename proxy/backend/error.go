package backend

import (
	"fmt"

	"github.com/imapgate/imapgate/proxy/auth"
	"github.com/imapgate/imapgate/proxy/wire"
)

// A Kind says what a failure means for the user, and whether another backend may be tried.
type Kind string

// The kinds of failure.
const (
	// Unreachable: dial, TLS, greeting, or the connection ended before the login was answered.
	Unreachable Kind = "unreachable"
	// Unavailable: the backend answered that it cannot serve the user now.
	Unavailable Kind = "unavailable"
	// Denied: the backend refused the credentials.
	Denied Kind = "denied"
	// Limited: the backend refused because of a limit of this user's.
	Limited Kind = "limited"
	// Misconfigured: what the operator asked for cannot be done with this backend.
	Misconfigured Kind = "misconfigured"
)

// An Error is a failure of one backend in one phase.
type Error struct {
	Backend string
	Phase   string // dial, loop, proxy header, tls, greeting, starttls, capability, id, login, probe
	Kind    Kind
	Status  wire.Status // the backend's answer, where there is one
	Err     error       // the cause, where there is one
	// Failure is what the backend said of a token before it refused it; zero where it said nothing.
	Failure auth.Failure
	// Final: the backend has heard the credentials and said something else than that it is unavailable, so
	// they must not be tried elsewhere.
	Final bool
}

func (e *Error) Error() string {
	s := fmt.Sprintf("backend %s: %s", e.Backend, e.Phase)
	if e.Status.Type != "" {
		s += ": answered " + e.Status.String()
	}
	if e.Failure != (auth.Failure{}) {
		s += fmt.Sprintf(" (of the token: %+v)", e.Failure)
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// kindOf tells what a NO to the login means (RFC 5530 section 3). One without a code is how most older
// servers refuse a password.
func kindOf(s wire.Status) Kind {
	if s.Type == "BAD" {
		return Misconfigured
	}
	switch s.Code {
	case "UNAVAILABLE", "SERVERBUG", "INUSE", "CONTACTADMIN", "REFERRAL":
		return Unavailable
	case "LIMIT":
		return Limited
	case "PRIVACYREQUIRED":
		return Misconfigured
	}
	return Denied
}
