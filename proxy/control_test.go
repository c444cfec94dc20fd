package proxy

import (
	"errors"
	"log/slog"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imapgate/imapgate/proxy/wire"
)

// A client that was waited for between commands, with the long time for that, and then stops inside one
// has only the short time: the deadline that is set already must not outlive it.
func TestArmBringsTheDeadlineForward(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer near.Close()
		defer far.Close()
		c := control{conn: wire.NewConn(near)}
		c.arm(time.Now(), 31*time.Minute, 0)
		began := time.Now()
		c.arm(began, 5*time.Minute, 0)
		_, err := near.Read(make([]byte, 1))
		if took := time.Since(began); !errors.Is(err, os.ErrDeadlineExceeded) || took != 5*time.Minute {
			t.Errorf("reading ended after %v: %v", took, err)
		}
	})
}

// Between messages the deadline is left alone as long as it is nearly far enough.
func TestArmSparesTimers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer near.Close()
		defer far.Close()
		c := control{conn: wire.NewConn(near)}
		now := time.Now()
		c.arm(now, 16*time.Minute, 0)
		set := c.deadline
		if c.arm(now.Add(30*time.Second), 16*time.Minute, 0); c.deadline != set {
			t.Error("half a minute moved a deadline of sixteen")
		}
		if c.arm(now.Add(90*time.Second), 16*time.Minute, 0); c.deadline == set {
			t.Error("a minute and a half did not move it")
		}
	})
}

// TestPanicBeforeParking wants what happens between relaying and parking to end one session and not all.
func TestPanicBeforeParking(t *testing.T) {
	s := &session{client: &client{srv: new(Server)}}
	s.srv.opts.Store(&Options{Log: slog.New(slog.DiscardHandler)})
	quiet := func() error { return errQuiet }
	if err := s.carry(new(control), quiet, func() { panic("at the worst moment") }); err == nil || errors.Is(err, errQuiet) {
		t.Errorf("it goes on with %v", err)
	}
}
