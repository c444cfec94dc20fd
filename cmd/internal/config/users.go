package config

import "github.com/imapgate/imapgate/routing/lookup/usersfile"

// A UsersFile is a file of user names and globs, one a line, that is read anew when it changes. It is a
// [routing.UserSet].
type UsersFile struct {
	*usersfile.File
	// Name is the path as the configuration has it.
	Name string

	path string // absolute
}

// Len returns the number of different names and globs in use.
func (u *UsersFile) Len() int { return u.Entries() }
