package wire

import "bytes"

// LoadPart is Load for a line that may be very long: it gives not many more than max tokens, and more says
// that the next call gives those behind them. The line ends a part only at a space outside lists. A *Fault
// in a later part says that the rest of the line is odd.
func (r *Responses) LoadPart(m *Message, max int) (more bool, err error) {
	if r.text || r.fault != nil && r.lineEnd > 0 {
		return false, r.Load(m)
	}
	if r.lineEnd == 0 {
		text, n, err := r.first(m)
		if err != nil {
			return false, err
		}
		r.repairCR(text)
		if r.lit, err = announcement(text, outside); err != nil {
			return false, err
		}
		m.Tag, r.lineEnd, r.fault = untagged, n, nil
		if bytes.IndexByte(text, 0) >= 0 {
			r.fault = faultNUL
		}
		r.rest = lexer{line: text, lenient: true, depth: r.depth}
	}
	var fault *Fault
	if m.Tokens, fault = r.rest.some(m.Tokens[:0], max); r.fault == nil {
		r.fault = fault
	}
	if r.fault != nil {
		m.Tokens = m.Tokens[:0]
		return false, r.fault
	}
	r.depth = r.rest.depth
	return r.rest.at < len(r.rest.line), nil
}
