package translate

import (
	"bytes"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/imapgate/imapgate/proxy/wire"
)

// headerSink reads MIME headers, and passes what else a response holds.
func (b *binaryFetch) headerSink(m *wire.Message) (Verdict, error) {
	return b.look(m, func(num uint32, name string, value *partValue) error {
		info := b.info(num)
		if info == nil {
			return nil
		}
		text, err := value.text(maxPartHeader)
		if err != nil {
			return err
		}
		if name == "BODY[HEADER.FIELDS" {
			p := &info[slices.Index(b.parts, "1")]
			p.inHeader, p.single = headerField(text, "Content-Transfer-Encoding"), !isMultipart(text)
			return nil
		}
		part, _ := strings.CutSuffix(strings.TrimPrefix(name, "BODY["), ".MIME]")
		if i := slices.Index(b.parts, part); i >= 0 {
			info[i].encoding = headerField(text, "Content-Transfer-Encoding")
			info[i].multi = isMultipart(text)
		}
		return nil
	})
}

func isMultipart(header []byte) bool {
	return strings.HasPrefix(headerField(header, "Content-Type"), "multipart/")
}

// measureSink counts what the parts are when they are decoded.
func (b *binaryFetch) measureSink(m *wire.Message) (Verdict, error) {
	return b.look(m, func(num uint32, name string, value *partValue) error {
		i := slices.Index(b.parts, strings.TrimSuffix(strings.TrimPrefix(name, "BODY["), "]"))
		info := b.info(num)
		if info == nil || i < 0 || newDecoder(info[i].cte(), nil) == nil {
			return nil
		}
		p := &info[i]
		c := &counter{}
		d := newDecoder(p.cte(), c)
		if err := value.copy(&tolerant{w: d, failed: &p.failed}); err != nil {
			return err
		}
		p.failed = p.failed || d.Close() != nil
		p.size, p.binary = c.size, c.nul
		return nil
	})
}

// info is what is known of a message; it is made at the first sight, up to one more than are allowed.
func (b *binaryFetch) info(num uint32) []partInfo {
	if b.known[num] == nil && len(b.known) <= maxBinaryMessages {
		b.known[num] = make([]partInfo, len(b.parts))
	}
	return b.known[num]
}

// A counter counts octets.
type counter struct {
	size int64
	nul  bool
}

func (c *counter) Write(p []byte) (int, error) {
	c.size += int64(len(p))
	c.nul = c.nul || bytes.IndexByte(p, 0) >= 0
	return len(p), nil
}

// A tolerant writer reads on past a decoder's error, so that the response is read to its end.
type tolerant struct {
	w      io.Writer
	failed *bool
}

func (t *tolerant) Write(p []byte) (int, error) {
	if !*t.failed {
		_, err := t.w.Write(p)
		*t.failed = err != nil
	}
	return len(p), nil
}

// A partValue is the value of one item of a FETCH response.
type partValue struct {
	token wire.Token
	body  Body
	read  bool // the literal was read
}

// copy moves the value to w; NIL is empty.
func (v *partValue) copy(w io.Writer) error {
	switch {
	case v.token.Kind == wire.Literal && v.token.Text == nil:
		v.read = true
		return v.body.Copy(w)
	case v.token.Is("NIL"):
		return nil
	}
	_, err := io.WriteString(w, v.token.Value())
	return err
}

// text holds the value up to max octets; what is behind them is dropped.
func (v *partValue) text(max int) ([]byte, error) {
	var held bytes.Buffer
	err := v.copy(&limited{w: &held, left: int64(max)})
	return held.Bytes(), err
}

// A limited writer passes what lies between skip and left octets behind it, and drops the rest.
type limited struct {
	w          io.Writer
	skip, left int64
}

func (l *limited) Write(p []byte) (int, error) {
	total := len(p)
	n := min(l.skip, int64(len(p)))
	p, l.skip = p[n:], l.skip-n
	p = p[:min(l.left, int64(len(p)))]
	l.left -= int64(len(p))
	if len(p) > 0 {
		if _, err := l.w.Write(p); err != nil {
			return 0, err
		}
	}
	return total, nil
}

// A take gets the value of a BODY item.
type take func(num uint32, name string, value *partValue) error

// look reads a response to a command of ours: take gets the value of each BODY item; what else there is
// besides a UID goes to the client, because it may be news.
func (b *binaryFetch) look(m *wire.Message, take take) (Verdict, error) {
	b.follow(m)
	if m.Name != "FETCH" || !isAnswer(m) {
		return Pass, nil
	}
	l := looker{num: m.Num, body: b.x.Body(), take: take}
	for {
		more, err := l.line(m)
		if err != nil {
			return Drop, err
		}
		if !more {
			break
		}
		if err := l.body.Next(m); err != nil {
			return Drop, err
		}
	}
	if l.news {
		out := l.body.Writer()
		out.Numbered(l.num, "FETCH")
		out.Tokens(l.rest)
		out.CRLF()
	}
	return Drop, l.body.End()
}

// A looker is one response that is being read.
type looker struct {
	num  uint32
	body Body
	take take
	walk fetchWalk
	name string
	ours bool         // the item is one of BODY
	news bool         // there is more than BODY and UID
	rest []wire.Token // all but BODY
}

// line reads the tokens of one line and the literal at its end; more says that there was one.
func (l *looker) line(m *wire.Message) (more bool, err error) {
	for i := range m.Tokens {
		t := m.Tokens[i]
		r := l.walk.next(&t)
		more = t.Kind == wire.Literal && t.Text == nil
		switch {
		case r == itemName:
			l.name = strings.ToUpper(string(t.Text))
			l.ours = strings.HasPrefix(l.name, "BODY[")
			l.news = l.news || !l.ours && l.name != "UID"
		case r == framing:
			l.ours = false
		case r == itemValue && l.ours:
			value := &partValue{token: t, body: l.body}
			if err := l.take(l.num, l.name, value); err != nil {
				return more, err
			}
			if more && !value.read {
				err = l.body.Copy(io.Discard)
			}
			if more || err != nil {
				return more, err
			}
		}
		switch {
		case more: // of an item that nobody asked for, which is no news then
			l.news = false
			return true, l.body.Copy(io.Discard)
		case !l.ours && len(l.rest) < maxRest:
			l.rest = append(l.rest, t.Clone())
		}
	}
	return false, nil
}

// maxRest bounds the tokens that are held of a response; flags and a few numbers are far fewer.
const maxRest = 1000

// fetchSink passes a response to the client, with BINARY in the place of BODY.
func (b *binaryFetch) fetchSink(m *wire.Message) (Verdict, error) {
	b.follow(m)
	if m.Name != "FETCH" || !isAnswer(m) && b.known[m.Num] == nil {
		return Pass, nil
	}
	p := &passer{b: b, num: m.Num, body: b.x.Body()}
	p.out = p.body.Writer()
	p.out.Numbered(m.Num, "FETCH")
	for {
		more, err := p.line(m)
		if err != nil {
			return Drop, err
		}
		if !more {
			break
		}
		if err := p.body.Next(m); err != nil {
			return Drop, err
		}
	}
	p.out.CRLF()
	return Drop, p.body.End()
}

// A passer is one response that is being written for the client.
type passer struct {
	b    *binaryFetch
	num  uint32
	body Body
	out  *wire.Writer
	walk fetchWalk
	item *section // whose value comes next
	skip bool     // the value that comes next
}

func (p *passer) line(m *wire.Message) (more bool, err error) {
	for i := range m.Tokens {
		t := m.Tokens[i]
		r := p.walk.next(&t)
		more = t.Kind == wire.Literal && t.Text == nil
		switch {
		case r == itemName && p.b.bare && t.Is("UID"):
			p.skip = true
		case r == itemValue && p.skip:
			p.skip = false
		case r == itemName && p.wanted(t):
		case r == itemValue && p.item != nil:
			err = p.part(t)
			p.item = nil
		case more:
			p.out.LiteralHead(t)
			err = p.body.Copy(p.out)
		case r == framing && t.Kind == wire.Close:
			p.sizes()
			p.out.Token(&t)
		default:
			p.out.Token(&t)
		}
		if err != nil || more {
			return more, err
		}
	}
	return false, nil
}

// wanted reports whether an item stands for one of the client's; then its name is written by part.
func (p *passer) wanted(t wire.Token) bool {
	if t.Kind != wire.Atom || t.Text[len(t.Text)-1] != ']' {
		return false
	}
	s, ok := parseSection(t.Text)
	if !ok || s.name != "BODY" {
		return false
	}
	i := slices.IndexFunc(p.b.asked, func(a section) bool { return a.part == s.part && a.name != "BINARY.SIZE" })
	if i >= 0 {
		p.item = &p.b.asked[i]
	}
	return i >= 0
}

// info is what is known of the part of an item.
func (p *passer) info(part string) (info partInfo, known bool) {
	all := p.b.known[p.num]
	if all == nil {
		return info, part == ""
	}
	return all[slices.Index(p.b.parts, part)], true
}

// part writes one item, decoded. Of a message that nothing is known of it writes nothing.
func (p *passer) part(t wire.Token) error {
	value := &partValue{token: t, body: p.body}
	info, known := p.info(p.item.part)
	if !known {
		p.b.short = true
		return value.copy(io.Discard)
	}
	name := wire.Word("BINARY[" + p.item.part + "]" + p.item.origin())
	p.out.Token(&name)
	if t.Is("NIL") {
		p.out.Token(&t)
		return nil
	}
	size := info.size
	if cte := info.cte(); t.Kind == wire.Literal && isPlain(cte) {
		size = t.Size
	} else if t.Kind != wire.Literal && isPlain(cte) {
		size = int64(len(t.Value()))
	}
	skip, n := p.item.cut(size)
	p.out.LiteralHead(wire.Token{Kind: wire.Literal, Size: n, Binary: info.binary})
	c := &counter{}
	d := newDecoder(info.cte(), io.MultiWriter(c, &limited{w: p.out, skip: skip, left: n}))
	if err := value.copy(d); err != nil {
		return err
	}
	if err := d.Close(); err != nil || c.size != size {
		return errCTE // what the client was promised does not come: its stream is torn
	}
	return nil
}

// sizes writes the sizes that were asked for.
func (p *passer) sizes() {
	for _, s := range p.b.asked {
		if s.name != "BINARY.SIZE" {
			continue
		}
		info, known := p.b.known[p.num]
		if !known {
			p.b.short = true
			return
		}
		name, size := wire.Word("BINARY.SIZE["+s.part+"]"), wire.Word(strconv.FormatInt(info[slices.Index(p.b.parts, s.part)].size, 10))
		p.out.Token(&name)
		p.out.Token(&size)
	}
}

// origin is how a part of the octets is told: <offset>.
func (s *section) origin() string {
	if s.offset < 0 {
		return ""
	}
	return "<" + strconv.FormatInt(s.offset, 10) + ">"
}

// cut returns which of size octets were asked for.
func (s *section) cut(size int64) (skip, n int64) {
	if s.offset < 0 {
		return 0, size
	}
	skip = min(s.offset, size)
	return skip, min(s.length, size-skip)
}

// isAnswer reports whether a FETCH response is the answer to an item with a section; the tokens of its
// first line tell, because UID and FLAGS fit into one.
func isAnswer(m *wire.Message) bool {
	return slices.ContainsFunc(m.Tokens, func(t wire.Token) bool {
		return t.Kind == wire.Atom && len(t.Text) > 5 && bytes.EqualFold(t.Text[:5], []byte("BODY["))
	})
}
