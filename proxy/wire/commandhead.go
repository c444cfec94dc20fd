package wire

import "bytes"

// chomp removes CRLF and looks for what may not stand in a line.
func chomp(line []byte) ([]byte, *Fault) {
	text := trimLineEnd(line)
	if len(line)-len(text) == 2 && isSafe(text) {
		return text, nil
	}
	switch {
	case len(line)-len(text) != 2:
		return text, faultBareLF
	case bytes.IndexByte(text, '\r') >= 0:
		return text, faultBareCR
	case bytes.IndexByte(text, 0) >= 0:
		return text, faultNUL
	}
	return text, nil
}

// isSafe reports a short line without CR and NUL. Longer ones are searched faster otherwise.
func isSafe(text []byte) bool {
	if len(text) > 64 {
		return false
	}
	for _, c := range text {
		if !lineSafe[c] {
			return false
		}
	}
	return true
}

func trimLineEnd(line []byte) []byte {
	n := len(line)
	if n > 0 && line[n-1] == '\n' {
		n--
	}
	if n > 0 && line[n-1] == '\r' {
		n--
	}
	return line[:n]
}

// cutTag splits a command line behind its tag: ASTRING-CHARs except "+" (RFC 3501 section 9).
func cutTag(text []byte) (tag, rest []byte, ok bool) {
	i := 0
	for i < len(text) && i <= maxTag && tagSafe[text[i]] {
		i++
	}
	if i == 0 || i > maxTag || i < len(text) && text[i] != ' ' {
		return nil, text, false
	}
	return text[:i], text[i:], true
}

// tagSafe says what may stand in a tag.
var tagSafe = func() (safe [256]bool) {
	for c := range safe {
		safe[c] = classes[c] == classAtom && !bytes.ContainsRune([]byte(`%*\+`), rune(c))
	}
	return safe
}()

// cutName splits what follows the tag behind the command name; UID is joined with the next word.
func cutName(text []byte) (name string, rest []byte, fault *Fault) {
	word, rest, ok := cutWord(text)
	if !ok {
		return "", text, faultName
	}
	if len(word) != 3 || !equalFold(word, "UID") {
		return intern(word), rest, nil
	}
	if word, rest, ok = cutWord(rest); !ok {
		return "", text, faultName
	}
	return joinUID(word), rest, nil
}

func cutWord(text []byte) (word, rest []byte, ok bool) {
	for len(text) > 0 && text[0] == ' ' {
		text = text[1:]
	}
	i := 0
	for i < len(text) && isNameChar(text[i]) {
		i++
	}
	if i == 0 || i > maxName || i < len(text) && text[i] != ' ' {
		return nil, text, false
	}
	return text[:i], text[i:], true
}

func isNameChar(c byte) bool {
	return 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_'
}
