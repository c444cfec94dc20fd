package config

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// A scalar reads its value from the text of the file. Its errors say what is wrong and what to do.
type scalar interface{ read(text string) error }

// duration is written as 30s, 5m or 1h30m, and is more than zero.
type duration time.Duration

func (d *duration) read(text string) error {
	v, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return errors.New(strconv.Quote(text) + " is no duration; write a number with a unit, as in 30s, 5m or 1h")
	case v <= 0:
		return errors.New(text + " is not more than zero; write a positive duration, as in 30s")
	}
	*d = duration(v)
	return nil
}

// size is a number of octets, written as 65536, 64KiB, 1MiB or 2GiB, and is more than zero.
type size int64

func (s *size) read(text string) error {
	number, shift := text, 0
	for i, unit := range []string{"KiB", "MiB", "GiB"} {
		if n, ok := strings.CutSuffix(text, unit); ok {
			number, shift = strings.TrimSpace(n), 10*(i+1)
		}
	}
	v, err := strconv.ParseInt(number, 10, 64)
	switch {
	case err != nil:
		return errors.New(strconv.Quote(text) + " is no size; write octets, as in 65536, or with a unit, as in 64KiB, 1MiB or 2GiB")
	case v <= 0:
		return errors.New(text + " is not more than zero; write a positive size, as in 64KiB")
	case v > math.MaxInt64>>shift:
		return errors.New(text + " is too large; write a smaller size")
	}
	*s = size(v << shift)
	return nil
}

// boundless is a size or the word unlimited, which is 0.
type boundless int64

func (b *boundless) read(text string) error {
	if text == "unlimited" {
		*b = 0
		return nil
	}
	if err := (*size)(b).read(text); err != nil {
		return errors.New(err.Error() + ", or unlimited")
	}
	return nil
}

// distance is the number of letters to change, add or take away that makes one word the other
// (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// nearest returns the word that was probably meant, or "".
func nearest(word string, known []string) string {
	best, least := "", 1+max(1, len(word)/3)
	for _, k := range known {
		if d := distance(strings.ToLower(word), strings.ToLower(k)); d < least {
			best, least = k, d
		}
	}
	return best
}
