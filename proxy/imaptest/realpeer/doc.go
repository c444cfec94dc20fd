//go:build unix

// Package realpeer starts real IMAP servers and clients from tests: Debian's Dovecot, Courier and GNU mailutils as
// servers, Python's imaplib, curl and mbsync as clients. Each server runs for one test, on loopback ports that the kernel chose, with
// its own folder, users, certificate and log, and is gone when the test ends.
//
// `make peers` installs what is needed. A test whose peer is missing is skipped with a line that says so; with
// IMAPGATE_REQUIRE_PEERS=1 it fails instead, so that a build cannot be green because it tested nothing.
//
// Decisions:
//
//   - Ports are reserved, not guessed: a socket of ours stays bound to the port (without listening) as long as the
//     server lives. The kernel then gives the port to nobody else, and the server may listen on it because both set
//     SO_REUSEADDR. So there is no race between choosing a port and using it.
//   - A server's folder is not t.TempDir(): that one can be entered by its owner alone (the mail is read by another
//     user when tests run as root), and its path can be too long for a Unix socket.
//   - Courier conflicts with Dovecot as a package and has its paths compiled in. It runs from the folder into which
//     it was unpacked, as the root of a mount and PID namespace of its own, so all of it ends with one process.
//   - Passwords are in files of the server's folder and never on a process list: curl gets a config file, Python's
//     arguments travel in a file, mbsync reads its own configuration.
package realpeer
