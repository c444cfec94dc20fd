package proxy

import (
	"context"
	"encoding/base64"
	"errors"
	"time"

	"github.com/emersion/go-sasl"

	"github.com/imapgate/imapgate/proxy/auth"
	"github.com/imapgate/imapgate/proxy/backend"
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

// refused answers a login that failed. Where the token was at fault, the client is told first what the
// backend said of it, and acknowledges that (RFC 7628 section 3.2.3); whatever it says, it then gets its NO.
func (l *login) refused(ctx context.Context, r *Refusal) error {
	mechanism, bearer := l.creds.Bearer()
	if !bearer || r.Status != wrongCredentials {
		return l.deny(l.tag, r)
	}
	r.Status = wrongToken
	var failure auth.Failure
	if b, ok := errors.AsType[*backend.Error](r.Err); ok {
		failure = b.Failure
	}
	l.conn.SetReadDeadline(time.Now().Add(l.opts.Timeouts.Preauth))
	if ctx.Err() != nil { // looked at behind the deadline, which the server's end moves
		return l.ended(errStopping)
	}
	answer, err := l.challenge(failure.Challenge(mechanism))
	_, isFault := errors.AsType[*wire.Fault](err)
	switch {
	case err != nil && !isFault:
		return l.ended(err)
	case string(answer) == "*": // RFC 3501 section 6.2.2
		r.Status = bad("", "Authentication cancelled")
	}
	return l.deny(l.tag, r)
}

func (c *client) challenge(challenge []byte) ([]byte, error) {
	c.out.Begin()
	c.out.Line("+ " + base64.StdEncoding.EncodeToString(challenge))
	if err := c.out.EndFlush(); err != nil {
		return nil, err
	}
	return c.in.ReadLine()
}
