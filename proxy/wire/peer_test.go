package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
)

// A peer is a source that gives data in pieces, and where late is set an expired deadline before each.
type peer struct {
	data  []byte
	size  func() int
	late  bool
	ready bool
}

func (p *peer) Read(b []byte) (int, error) {
	if p.late && !p.ready {
		p.ready = true
		return 0, os.ErrDeadlineExceeded
	}
	p.ready = false
	if len(p.data) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.data[:min(max(p.size(), 1), len(p.data))])
	p.data = p.data[n:]
	return n, nil
}

// A piped peer fills pipes, too.
type piped struct{ *peer }

func (piped) Plain() bool { return false }

func (p piped) Fill(to *Pipe) (int, error) {
	if to.b == nil {
		to.b = borrowLarge()
	}
	n, err := p.Read(to.b[:min(to.rest, largeBuffer)])
	to.held = n
	return n, err
}

// A hearer keeps what is written. Of a pipe it takes a part at a time.
type hearer struct{ bytes.Buffer }

func (*hearer) Plain() bool { return false }

func (h *hearer) Drain(p *Pipe) error {
	n := (p.held + 1) / 2
	h.Write(p.b[:n])
	p.held = copy(p.b, p.b[n:p.held])
	return nil
}

func whole() int   { return 1 << 30 }
func oneByte() int { return 1 }

// cuts gives piece sizes from the octets of plan, over and over.
func cuts(plan []byte) func() int {
	if len(plan) == 0 {
		return whole
	}
	i := -1
	return func() int {
		i = (i + 1) % len(plan)
		return 1 + int(plan[i])
	}
}

// again repeats f while the source's deadline expires.
func again(f func() error) error {
	for {
		if err := f(); !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
	}
}

// show writes tokens so that two lists look alike exactly when they mean the same: | is a space that
// counts.
func show(b *strings.Builder, tokens []Token, last Kind) Kind {
	for _, t := range tokens {
		if last != Open && t.Kind != Close && !t.Glued {
			b.WriteByte('|')
		}
		last = t.Kind
		switch t.Kind {
		case Open:
			b.WriteByte('(')
		case Close:
			b.WriteByte(')')
		case Atom:
			fmt.Fprintf(b, "%s", t.Text)
		case Quoted:
			fmt.Fprintf(b, "%q", t.Text)
		case Literal:
			fmt.Fprintf(b, "L%d", t.Size)
			if t.NonSync {
				b.WriteByte('+')
			}
			if t.Binary {
				b.WriteByte('~')
			}
			if t.Text != nil {
				fmt.Fprintf(b, "=%q", t.Text)
			}
		}
	}
	return last
}

// A reading of a command stream: what was understood, one line a command, and what was written anew.
type reading struct {
	log   []string
	good  []string // the commands without a fault
	wrote []byte   // those, written anew
	most  int      // the largest buffer

	m Message // read last
}

// readCommands reads all of src as a session does that streams literals, and asks for the same command again first.
func readCommands(src io.Reader, set func(*Commands)) *reading {
	c := NewCommands(src)
	if set != nil {
		set(c)
	}
	g := &reading{}
	for {
		line, wrote, err := g.command(c)
		g.most = max(g.most, len(c.b))
		var fault *Fault
		switch {
		case err == nil:
			g.log = append(g.log, line)
			g.good = append(g.good, line)
			g.wrote = append(g.wrote, wrote...)
			continue
		case errors.As(err, &fault):
			g.log = append(g.log, strings.TrimRight(line, " ")+" !"+fault.Text)
			err = again(c.Discard)
		}
		g.most = max(g.most, len(c.b))
		if err != nil {
			g.log = append(g.log, "end: "+err.Error())
			return g
		}
	}
}

func (g *reading) command(c *Commands) (line string, wrote []byte, err error) {
	var log strings.Builder
	var out bytes.Buffer
	w := NewWriter(&out)
	w.Begin()
	defer func() {
		if werr := w.EndFlush(); werr != nil && err == nil {
			err = werr
		}
		line, wrote = log.String(), out.Bytes()
	}()
	m := &g.m
	if !c.Again(m) {
		err = again(func() error { return c.Next(m) })
	}
	fmt.Fprintf(&log, "%s %s ", m.Tag, m.Name)
	if err != nil {
		return
	}
	w.Head(m.Tag, m.Name)
	var last Kind
	for {
		last = show(&log, m.Tokens, last)
		w.Tokens(m.Tokens)
		t, ok := m.Literal()
		if !ok {
			w.CRLF()
			return
		}
		w.LiteralHead(t)
		var held hearer
		lw := NewWriter(&held)
		if err = again(func() error { return c.CopyLiteral(lw) }); err != nil {
			return
		}
		if err = lw.Flush(); err != nil {
			return
		}
		w.Write(held.Bytes())
		fmt.Fprintf(&log, "=%q", held.Bytes())
		g.most = max(g.most, len(c.b))
		if err = again(func() error { return c.Continue(m) }); err != nil {
			return
		}
	}
}

func equalLogs(t *testing.T, what string, got, want []string) {
	t.Helper()
	for i := 0; i < max(len(got), len(want)); i++ {
		var g, w string
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			t.Fatalf("%s: line %d\n got %.300q\nwant %.300q", what, i, g, w)
		}
	}
}
