package proxy

import (
	"errors"

	"github.com/imapgate/imapgate/proxy/auth"
	"github.com/imapgate/imapgate/proxy/backend"
	"github.com/imapgate/imapgate/proxy/wire"
	"github.com/imapgate/imapgate/routing"
)

// A Refusal is a failure with two faces: Status is what the client is told, Reason the fixed word for
// metrics and logs, Err what the operator is told.
type Refusal struct {
	Status wire.Status
	Reason string
	Err    error
}

func (r *Refusal) Error() string {
	if r.Err == nil {
		return r.Reason
	}
	return r.Reason + ": " + r.Err.Error()
}

// Unwrap returns what the operator is told.
func (r *Refusal) Unwrap() error { return r.Err }

func no(code, text string) wire.Status  { return wire.Status{Type: "NO", Code: code, Text: text} }
func bad(code, text string) wire.Status { return wire.Status{Type: "BAD", Code: code, Text: text} }
func bye(code, text string) wire.Status { return wire.Status{Type: "BYE", Code: code, Text: text} }

// The texts for clients. A user that does not exist and a wrong password must look the same, and
// AUTHENTICATIONFAILED makes clients ask for a new password, so that nothing but wrong credentials may
// be answered with it (RFC 5530 section 3).
var (
	wrongCredentials = no("AUTHENTICATIONFAILED", "User name or password is wrong")
	wrongToken       = no("AUTHENTICATIONFAILED", "The token was not accepted")
	unavailable      = no("UNAVAILABLE", "Mail is temporarily unavailable, try again later")
	userLimit        = no("LIMIT", "Too many connections of this user")
	needsTLS         = no("PRIVACYREQUIRED", "Passwords are accepted only over TLS")
	notYourself      = no("AUTHORIZATIONFAILED", "Acting as another user is not permitted")
)

// refusals is the one table from kinds of backend errors to what the client is told.
var refusals = map[backend.Kind]wire.Status{
	backend.Unreachable:   unavailable,
	backend.Unavailable:   unavailable,
	backend.Denied:        wrongCredentials,
	backend.Limited:       userLimit,
	backend.Misconfigured: unavailable,
}

// refuse turns the error of any phase before the relay into a Refusal.
func refuse(err error) *Refusal {
	var r *Refusal
	var b *backend.Error
	switch {
	case errors.As(err, &r):
		return r
	case errors.Is(err, backend.ErrLoop):
		return &Refusal{unavailable, "proxy_loop", err}
	case errors.As(err, &b):
		return &Refusal{refusals[b.Kind], "backend_" + string(b.Kind), err}
	case errors.Is(err, routing.ErrNoRoute):
		return &Refusal{unavailable, "no_route", err}
	case errors.Is(err, auth.ErrAuthorization):
		return &Refusal{notYourself, "authorization", err}
	case errors.Is(err, auth.ErrMalformed):
		return &Refusal{no("", "Credentials are malformed"), "malformed", err}
	}
	return &Refusal{unavailable, "internal", err}
}
