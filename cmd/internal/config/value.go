package config

import (
	"errors"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// A scalar reads its value from the text of the file. Its errors say what is wrong and what to do. String
// returns a text that read takes.
type scalar interface {
	read(text string) error
	String() string // "" for nothing
}

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

func (d *duration) String() string {
	if *d == 0 {
		return "" // of a policy that does not say it
	}
	text := time.Duration(*d).String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
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

func (s *size) String() string {
	n, units := int64(*s), []string{"", "KiB", "MiB", "GiB"}
	for n > 0 && n%1024 == 0 && len(units) > 1 {
		n, units = n/1024, units[1:]
	}
	return strconv.FormatInt(n, 10) + units[0]
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

func (b *boundless) String() string {
	if *b == 0 {
		return "unlimited"
	}
	return (*size)(b).String()
}

// count is a number of things that is more than zero, or the word unlimited, which is 0.
type count int

func (c *count) read(text string) error {
	if text == "unlimited" {
		*c = 0
		return nil
	}
	n, err := strconv.Atoi(text)
	switch {
	case err != nil:
		return errors.New(strconv.Quote(text) + " is no whole number; write one, as in 100, or unlimited")
	case n <= 0:
		return errors.New(text + " is not more than zero; write a positive number, or unlimited")
	}
	*c = count(n)
	return nil
}

func (c *count) String() string {
	if *c == 0 {
		return "unlimited"
	}
	return strconv.Itoa(int(*c))
}

// positive is a number of things that is more than zero; 0 is unset.
type positive int

func (p *positive) read(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 {
		return errors.New(strconv.Quote(text) + " is no number above zero; write one, as in 100")
	}
	*p = positive(n)
	return nil
}

func (p *positive) String() string {
	if *p == 0 {
		return ""
	}
	return strconv.Itoa(int(*p))
}

// fileMode is who may use a file, in octal; 0 is unset.
type fileMode uint32

func (m *fileMode) read(text string) error {
	n, err := strconv.ParseUint(text, 8, 32)
	if err != nil || n == 0 || n > 0o777 {
		return errors.New(strconv.Quote(text) + " is no file mode; write it in octal, as in 0660")
	}
	*m = fileMode(n)
	return nil
}

func (m *fileMode) String() string {
	if *m == 0 {
		return ""
	}
	return "0" + strconv.FormatUint(uint64(*m), 8)
}

// network is a range of addresses, written as 10.0.0.0/8, or one address, written as 192.0.2.1.
type network netip.Prefix

func (n *network) read(text string) error {
	if ip, err := netip.ParseAddr(text); err == nil && ip.Zone() == "" {
		*n = network(netip.PrefixFrom(ip.Unmap(), ip.Unmap().BitLen()))
		return nil
	}
	p, err := netip.ParsePrefix(text)
	switch {
	case err != nil || p.Addr().Is4In6():
		return errors.New(strconv.Quote(text) + " is no network; write it as in 10.0.0.0/8, 2001:db8::/32 or 192.0.2.1")
	case p != p.Masked():
		return errors.New(text + " has bits behind its prefix; write " + p.Masked().String() + ", or the address alone")
	}
	*n = network(p)
	return nil
}

func (n *network) String() string { return netip.Prefix(*n).String() }

func prefixes(list []network) []netip.Prefix {
	var out []netip.Prefix
	for _, n := range list {
		out = append(out, netip.Prefix(n))
	}
	return out
}

// ipAddress is one address, IPv4 or IPv6.
type ipAddress netip.Addr

func (a *ipAddress) read(text string) error {
	ip, err := netip.ParseAddr(text)
	if err != nil {
		return errors.New(strconv.Quote(text) + " is no address; write one, as in 192.0.2.1 or 2001:db8::1")
	}
	*a = ipAddress(ip.Unmap())
	return nil
}

func (a *ipAddress) String() string { return netip.Addr(*a).String() }
