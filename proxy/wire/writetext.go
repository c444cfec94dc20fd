package wire

// Text writes a status response or a continuation request, whose name is empty, with text as a peer
// sent it; CR, LF and NUL in it become spaces. An empty text of a status response becomes its name,
// because RFC 3501 demands at least one character.
func (w *Writer) Text(tag []byte, name string, text []byte) {
	if w.shortText(tag, name, text) {
		return
	}
	w.said = 0
	w.Write(tag)
	w.text(" ")
	if name != "" {
		w.text(name)
		w.text(" ")
		if len(text) == 0 {
			w.text(name)
		}
	}
	for i := 0; i < len(text); i++ {
		if !lineSafe[text[i]] {
			w.Write(text[:i])
			w.text(" ")
			text, i = text[i+1:], -1
		}
	}
	w.Write(text)
	w.CRLF()
}

// shortText is Text for what fits into the buffer and is as it should be; false where it is not.
func (w *Writer) shortText(tag []byte, name string, text []byte) bool {
	b := w.room(len(tag) + len(name) + len(text) + 4)
	if b == nil || name == "" || len(text) == 0 {
		return false
	}
	b = putTag(b, tag)
	b[0] = ' '
	n := 1 + copy(b[1:], name)
	b[n] = ' '
	n++
	for _, c := range text {
		if !lineSafe[c] {
			return false
		}
		b[n] = c
		n++
	}
	b[n], b[n+1] = '\r', '\n'
	w.said = uint16(w.n + len(tag))
	w.n += len(tag) + n + 2
	return true
}

// shortToken is Token for one that fits into the buffer and is as it should be; false where it is not.
func (w *Writer) shortToken(t *Token) bool {
	b := w.room(len(t.Text) + 3)
	if b == nil {
		return false
	}
	n := 0
	if w.last != Open && t.Kind != Close && !t.Glued {
		b[0] = ' '
		n = 1
	}
	switch t.Kind {
	case Open:
		b[n] = '('
		n++
	case Close:
		b[n] = ')'
		n++
	case Atom:
		for _, c := range t.Text {
			if !atomSafe[c] {
				return false
			}
			b[n] = c
			n++
		}
	default:
		return false
	}
	w.n += n
	w.last = t.Kind
	return true
}
