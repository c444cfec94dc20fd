package proxy

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imapgate/imapgate/proxy/imaptest"
)

// A rigDrain is a moment at which the server is told to stop.
type rigDrain struct {
	name  string
	until func(c *rigClient) // up to that moment
	after func(c *rigClient) // what the client does then, on its own
	want  string             // what the client gets behind the moment; BYE is at its end
}

const rigMaintenance = "* BYE [UNAVAILABLE] This server is going down for maintenance, please reconnect\r\n"

var rigDrains = []rigDrain{
	{"before login", func(c *rigClient) { c.must("* OK") }, nil, ""},
	{"inside a line before login", func(c *rigClient) { c.must("* OK"); c.say("a1 LOG") }, nil, ""},
	{"inside SASL", func(c *rigClient) { c.must("* OK"); c.say("a1 AUTHENTICATE PLAIN\r\n"); c.must("+") }, nil, ""},
	{"idle", (*rigClient).login, nil, ""},
	{"IDLE", func(c *rigClient) { c.login(); c.say("a1 IDLE\r\n"); c.must("+") }, nil, ""},
	{"command under way", func(c *rigClient) { c.login(); c.say("a1 FETCH 1 BODY[]\r\n"); c.must("* 1") }, nil, "late)\r\na1 OK done\r\n"},
	{"inside a literal", func(c *rigClient) { c.login(); c.say("a1 APPEND x {5}\r\n"); c.must("+"); c.say("ab") },
		func(c *rigClient) { c.say("cde\r\n") }, "a1 OK done\r\n"},
	{"inside a line", func(c *rigClient) { c.login(); c.say("a1 NO") },
		func(c *rigClient) { c.say("OP\r\n") }, "a1 OK done\r\n"},
}

// TestDrain tells the server to stop at many moments: what is under way is finished, then comes BYE.
func TestDrain(t *testing.T) {
	for _, d := range rigDrains {
		t.Run(d.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { d.run(t) })
		})
	}
}

// slow is a backend that gives the half of a FETCH and the rest a minute later.
func slow(p *rigPeer) {
	for {
		tag, rest, ok := p.next()
		switch {
		case !ok || rest == "LOGOUT":
			return
		case strings.HasPrefix(rest, "FETCH"):
			p.raw("* 1 FETCH (BODY[] {4}\r\n")
			rigPass(time.Minute)
			p.raw("late)\r\n")
		case strings.HasSuffix(rest, "{5}"):
			p.send("+ go on")
			if _, _, ok := p.next(); !ok {
				return
			}
		case rest == "IDLE":
			p.send("+ idling")
			if done, _, _ := p.next(); done == "DONE\r\n" {
				continue
			}
		}
		p.send(tag + " OK done")
	}
}

func (d rigDrain) run(t *testing.T) {
	r := rigStart(t, rigSetup{})
	if !strings.Contains(d.name, "before login") && d.name != "inside SASL" {
		r.backend(rigCapsPlain, slow)
	}
	c := r.client()
	d.until(c)
	synctest.Wait()
	before := len(c.got)
	ended := make(chan error, 1)
	go func() { ended <- r.srv.Shutdown(context.Background()) }()
	synctest.Wait()
	if d.after != nil {
		d.after(c)
	}
	got, err := c.end()
	if rest := string(got[before:]); rest != d.want+rigMaintenance || err != io.EOF {
		t.Errorf("the client got %q (%v), want %q and BYE", rest, err, d.want)
	}
	c.conn.Close()
	if err := <-ended; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	synctest.Wait() // Serve closes it
	if _, err := r.front.Dial(); err == nil {
		t.Error("the listener is open")
	}
}

// A login that the backend has not answered is not waited for.
func TestDrainDuringLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rigStart(t, rigSetup{})
		r.serve(func(p *rigPeer) { p.send("* OK [CAPABILITY IMAP4rev1] hi"); p.drain() })
		c := r.client()
		c.must("* OK")
		c.say("a1 LOGIN riley firetruck\r\n")
		synctest.Wait()
		began := time.Now()
		ended := make(chan error, 1)
		go func() { ended <- r.srv.Shutdown(context.Background()) }()
		c.must("a1 NO [UNAVAILABLE]")
		c.endBye("maintenance")
		c.conn.Close()
		if err := <-ended; err != nil || time.Since(began) > lingerTime+time.Second {
			t.Errorf("Shutdown: %v after %v", err, time.Since(began))
		}
	})
}

// When the time is over what is left is cut, whoever does not read or write.
func TestDrainHardEnd(t *testing.T) {
	for name, talk := range map[string]func(r *rig, t *testing.T){
		"a backend that does not answer": func(r *rig, t *testing.T) {
			r.backend(rigCapsPlain, func(p *rigPeer) { p.drain() })
			c := r.client()
			c.login()
			c.say("a1 NOOP\r\n")
		},
		"a client inside a literal": func(r *rig, t *testing.T) {
			r.backend(rigCapsPlain, func(p *rigPeer) { p.drain() })
			c := r.client()
			c.login()
			c.say("a1 APPEND x {10+}\r\nabc")
		},
		"a client that does not read": func(r *rig, t *testing.T) {
			r.backend(rigCapsPlain, func(p *rigPeer) {
				for p.send("* 5 EXISTS") {
				}
			})
			io.WriteString(r.dial(), "a1 LOGIN u p\r\n")
		},
		"a client that does not read answers": func(r *rig, t *testing.T) {
			r.backend(rigCapsPlain, func(p *rigPeer) { p.drain() })
			c := r.dial()
			go io.WriteString(c, "a1 LOGIN u p\r\n"+strings.Repeat("a2 CAPABILITY\r\n", 10_000))
		},
		"a backend that does not read": func(r *rig, t *testing.T) {
			over := make(chan struct{})
			t.Cleanup(func() { close(over) })
			r.backend(rigCapsPlain, func(p *rigPeer) { <-over })
			c := r.client()
			c.login()
			go c.say("a1 APPEND x {1000000+}\r\n" + strings.Repeat("x", 500_000))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := rigStart(t, rigSetup{})
				talk(r, t)
				synctest.Wait()
				began := time.Now()
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				defer cancel()
				err := r.srv.Shutdown(ctx)
				if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took > 10*time.Second+lingerTime+goodbyeTime+time.Second {
					t.Errorf("Shutdown: %v after %v", err, took)
				}
			})
		})
	}
}

// Many sessions are told one after the other, none is forgotten.
func TestDrainMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rigStart(t, rigSetup{})
		(&imaptest.Backend{Store: rigStore()}).Start(t, r.back)
		var clients []*rigClient
		for range 200 {
			c := r.client()
			c.login()
			clients = append(clients, c)
		}
		ended := make(chan error, 1)
		go func() { ended <- r.srv.Shutdown(context.Background()) }()
		for _, c := range clients {
			c.endBye("maintenance")
			c.conn.Close()
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// The hard end is one for clients before login as well.
func TestDrainHardEndBeforeLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rigStart(t, rigSetup{})
		c := r.dial()
		go io.WriteString(c, strings.Repeat("a2 CAPABILITY\r\n", 100_000))
		synctest.Wait()
		began := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		r.srv.Shutdown(ctx)
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("Shutdown took %v", took)
		}
	})
}
