//go:build !unix

package config

// descriptorLimit returns 0: this system sets no limit that could be asked for.
func descriptorLimit() uint64 { return 0 }
