package config

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
)

// firstActivated is the descriptor of the first socket that systemd hands over (sd_listen_fds(3)).
const firstActivated = 3

var errNotActivated = errors.New("systemd has handed over no socket; start imapgate by a socket unit with " +
	"FileDescriptorName=, or write an address as host:port")

// activated takes over the one socket of a name. It can be done once for each name.
func activated(name string) (net.Listener, error) {
	if os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		return nil, errNotActivated
	}
	n, err := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	if err != nil || n < 1 {
		return nil, errNotActivated
	}
	i, err := activatedIndex(name, activatedNames(n))
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(firstActivated+i), "systemd:"+name)
	defer f.Close() // the listener has its own copy of the descriptor
	ln, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("use the socket %s of systemd: %w; it must be a stream socket that listens (ListenStream=, Accept=no)", name, err)
	}
	return ln, nil
}

// activatedNames returns the names of n sockets; without LISTEN_FDNAMES all are called unknown.
func activatedNames(n int) []string {
	names := strings.Split(os.Getenv("LISTEN_FDNAMES"), ":")
	if len(names) != n {
		return slices.Repeat([]string{"unknown"}, n)
	}
	return names
}

func activatedIndex(name string, names []string) (int, error) {
	i := slices.Index(names, name)
	switch {
	case i < 0:
		return 0, fmt.Errorf("systemd has handed over no socket %s but %s; correct the name or FileDescriptorName= in the socket unit", name, strings.Join(names, ", "))
	case slices.Contains(names[i+1:], name):
		return 0, fmt.Errorf("systemd has handed over more than one socket %s; write a socket unit for each, with its own FileDescriptorName=", name)
	}
	return i, nil
}
