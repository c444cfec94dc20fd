package backend

import (
	"encoding/base64"
	"errors"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/auth"
	"github.com/imapgate/imapgate/proxy/wire"
)

var errNoBearer = errors.New("the client logs in with an OAuth token, and the backend announces neither AUTH=OAUTHBEARER nor AUTH=XOAUTH2")

// bearerMechanisms are those that a token can be sent by, the better one first.
var bearerMechanisms = [...]string{auth.OAuthBearer, auth.XOAuth2}

// bearerMechanism chooses the one by which the token came, else the other.
func (b *Conn) bearerMechanism(creds auth.Credentials) (mechanism string, ok bool) {
	if own, _ := creds.Bearer(); b.Caps.Has(imap.AuthCap(own)) {
		return own, true
	}
	for _, m := range bearerMechanisms {
		if b.Caps.Has(imap.AuthCap(m)) {
			return m, true
		}
	}
	return "", false
}

// bearer logs in with a token. A backend that refuses it may say why in a challenge, which is kept in
// b.failure and answered as the mechanism wants; the tagged NO follows (RFC 7628 section 3.2.3).
func (b *Conn) bearer(creds auth.Credentials) (wire.Status, error) {
	mechanism, ok := b.bearerMechanism(creds)
	if !ok {
		return wire.Status{}, b.Config.fail(Misconfigured, "login", errNoBearer)
	}
	client := auth.BearerClient(mechanism, creds)
	_, message, err := client.Start()
	if err != nil {
		return wire.Status{}, b.Config.fail(Misconfigured, "login", err)
	}
	tag := b.nextTag()
	line := string(tag) + " AUTHENTICATE " + mechanism
	sent := b.Caps.Has(imap.CapSASLIR)
	if sent {
		line += " " + base64.StdEncoding.EncodeToString(message)
	}
	if err := b.line(line); err != nil {
		return wire.Status{}, b.Config.fail(Unreachable, "login", err)
	}
	return b.answer("login", tag, func(challenge string) error {
		if !sent {
			sent = true
			return b.line(base64.StdEncoding.EncodeToString(message))
		}
		response, err := client.Next(nil)
		if err != nil {
			return b.cancel(challenge)
		}
		b.fails(challenge)
		return b.line(base64.StdEncoding.EncodeToString(response))
	})
}

// fails keeps what a backend says in the challenge with which it refuses a token.
func (b *Conn) fails(challenge string) {
	text, _ := base64.StdEncoding.DecodeString(challenge)
	failure := auth.ParseFailure(text)
	b.failure = &failure
}

// refusal is the error of a login that was answered and not by OK. Where the backend has said before that it
// is about the token, a BAD means that no more than a NO.
func (b *Conn) refusal(s wire.Status) *Error {
	e := b.Config.refused(kindOf(s), "login", s)
	if b.failure == nil {
		return e
	}
	e.Failure = *b.failure
	switch {
	case s.Code == "" && e.Failure.Temporary():
		e.Kind = Unavailable
	case s.Type == "BAD":
		e.Kind = Denied
	}
	return e
}
