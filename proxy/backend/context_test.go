package backend

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imapgate/imapgate/proxy/auth"
	"github.com/imapgate/imapgate/proxy/imaptest"
	"github.com/imapgate/imapgate/tlsutil"
)

// A hang is a backend that stops somewhere on the way.
type hang struct {
	name   string
	mode   Mode
	script imaptest.Script // silence follows
	phase  string
}

var hangs = []hang{
	{"handshake", Implicit, nil, "tls"},
	{"greeting", None, nil, "greeting"},
	{"inside the greeting", None, imaptest.Script{imaptest.SendRaw("* OK hel")}, "greeting"},
	{"capabilities", None, imaptest.Script{send("* OK hi"), expect("l1 CAPABILITY")}, "capability"},
	{"STARTTLS", StartTLS, imaptest.Script{send(offersTLS), expect("l1 STARTTLS")}, "starttls"},
	{"handshake behind STARTTLS", StartTLS, imaptest.Script{send(offersTLS), expect("l1 STARTTLS"), send("l1 OK go")}, "tls"},
	{"LOGIN", None, imaptest.Script{send("* OK [CAPABILITY IMAP4rev1] hi"), imaptest.Match("^l1 LOGIN")}, "login"},
	{"LOGIN's literal", None, imaptest.Script{send("* OK [CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=PLAIN] hi"), expect("l1 AUTHENTICATE PLAIN")}, "login"},
	{"capabilities after LOGIN", None, imaptest.Script{send("* OK [CAPABILITY IMAP4rev1] hi"), imaptest.Match("^l1 LOGIN"), send("l1 OK in"), expect("l2 CAPABILITY")}, "capability"},
}

// TestContextEnds stops a backend at each phase and lets the context end: at once then, with its cause in the
// error, and nothing stays behind.
func TestContextEnds(t *testing.T) {
	for _, h := range hangs {
		for name, end := range map[string]func(context.Context) (context.Context, context.CancelFunc, error){
			"cancelled": func(ctx context.Context) (context.Context, context.CancelFunc, error) {
				ctx, cancel := context.WithCancel(ctx)
				time.AfterFunc(time.Second, cancel)
				return ctx, cancel, context.Canceled
			},
			"deadline": func(ctx context.Context) (context.Context, context.CancelFunc, error) {
				ctx, cancel := context.WithTimeout(ctx, time.Second)
				return ctx, cancel, context.DeadlineExceeded
			},
		} {
			t.Run(h.name+" "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ctx, cancel, cause := end(context.Background())
					defer cancel()
					h.run(t, ctx, cause)
				})
			})
		}
	}
}

func (h hang) run(t *testing.T, ctx context.Context, cause error) {
	t.Helper()
	cfg := secured(t, plays(t, append(h.script, silence)...), h.mode, tlsutil.Client{ServerName: "imap.example.org"})
	began := time.Now()
	b, err := cfg.Open(ctx, Origin{})
	if err == nil {
		err = b.Login(ctx, riley)
		defer b.Net.Abort()
	}
	failing{Unreachable, h.phase, cause.Error()}.check(t, err)
	if d := time.Since(began); d != time.Second || !errors.Is(err, cause) {
		t.Errorf("after %v: %v", d, err)
	}
}

// TestConnectEnds: Connect bounds all that comes before the login together, dialling too.
func TestConnectEnds(t *testing.T) {
	for _, h := range hangs[:6] {
		t.Run(h.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := secured(t, plays(t, append(h.script, silence)...), h.mode, tlsutil.Client{ServerName: "imap.example.org"})
				late(t, cfg, h.phase)
			})
		})
	}
	t.Run("dial", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			late(t, &Config{Name: "b", Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}}, "dial")
		})
	})
}

func late(t *testing.T, cfg *Config, phase string) {
	t.Helper()
	cfg.Connect = 3 * time.Second
	began := time.Now()
	_, err := cfg.Open(context.Background(), Origin{})
	failing{Unreachable, phase, "context deadline exceeded"}.check(t, err)
	if d := time.Since(began); d != cfg.Connect || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("after %v: %v", d, err)
	}
}

// A login whose answer comes at the moment at which the context ends has failed: nobody waits for it any more. It
// leaves no deadline behind.
func TestContextEndsWithTheAnswer(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	cfg := plays(t, send("* OK [CAPABILITY IMAP4rev1] hi"), imaptest.Match("^l1 LOGIN"), send(welcome), silence)
	dial := cfg.Dial
	near := &interrupted{moved: make(chan struct{})}
	cfg.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		near.dialed = c.(*dialed)
		near.read = func(p []byte) {
			if bytes.HasPrefix(p, []byte("l1 OK")) {
				cancel()
				<-near.moved
			}
		}
		return near, err
	}
	err := opened(t, cfg).Login(ctx, riley)
	failing{Unreachable, "login", "context canceled"}.check(t, err)
	if !errors.Is(err, context.Canceled) || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the error is %v", err)
	}
	if !near.last.IsZero() {
		t.Errorf("the write deadline is %v", near.last)
	}
}

// interrupted tells when the write deadline has moved, which is the last that an interruption does.
type interrupted struct {
	*dialed
	moved chan struct{}
	last  time.Time
}

func (c *interrupted) SetWriteDeadline(at time.Time) error {
	c.last = at
	if !at.IsZero() {
		defer close(c.moved)
	}
	return c.dialed.SetWriteDeadline(at)
}

// A context that is over before it begins sends no password.
func TestLoginWithEndedContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := opened(t, plays(t, send("* OK [CAPABILITY IMAP4rev1] hi"), silence))
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		err := b.Login(ctx, auth.Password("riley", "firetruck"))
		var e *Error
		if !errors.As(err, &e) || !errors.Is(err, context.Canceled) {
			t.Errorf("the error is %v", err)
		}
	})
}
