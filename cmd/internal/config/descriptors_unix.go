//go:build unix

package config

import "syscall"

// descriptorLimit returns how many descriptors this process may open. The Go runtime has raised the soft
// limit to the hard one by now.
func descriptorLimit() uint64 {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return 0
	}
	return uint64(r.Cur)
}
