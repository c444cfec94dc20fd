package proxy

import (
	"bytes"
	"context"
	"encoding/base64"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imapgate/imapgate/proxy/imaptest"
)

const workingToken = "ya29.T0ken"

var asXOAuth2 = base64.StdEncoding.EncodeToString([]byte("user=riley\x01auth=Bearer " + workingToken + "\x01\x01"))

// refusing is a backend that refuses the token of one login.
func refusing(answers ...string) imaptest.Script {
	return imaptest.Script{
		imaptest.Send("* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=XOAUTH2] ready"),
		imaptest.Expect("l1 AUTHENTICATE XOAUTH2 " + asXOAuth2),
		imaptest.Send(answers...),
	}
}

// A server that stops does not wait for a client that has to acknowledge why its token was refused.
func TestStoppingInAcknowledgement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := startWith(t, func(*theatre) {})
		refusing("l1 NO no").Start(t, th.backends)
		c := th.dial(t)
		defer c.Close()
		run(t, c, greeted, imaptest.Send("a AUTHENTICATE XOAUTH2 "+asXOAuth2), imaptest.Match(`^\+ `))
		synctest.Wait()
		begin := time.Now()
		go th.server.Shutdown(context.Background())
		run(t, c, imaptest.Expect("* BYE [UNAVAILABLE] This server is going down for maintenance, please reconnect"), imaptest.ExpectEOF())
		if d := time.Since(begin); d > 5*time.Second {
			t.Errorf("it took %v", d)
		}
	})
}

// No log line has a token, whatever the backend repeats and whatever the client does with it.
func TestNoTokenInLogs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		th := startWith(t, func(th *theatre) {
			th.opts.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		})
		for _, answer := range []string{"l1 NO what is " + workingToken, "l1 BAD " + asXOAuth2, "* BYE " + workingToken} {
			refusing(answer).Start(t, th.backends)
			c := th.dial(t)
			run(t, c, greeted, imaptest.Send("a AUTHENTICATE XOAUTH2 "+asXOAuth2), imaptest.Match(`^(\+|a NO) `), imaptest.Send(asXOAuth2, "b XOAUTH2 "+asXOAuth2))
			c.Close()
			synctest.Wait()
		}
		if text := log.String(); strings.Count(text, "login refused") != 3 || strings.Contains(text, workingToken) || strings.Contains(text, asXOAuth2) {
			t.Errorf("the log is\n%s", text)
		}
	})
}
