// Package usersfile reads sets of users from files that change while the proxy runs.
//
// A file has one user name or glob a line: UTF-8, in any case, spaces around it do not count. A "#" that
// begins a line or stands behind a space begins a comment. A name without "@" gets the default domain,
// as user names do; a glob does not.
//
// A table is replaced whole or not at all. It is kept when the file cannot be read, names nobody, has a
// line that is no name, or has lost more than 10 % and more than 10 of its entries: a file that
// another program is only half through writing must not send users back to the server that they left.
package usersfile
