package wire

import "bytes"

// Text writes a status response or a continuation request, whose name is empty, with text as a peer
// sent it; a CR or NUL in it becomes a space.
func (w *Writer) Text(tag []byte, name string, text []byte) {
	w.Write(tag)
	w.text(" ")
	if name != "" {
		w.text(name)
		w.text(" ")
	}
	for {
		i := bytes.IndexAny(text, "\r\x00")
		if i < 0 {
			break
		}
		w.Write(text[:i])
		w.text(" ")
		text = text[i+1:]
	}
	w.Write(text)
	w.CRLF()
}
