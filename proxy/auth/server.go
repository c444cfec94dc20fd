package auth

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/emersion/go-sasl"
)

// What a client's SASL response can be refused for. Texts of errors that wrap these never hold any
// part of the response.
var (
	// ErrMalformed is a response that is not in the mechanism's form, or credentials that fail Check.
	ErrMalformed = errors.New("malformed SASL response")

	// ErrAuthorization is a request to act as somebody else (RFC 4616 section 2): the client is
	// told NO [AUTHORIZATIONFAILED] (RFC 5530 section 3).
	ErrAuthorization = errors.New("acting as another user is not permitted; leave the authorization identity empty")
)

// A mechanism is one row of the table of what clients may authenticate with.
type mechanism struct {
	name  string
	begin func(x *Exchange, response []byte) ([]byte, error) // the first response; nil when there is none
}

// mechanisms in the order in which they are announced: the preferred one first.
var mechanisms = [...]mechanism{
	{sasl.Plain, beginPlain},   // RFC 4616
	{sasl.Login, beginLogin},   // draft-murchison-sasl-login; old Outlook and devices know no other
	{OAuthBearer, beginBearer}, // RFC 7628
	{XOAuth2, beginBearer},     // Google's and Microsoft's form of the same
}

// Mechanisms returns the names that NewServer takes, in upper case and in the order in which they
// are announced as AUTH=name.
func Mechanisms() []string {
	names := make([]string, len(mechanisms))
	for i, m := range mechanisms {
		names[i] = m.name
	}
	return names
}

// An Exchange is the server's side of one SASL authentication. It learns credentials; whether they
// are right is for a backend to say. It is a sasl.Server for one goroutine and one attempt.
type Exchange struct {
	mechanism string
	next      func(x *Exchange, response []byte) ([]byte, error) // nil when no response is due
	user      string
	authzid   string
	creds     Credentials
	done      bool
}

var _ sasl.Server = (*Exchange)(nil)

// NewServer begins an authentication with a mechanism, whose name may be in any case. It returns
// false for one that is not offered.
func NewServer(mechanism string) (*Exchange, bool) {
	for _, m := range mechanisms {
		if strings.EqualFold(m.name, mechanism) {
			return &Exchange{mechanism: m.name, next: m.begin}, true
		}
	}
	return nil, false
}

// Mechanism returns the mechanism's name in upper case.
func (x *Exchange) Mechanism() string { return x.mechanism }

// Next takes the client's response, decoded from base64, and returns the challenge to send. In the
// first call nil means that the client gave no initial response, and an empty slice that it gave an
// empty one (RFC 4959 section 3: "="); later there is no difference. The response is not kept.
//
// Errors are ErrMalformed, ErrAuthorization, and sasl.ErrUnexpectedClientResponse for any call after
// the end. Each of them is the end.
func (x *Exchange) Next(response []byte) (challenge []byte, done bool, err error) {
	step := x.next
	if step == nil {
		return nil, false, sasl.ErrUnexpectedClientResponse
	}
	x.next = nil
	challenge, err = step(x, response)
	return challenge, x.done, err
}

// Credentials returns what the client sent, and false before Next has said done.
func (x *Exchange) Credentials() (Credentials, bool) { return x.creds, x.done }

// Authorization returns the name that the client asked to act as: empty, or its own user name, for
// any other is refused with ErrAuthorization.
func (x *Exchange) Authorization() string { return x.authzid }

func (x *Exchange) finish(c Credentials) error {
	if err := c.Check(); err != nil {
		return fmt.Errorf("%s: %w", x.mechanism, err)
	}
	x.creds, x.done = c, true
	return nil
}

func beginPlain(x *Exchange, response []byte) ([]byte, error) {
	if response == nil {
		x.next = plainMessage
		return []byte{}, nil
	}
	return plainMessage(x, response)
}

// plainMessage reads [authzid] NUL authcid NUL passwd, RFC 4616 section 2.
func plainMessage(x *Exchange, response []byte) ([]byte, error) {
	if n := bytes.Count(response, []byte{0}); n != 2 {
		return nil, fmt.Errorf("PLAIN: %w: it has %d NULs instead of 2", ErrMalformed, n)
	}
	authzid, rest, _ := bytes.Cut(response, []byte{0})
	user, password, _ := bytes.Cut(rest, []byte{0})
	if len(user) > 0 && len(authzid) > 0 && !bytes.Equal(authzid, user) {
		return nil, fmt.Errorf("PLAIN: %w", ErrAuthorization)
	}
	x.authzid = string(authzid)
	return nil, x.finish(Password(string(user), string(password)))
}

func beginBearer(x *Exchange, response []byte) ([]byte, error) {
	if response == nil {
		x.next = bearerMessage
		return []byte{}, nil
	}
	return bearerMessage(x, response)
}

// bearerMessage reads the one message of XOAUTH2 or OAUTHBEARER. A token that is refused later is told by
// [Failure.Challenge].
func bearerMessage(x *Exchange, response []byte) ([]byte, error) {
	read := xoauth2Message
	if x.mechanism == OAuthBearer {
		read = oauthBearerMessage
	}
	user, token, err := read(response)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", x.mechanism, err)
	}
	return nil, x.finish(Token(x.mechanism, user, token))
}

func beginLogin(x *Exchange, response []byte) ([]byte, error) {
	if response == nil {
		x.next = loginUser
		return []byte("Username:"), nil
	}
	return loginUser(x, response)
}

func loginUser(x *Exchange, response []byte) ([]byte, error) {
	x.user = string(response)
	if err := Password(x.user, "").Check(); err != nil { // rather now than after the password was sent
		return nil, fmt.Errorf("LOGIN: %w", err)
	}
	x.next = loginPassword
	return []byte("Password:"), nil
}

func loginPassword(x *Exchange, response []byte) ([]byte, error) {
	return nil, x.finish(Password(x.user, string(response)))
}
