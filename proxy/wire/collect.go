package wire

import "errors"

// Collect reads all of the command that Next began, so that m holds every token, with literals of up to
// max octets together. grant is called before a synchronizing literal is read. Larger literals, more than
// 32 of them, or lines that are longer than MaxLine together, are a Fault. m.Tag stays valid, also with
// an error.
func (c *Commands) Collect(m *Message, max int64, grant func() error) error {
	return c.CollectUntil(m, max, grant, func([]Token) bool { return false })
}

// CollectUntil is Collect up to a literal at which stop says yes: it sees the tokens up to and with the
// one that announces the literal, which then is the last of m and still to be read.
func (c *Commands) CollectUntil(m *Message, max int64, grant func() error, stop func([]Token) bool) error {
	if c.held == nil {
		c.held, c.literals, c.heldSize = m.Clone(), 0, 0
	}
	err := c.collect(m, max, grant, stop)
	var fault *Fault
	switch {
	case err == nil:
		*m = *c.held
		c.held = nil
	case errors.As(err, &fault):
		m.Tag = c.held.Tag
		c.held = nil
	default:
		m.Tag = c.held.Tag
	}
	return err
}

func (c *Commands) collect(m *Message, max int64, grant func() error, stop func([]Token) bool) error {
	for c.inside {
		literal := &c.held.Tokens[len(c.held.Tokens)-1]
		if literal.Text == nil {
			if stop(c.held.Tokens) {
				return nil
			}
			if err := c.beginLiteral(literal, max, grant); err != nil {
				return err
			}
		}
		if err := c.holdLiteral(literal); err != nil {
			return err
		}
		if err := c.Continue(m); err != nil {
			return err
		}
		if c.length > c.MaxLine+2 {
			return faultLength
		}
		for _, t := range m.Tokens {
			c.held.Tokens = append(c.held.Tokens, t.Clone())
		}
	}
	return nil
}

func (c *Commands) beginLiteral(t *Token, max int64, grant func() error) error {
	if c.left > max-c.heldSize || c.literals == maxLiterals {
		return faultSize
	}
	if !c.lit.NonSync {
		if err := grant(); err != nil {
			return err
		}
		c.Grant()
	}
	c.literals++
	c.heldSize += c.left
	t.Text = make([]byte, 0, c.left)
	return nil
}

func (c *Commands) holdLiteral(t *Token) error {
	for c.left > 0 {
		if c.r == c.w {
			if err := c.more(); err != nil {
				return err
			}
		}
		n := int(min(c.left, int64(c.w-c.r)))
		t.Text = append(t.Text, c.b[c.r:c.r+n]...)
		c.take(n)
	}
	return nil
}

// LiteralHead reads the beginning of the announced literal, at most max octets; CopyLiteral moves the
// rest. The octets are the caller's.
func (c *Commands) LiteralHead(max int) ([]byte, error) {
	head := make([]byte, 0, min(c.left, int64(max)))
	for len(head) < cap(head) {
		if c.r == c.w {
			if err := c.more(); err != nil {
				return nil, err
			}
		}
		n := min(cap(head)-len(head), c.w-c.r)
		head = append(head, c.b[c.r:c.r+n]...)
		c.take(n)
	}
	return head, nil
}
