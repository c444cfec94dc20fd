package imaptest

// A step is what is said in one write, and what is expected to be heard after it.
type step struct {
	says []Line
	rest []Line // heard lines, comments and blank lines
}

// steps divides lines. The first step says nothing where lines begin with something heard.
func steps(lines []Line) []step {
	out := []step{{}}
	for i, l := range lines {
		last := &out[len(out)-1]
		switch {
		case l.Says() && l.Joined && i > 0:
			last.says = append(append(last.says, last.rest...), l)
			last.rest = nil
		case l.Says():
			out = append(out, step{says: []Line{l}})
		default:
			last.rest = append(last.rest, l)
		}
	}
	return out
}

// fill returns the step with what was really heard. The expected lines give the order between the two
// ends and the places of comments; what nobody expected stands behind the last line heard.
func (s step) fill(heard []Line) []Line {
	queue := map[byte][]Line{}
	for _, l := range heard {
		queue[l.Speaker] = append(queue[l.Speaker], l)
	}
	var out []Line
	end := 0 // behind the last line heard
	for _, l := range canonicalKeepingComments(s.rest) {
		if l.Speaker != 0 {
			q := queue[l.Speaker]
			if len(q) == 0 {
				continue
			}
			l, queue[l.Speaker] = keep(l, q[0]), q[1:]
			end = len(out) + 1
		}
		out = append(out, l)
	}
	var surplus []Line
	for _, speaker := range []byte{BackendHears, ClientHears} {
		surplus = append(surplus, queue[speaker]...)
	}
	out = append(out[:end:end], append(surplus, out[end:]...)...)
	return append(s.says[:len(s.says):len(s.says)], out...)
}

// keep returns the expected line where it is the same as the heard one, so that its form stays.
func keep(expected, heard Line) Line {
	if expected.Event == heard.Event && string(expected.Data) == string(heard.Data) {
		return expected
	}
	return heard
}

// canonicalKeepingComments is [canonical] that joins nothing across a comment.
func canonicalKeepingComments(lines []Line) []Line {
	var out []Line
	from := 0
	for i, l := range lines {
		if l.Speaker == 0 {
			out = append(append(out, canonicalSame(lines[from:i])...), l)
			from = i + 1
		}
	}
	return append(out, canonicalSame(lines[from:])...)
}

// canonicalSame returns lines unchanged where they are canonical in all but form.
func canonicalSame(lines []Line) []Line {
	split := canonical(lines)
	if len(split) != len(lines) {
		return split
	}
	for i := range split {
		split[i] = keep(lines[i], split[i])
	}
	return split
}
