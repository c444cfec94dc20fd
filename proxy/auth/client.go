package auth

import (
	"github.com/emersion/go-sasl"
)

// PlainClient returns the client's side of PLAIN (RFC 4616) without an authorization identity. Its
// Start fails with ErrMalformed when the credentials fail Check, so that no user name can smuggle in
// another.
func PlainClient(c Credentials) sasl.Client { return plainClient{c} }

type plainClient struct{ creds Credentials }

func (p plainClient) Start() (string, []byte, error) {
	if err := p.creds.Check(); err != nil {
		return "", nil, err
	}
	return sasl.NewPlainClient("", p.creds.User, p.creds.Reveal()).Start()
}

// Next fails: PLAIN has nothing to say to a challenge that comes after its one message. The empty
// challenge that asks for that message is the caller's to answer with what Start returned.
func (p plainClient) Next([]byte) ([]byte, error) { return nil, sasl.ErrUnexpectedServerChallenge }
