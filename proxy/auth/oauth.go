package auth

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/emersion/go-sasl"
)

// The mechanisms that carry an OAuth 2.0 bearer token (RFC 6750) in the place of a password.
const (
	XOAuth2     = "XOAUTH2" // Google's and Microsoft's own, older than the standard
	OAuthBearer = sasl.OAuthBearer
)

// separator stands between the fields of both mechanisms.
const separator = "\x01"

// xoauth2Message reads user=NAME ^A auth=Bearer TOKEN ^A ^A.
func xoauth2Message(response []byte) (user, token string, err error) {
	return bearerFields(response, "user")
}

// oauthBearerMessage reads what RFC 7628 section 3.1 calls client-resp: n,a=NAME, ^A auth=Bearer TOKEN ^A
// ^A. The proxy has to know whose mail to look for, so that the name may not be left out here.
func oauthBearerMessage(response []byte) (user, token string, err error) {
	header, fields, ok := bytes.Cut(response, []byte(separator))
	if !ok {
		return "", "", fmt.Errorf("%w: it has no ^A", ErrMalformed)
	}
	flag, rest, _ := bytes.Cut(header, []byte(","))
	name, rest, ended := bytes.Cut(rest, []byte(","))
	if string(flag) != "n" && string(flag) != "y" || !ended || len(rest) > 0 {
		return "", "", fmt.Errorf("%w: its header is not in the form n,a=NAME,", ErrMalformed)
	}
	name, isName := bytes.CutPrefix(name, []byte("a="))
	if !isName || len(name) == 0 {
		return "", "", fmt.Errorf("%w: the user name is missing", ErrMalformed)
	}
	if user, ok = unescapeName(string(name)); !ok {
		return "", "", fmt.Errorf("%w: the user name has an = that begins neither =2C nor =3D", ErrMalformed)
	}
	_, token, err = bearerFields(fields, "")
	return user, token, err
}

// bearerFields reads fields that each end in ^A, and another ^A behind the last. Each of auth and the name's
// key stands there once; other fields, as host and port, tell nothing about bearer tokens.
func bearerFields(fields []byte, nameKey string) (name, token string, err error) {
	seen := make(map[string]bool, 2)
	for {
		field, rest, ok := bytes.Cut(fields, []byte(separator))
		switch {
		case !ok:
			return "", "", fmt.Errorf("%w: its end is missing", ErrMalformed)
		case len(field) == 0 && len(rest) > 0:
			return "", "", fmt.Errorf("%w: something stands behind its end", ErrMalformed)
		case len(field) == 0 && !seen["auth"]:
			return "", "", fmt.Errorf("%w: there is no token", ErrMalformed)
		case len(field) == 0:
			return name, token, nil
		}
		fields = rest
		key, value, ok := bytes.Cut(field, []byte("="))
		if !ok {
			return "", "", fmt.Errorf("%w: a field has no =", ErrMalformed)
		}
		if k := string(key); k == "auth" || k == nameKey {
			if seen[k] {
				return "", "", fmt.Errorf("%w: %s stands there twice", ErrMalformed, k)
			}
			seen[k] = true
			if k == nameKey {
				name = string(value)
			} else if token, ok = bearerToken(string(value)); !ok {
				return "", "", fmt.Errorf("%w: its token is not of the scheme Bearer", ErrMalformed)
			}
		}
	}
}

// bearerToken takes the token out of a value as HTTP has it in Authorization; the scheme is in any case.
func bearerToken(value string) (token string, ok bool) {
	scheme, rest, _ := strings.Cut(value, " ")
	return strings.TrimLeft(rest, " "), strings.EqualFold(scheme, "Bearer")
}

// The escapes of a saslname (RFC 5801 section 4).
var escapeName = strings.NewReplacer("=", "=3D", ",", "=2C")

func unescapeName(s string) (string, bool) {
	escapes := strings.NewReplacer("=2C", ",", "=2c", ",", "=3D", "=", "=3d", "=")
	known := strings.NewReplacer("=2C", ",", "=2c", ",", "=3D", ",", "=3d", ",")
	return escapes.Replace(s), !strings.Contains(known.Replace(s), "=")
}

// BearerClient returns the client's side of [XOAuth2] or [OAuthBearer]. Its Start fails with ErrMalformed
// when the credentials fail Check or hold no token. Its Next answers the one challenge that can come: a
// [Failure], which the mechanism wants to be acknowledged before the server ends the exchange.
func BearerClient(mechanism string, c Credentials) sasl.Client {
	return &bearerClient{mechanism: mechanism, creds: c}
}

type bearerClient struct {
	mechanism string
	creds     Credentials
	answered  bool
}

func (b *bearerClient) Start() (string, []byte, error) {
	if _, ok := b.creds.Bearer(); !ok {
		return "", nil, fmt.Errorf("%s: %w: a password is no token", b.mechanism, ErrMalformed)
	}
	if err := b.creds.Check(); err != nil {
		return "", nil, err
	}
	fields := "auth=Bearer " + b.creds.Reveal() + separator + separator
	if b.mechanism == XOAuth2 {
		return b.mechanism, []byte("user=" + b.creds.User + separator + fields), nil
	}
	return b.mechanism, []byte("n,a=" + escapeName.Replace(b.creds.User) + "," + separator + fields), nil
}

func (b *bearerClient) Next([]byte) ([]byte, error) {
	switch {
	case b.answered:
		return nil, sasl.ErrUnexpectedServerChallenge
	case b.mechanism == XOAuth2:
		b.answered = true
		return []byte{}, nil
	}
	b.answered = true
	return []byte(separator), nil // RFC 7628 section 3.2.3
}
