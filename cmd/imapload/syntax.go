package main

import (
	"bufio"
	"bytes"
	"errors"
	"strconv"
	"strings"
)

// checksumMark stands before the checksum of an appended message in the backend's answer.
const checksumMark = "checksum="

// literalAtEnd reads a literal's announcement at the end of a line: its octets, and whether the sender
// waits for a go-ahead.
func literalAtEnd(line []byte) (n int, waits, ok bool) {
	open := bytes.LastIndexByte(line, '{')
	if open < 0 || line[len(line)-1] != '}' {
		return 0, false, false
	}
	digits, atOnce := bytes.CutSuffix(line[open+1:len(line)-1], []byte("+"))
	size, err := strconv.ParseUint(string(digits), 10, 31)
	if err != nil || len(digits) > 0 && digits[0] == '+' {
		return 0, false, false
	}
	return int(size), !atOnce, true
}

// takeLiteral reads n octets and shows them piece by piece as they come.
func takeLiteral(r *bufio.Reader, n int, show func([]byte)) error {
	for n > 0 {
		if _, err := r.Peek(1); err != nil {
			return err
		}
		piece, err := r.Peek(min(n, r.Buffered()))
		if err != nil {
			return err
		}
		show(piece)
		n -= len(piece)
		if _, err := r.Discard(len(piece)); err != nil {
			return err
		}
	}
	return nil
}

var errTooLong = errors.New("a literal is too long")

// words splits a command into words and strings. Literals are read, and agreed to where their sender
// waits.
func (s *session) words(line string) (all []string, err error) {
	for {
		n, waits, ok := literalAtEnd([]byte(line))
		if !ok {
			all = append(all, split(line)...)
			if len(all) == 0 {
				all = []string{""}
			}
			return all, nil
		}
		if n > literalLimit {
			return nil, errTooLong
		}
		all = append(all, split(line[:strings.LastIndexByte(line, '{')])...)
		if waits {
			s.sayf("+ go on")
			if err := s.flush(); err != nil {
				return nil, err
			}
		}
		var literal []byte
		if err := takeLiteral(s.in, n, func(b []byte) { literal = append(literal, b...) }); err != nil {
			return nil, err
		}
		all = append(all, string(literal))
		rest, err := s.line()
		if err != nil {
			return nil, err
		}
		line = string(rest)
	}
}

// split splits at spaces, and takes quoted strings as one word without their quotes.
func split(line string) (all []string) {
	for line = strings.TrimLeft(line, " "); line != ""; line = strings.TrimLeft(line, " ") {
		if line[0] != '"' {
			word, rest, _ := strings.Cut(line, " ")
			all, line = append(all, word), rest
			continue
		}
		var word []byte
		i := 1
		for ; i < len(line) && line[i] != '"'; i++ {
			if line[i] == '\\' && i+1 < len(line) {
				i++
			}
			word = append(word, line[i])
		}
		all, line = append(all, string(word)), line[min(i+1, len(line)):]
	}
	return all
}
