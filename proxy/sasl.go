package proxy

import (
	"encoding/base64"
	"errors"

	"github.com/emersion/go-sasl"

	"github.com/imapgate/imapgate/proxy/auth"
	"github.com/imapgate/imapgate/proxy/wire"
)

// decodeInitial decodes an initial response (RFC 4959 section 3): "=" is the empty one.
func decodeInitial(b []byte) ([]byte, error) {
	if string(b) == "=" {
		return []byte{}, nil
	}
	return decode(b)
}

func decode(b []byte) ([]byte, error) {
	d := make([]byte, base64.StdEncoding.DecodedLen(len(b)))
	n, err := base64.StdEncoding.Decode(d, b)
	return d[:n], err
}

// sasl carries a SASL exchange (RFC 3501 section 6.2.2) to its end.
func (c *client) sasl(tag string, x *auth.Exchange, response []byte) (*login, error) {
	for {
		challenge, done, err := x.Next(response)
		if err != nil {
			if errors.Is(err, sasl.ErrUnexpectedClientResponse) {
				return nil, c.bad(tag, "Unexpected response")
			}
			return nil, c.deny(tag, refuse(err))
		}
		if done {
			creds, _ := x.Credentials()
			return &login{client: c, tag: tag, mechanism: "AUTH=" + x.Mechanism(), creds: creds}, nil
		}
		line, err := c.challenge(challenge)
		var fault *wire.Fault
		switch {
		case errors.As(err, &fault):
			return nil, c.bad(tag, fault.Text)
		case err != nil:
			return nil, c.ended(err)
		case string(line) == "*":
			return nil, c.bad(tag, "Authentication cancelled")
		}
		if response, err = decode(line); err != nil {
			return nil, c.bad(tag, "The response is not base64")
		}
	}
}

func (c *client) challenge(challenge []byte) ([]byte, error) {
	c.out.Begin()
	c.out.Line("+ " + base64.StdEncoding.EncodeToString(challenge))
	if err := c.out.EndFlush(); err != nil {
		return nil, err
	}
	return c.in.ReadLine()
}
