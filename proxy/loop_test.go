package proxy

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/imapgate/imapgate/proxy/backend"
	"github.com/imapgate/imapgate/proxy/imaptest"
)

// loop plays a script to a server whose only backend is itself, and returns how often it dialled that.
func loop(t *testing.T, script imaptest.Script) int32 {
	t.Helper()
	th := unstartedTheatre(t)
	var dials atomic.Int32
	th.backend.ForwardID = backend.ForwardDovecot
	th.backend.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		dials.Add(1)
		return th.doors.DialContext(ctx, network, address)
	}
	th.start(t)
	c, err := th.doors.Dial()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := script.Run(c); err != nil {
		t.Fatal(err)
	}
	return dials.Load()
}

// TestLoop: a proxy that leads to itself ends the login after seven rounds, and whatever a client says of
// x-proxy-ttl can only make them fewer.
func TestLoop(t *testing.T) {
	for said, want := range map[string]int32{
		"":                               7,
		"NIL":                            7,
		`("x-proxy-ttl" "4")`:            3,
		`("X-Proxy-TTL" "9999")`:         7,
		`("name" "x" "x-proxy-ttl" "1")`: 0,
		`("x-proxy-ttl" "0")`:            0,
		`("x-proxy-ttl" "many")`:         7,
	} {
		script := imaptest.Script{imaptest.Match(`^\* OK`)}
		if said != "" {
			script = append(script, imaptest.Send("a ID "+said), imaptest.Match(`^\* ID`), imaptest.Match("^a OK"))
		}
		script = append(script, imaptest.Send("b LOGIN riley firetruck"), imaptest.Match(`^b NO \[UNAVAILABLE\]`))
		if got := loop(t, script); got != want {
			t.Errorf("ID %s: %d rounds, want %d", said, got, want)
		}
	}
}

// TestLoopIsNamed: the operator reads in the log what is wrong.
func TestLoopIsNamed(t *testing.T) {
	err := refuse(&backend.Error{Backend: "old", Phase: "loop", Kind: backend.Misconfigured, Err: backend.ErrLoop})
	if !strings.Contains(err.Error(), "loop") || err.Status.Code != "UNAVAILABLE" {
		t.Errorf("%v, %v", err, err.Status)
	}
}
