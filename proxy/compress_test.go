package proxy

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imapgate/imapgate/proxy/imaptest"
	"github.com/imapgate/imapgate/proxy/translate"
)

// A flateConn is a client's end of a compressed connection, by compress/flate.
type flateConn struct {
	net.Conn
	r io.Reader
	w *flate.Writer
}

func newFlateConn(t testing.TB, c net.Conn) *flateConn {
	t.Helper()
	w, err := flate.NewWriter(c, flate.DefaultCompression)
	if err != nil {
		t.Fatal(err)
	}
	return &flateConn{c, flate.NewReader(c), w}
}

func (c *flateConn) Read(b []byte) (int, error) { return c.r.Read(b) }

func (c *flateConn) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	if err == nil {
		err = c.w.Flush()
	}
	return n, err
}

// bare ends the client's reader and returns the connection; all that was sent so far has been heard.
func (c *rigClient) bare() net.Conn {
	c.t.Helper()
	c.conn.SetReadDeadline(time.Unix(1, 0))
	c.mu.Lock()
	for c.err == nil {
		c.cond.Wait()
	}
	c.mu.Unlock()
	c.conn.SetReadDeadline(time.Time{})
	return c.conn
}

// compress goes on with compression.
func (c *rigClient) compress() *rigClient {
	c.t.Helper()
	c.ask("z1", "COMPRESS DEFLATE", "OK")
	return rigReader(c.t, newFlateConn(c.t, c.bare()))
}

// withCompress lets a server offer compression.
func withCompress(change ...func(*Options)) func(*Options) {
	return func(o *Options) {
		o.Policy.Polyfills = translate.Choice{Names: []string{"compress"}}
		for _, f := range change {
			f(o)
		}
	}
}

// compressed is a client that compresses, in front of a whole backend.
func compressed(t *testing.T, set rigSetup) (*rig, *rigClient) {
	t.Helper()
	set.options = withCompress()
	r := rigStart(t, set)
	(&imaptest.Backend{Store: rigStore(), Caps: "IMAP4rev1 UIDPLUS IDLE COMPRESS=DEFLATE"}).Start(t, r.back)
	c := r.client()
	c.must("* OK")
	c.say("a0 LOGIN riley firetruck\r\n")
	if line := c.must("a0 "); !strings.Contains(line, " COMPRESS=DEFLATE") {
		t.Errorf("compression is not offered: %s", line)
	}
	return r, c.compress()
}

// talkCompressed says everything that has its own way through the relay.
func talkCompressed(c *rigClient) {
	c.ask("a1", "SELECT INBOX", "OK")
	c.say("a2 APPEND INBOX {5}\r\n")
	c.must("+")
	c.say("hello\r\n")
	c.must("a2 OK")
	c.ask("a3", "APPEND INBOX {70000+}\r\n"+strings.Repeat("0123456789", 7000), "OK")
	c.say("a4 UID FETCH 1:* (FLAGS BODY[])\r\na5 NOOP\r\n")
	c.must("a4 OK")
	c.must("a5 OK")
	c.say("a6 IDLE\r\n")
	c.must("+")
	c.say("DONE\r\n")
	c.must("a6 OK")
	c.ask("a7", "COMPRESS DEFLATE", "BAD Compression is active already")
	c.ask("a8", "LOGOUT", "OK")
	c.end()
}

// Everything works compressed as it does otherwise, wherever the stream is cut.
func TestCompress(t *testing.T) {
	splits := []imaptest.Injury{{}, {Side: imaptest.Reads, Kind: imaptest.Drip}, {Side: imaptest.Writes, Kind: imaptest.Drip}}
	for at := int64(40); at < 140; at++ {
		splits = append(splits, imaptest.Injury{Side: imaptest.Reads, At: at, Kind: imaptest.Split})
	}
	for _, split := range splits {
		synctest.Test(t, func(t *testing.T) {
			r, c := compressed(t, rigSetup{hurtClient: split})
			talkCompressed(c)
			rigParse(t, c.got)
			heard := r.heard()
			if !bytes.Contains(heard, []byte("0123456789\r\n")) || bytes.Contains(heard, []byte("COMPRESS")) {
				t.Errorf("the backend heard %q", rigTail(heard))
			}
			if len(c.got) < 70000 || len(r.passed("client", func(c *rigConn) []byte { return c.wrote })) > 20000 {
				t.Errorf("%d octets were not compressed", len(c.got))
			}
			r.ended()
			if n := r.srv.packed.Load(); n != 0 {
				t.Errorf("%d sessions are counted as compressed, and there is none", n)
			}
		})
	}
}

// A client that is cut in the middle of its compressed stream has left; one that stalls there is waited for.
func TestCompressInjured(t *testing.T) {
	for _, kind := range []imaptest.Harm{imaptest.Cut, imaptest.HalfClose, imaptest.Stall} {
		for at := int64(48); at < 120; at += 3 {
			synctest.Test(t, func(t *testing.T) {
				r, c := compressed(t, rigSetup{hurtClient: imaptest.Injury{Side: imaptest.Reads, At: at, Kind: kind}})
				c.say("a1 SELECT INBOX\r\na2 UID FETCH 1:* (FLAGS BODY[])\r\n")
				c.say("a3 APPEND INBOX {20+}\r\n01234567890123456789\r\na4 NOOP\r\n")
				rigPass(rigForever)
				r.ended()
			})
		}
	}
}

// A signal that comes in the middle of a compressed burst loses nothing of it.
func TestCompressAndSignals(t *testing.T) {
	b := deflated("a1 NOOP\r\na2 SELECT INBOX\r\na3 NOOP\r\n")
	for at := range b {
		synctest.Test(t, func(t *testing.T) {
			r, c := compressed(t, rigSetup{})
			raw := c.conn.(*flateConn).Conn
			raw.Write(b[:at])
			synctest.Wait()
			r.srv.Pause(r.session())
			synctest.Wait()
			raw.Write(b[at:])
			rigPass(time.Hour) // a command that had begun is read to its end
			r.srv.Resume(r.session())
			c.must("a3 OK")
			r.srv.Drain(r.session())
			c.endBye("[UNAVAILABLE]")
			c.conn.Close()
			r.ended()
		})
	}
	for name, end := range map[string]struct {
		raise func(*Server, string) bool
		bye   string
	}{
		"kick":  {(*Server).Kick, "[UNAVAILABLE]"},
		"drain": {(*Server).Drain, "not completed in time"}, // the command that had begun
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, c := compressed(t, rigSetup{})
				c.conn.(*flateConn).Conn.Write(b[:len(b)-9])
				synctest.Wait()
				end.raise(r.srv, r.session())
				rigPass(time.Hour)
				c.endBye(end.bye)
				c.conn.Close()
				r.ended()
			})
		})
	}
}

// What comes behind COMPRESS before it is answered is never executed, in the clear or not.
func TestCompressInjection(t *testing.T) {
	for _, behind := range []string{"a2 NOOP\r\n", "a", "\r\n", string(deflated("a2 NOOP\r\n"))} {
		synctest.Test(t, func(t *testing.T) {
			r := rigStart(t, rigSetup{options: withCompress()})
			(&imaptest.Backend{Store: rigStore()}).Start(t, r.back)
			c := r.client()
			c.login()
			c.say("a1 COMPRESS DEFLATE\r\n" + behind)
			c.must("a1 BAD")
			c.endBye("before compression began")
			c.conn.Close()
			r.ended()
			if bytes.Contains(r.heard(), []byte("NOOP")) {
				t.Errorf("it was executed: %q", r.heard())
			}
		})
	}
}

func deflated(text string) []byte {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.BestSpeed)
	io.WriteString(w, text)
	w.Flush()
	return b.Bytes()
}

// What does not decode ends the session, with a compressed BYE, and nothing behind it is executed.
func TestCompressHostile(t *testing.T) {
	for name, one := range map[string]struct{ said, bye string }{
		"plain text":    {"a2 NOOP\r\na3 NOOP\r\na4 NOOP\r\n", "Compressed data"},
		"a header":      {"\x78\x9c" + string(deflated("a2 NOOP\r\n")), "Compressed data"},
		"not a block":   {string(deflated("a2 NOOP\r\n")) + "\xff\xff\xff", "Compressed data"},
		"within a line": {string(deflated("a2 NO")) + "\xff" + string(deflated("OP\r\n")), "Compressed data"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, c := compressed(t, rigSetup{})
				go func() {
					io.WriteString(c.conn.(*flateConn).Conn, one.said)
				}()
				c.endBye(one.bye)
				c.conn.Close()
				r.ended()
				if heard := r.heard(); bytes.Contains(heard, []byte("a3")) {
					t.Errorf("the backend heard %q", rigTail(heard))
				}
			})
		})
	}
}

// A message that grows a thousandfold is carried as long as it could be mail.
func TestCompressBomb(t *testing.T) {
	const size = 200 << 20
	synctest.Test(t, func(t *testing.T) {
		r := rigStart(t, rigSetup{options: withCompress()})
		var carried int64
		r.backend("IMAP4rev1", func(p *rigPeer) {
			p.want(fmt.Sprintf("APPEND INBOX {%d}", size))
			p.send("+ go on")
			carried, _ = io.Copy(io.Discard, p.in)
		})
		c := r.client()
		c.login()
		c = c.compress()
		go func() {
			raw, zeros := c.conn.(*flateConn).Conn, deflated(strings.Repeat("\x00", 1<<20))
			raw.Write(deflated(fmt.Sprintf("a1 APPEND INBOX {%d+}\r\n", size)))
			for range size >> 20 {
				raw.Write(zeros)
			}
		}()
		c.endBye("Compressed data grows too much")
		r.ended()
		r.scripts.Wait()
		if carried < 60<<20 || carried > 150<<20 {
			t.Errorf("%d octets were carried", carried)
		}
	})
}

// COMPRESS that cannot be is refused, and the session goes on.
func TestCompressRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := func(o *Options) { o.Limits.Compressed = 1 }
		r := rigStart(t, rigSetup{options: withCompress(one)})
		(&imaptest.Backend{Store: rigStore()}).Start(t, r.back)
		c := r.client()
		c.login()
		for _, args := range []string{"", " GZIP", " DEFLATE DEFLATE", ` "DEFLATE"`, " (DEFLATE)", " {7+}\r\nDEFLATE"} {
			c.ask("a1", "COMPRESS"+args, "BAD COMPRESS takes DEFLATE")
		}
		first := c.compress()
		first.ask("a2", "NOOP", "OK")
		d := r.client()
		d.login()
		d.ask("b1", "COMPRESS deflate", "NO [LIMIT]")
		d.ask("b2", "NOOP", "OK")
		first.ask("a3", "LOGOUT", "OK")
		first.end()
		rigPass(time.Minute)
		d = d.compress()
		d.ask("b3", "LOGOUT", "OK")
		d.end()
	})
	synctest.Test(t, func(t *testing.T) {
		r := rigStart(t, rigSetup{})
		(&imaptest.Backend{Store: rigStore(), Caps: "IMAP4rev1 COMPRESS=DEFLATE"}).Start(t, r.back)
		c := r.client()
		c.login()
		c.ask("a1", "COMPRESS DEFLATE", "BAD Unknown command")
		c.ask("a2", "LOGOUT", "OK")
	})
}

// The answer waits until all before it are answered, and what the backend says behind it is compressed.
func TestCompressWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rigStart(t, rigSetup{options: withCompress()})
		r.backend("IMAP4rev1", func(p *rigPeer) {
			tag := p.want("NOOP")
			rigPass(time.Second)
			p.send("* 3 EXISTS", tag+" OK done")
			rigPass(time.Second)
			p.send("* 4 EXISTS")
			p.answer()
		})
		c := r.client()
		c.login()
		c.say("a1 NOOP\r\n")
		c.say("a2 COMPRESS DEFLATE\r\n")
		c.must("a1 OK")
		c.must("a2 OK")
		c = rigReader(t, newFlateConn(t, c.bare()))
		c.must("* 4 EXISTS")
		c.ask("a3", "LOGOUT", "OK")
		c.end()
	})
}

// The client hears each answer without having to ask for more.
func TestCompressFlushes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c := compressed(t, rigSetup{})
		for i := range 50 {
			began := time.Now()
			c.ask(fmt.Sprintf("b%d", i), "NOOP", "OK")
			if took := time.Since(began); took > 0 {
				t.Fatalf("an answer took %v", took)
			}
		}
		c.ask("a9", "LOGOUT", "OK")
		c.end()
	})
}

// The log says how much was compressed to how much.
func TestCompressIsLogged(t *testing.T) {
	var log bytes.Buffer // the server has ended when it is read
	synctest.Test(t, func(t *testing.T) {
		r := rigStart(t, rigSetup{options: withCompress(func(o *Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })})
		(&imaptest.Backend{Store: rigStore()}).Start(t, r.back)
		c := r.client()
		c.login()
		c = c.compress()
		c.ask("a1", "LOGOUT", "OK")
		c.end()
		r.ended()
	})
	if text := log.String(); !strings.Contains(text, "compressed.up=") || !strings.Contains(text, "compressed.down=") {
		t.Error(text)
	}
}
