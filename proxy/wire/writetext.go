package wire

// Text writes a status response or a continuation request, whose name is empty, with text as a peer
// sent it; CR, LF and NUL in it become spaces. An empty text of a status response becomes its name,
// because RFC 3501 demands at least one character.
func (w *Writer) Text(tag []byte, name string, text []byte) {
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
