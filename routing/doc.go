// Package routing says who goes where. A [Table] is immutable: its routes are tried in order, and the
// first that matches a login names a pool or a backend. What changes while the proxy runs (who has how
// many sessions, which backend could not be reached) is a [State], which outlives the table: a new
// table that is made with the same State sees the sessions that the old one began.
//
// The members of a pool serve the same mail only where the operator says so (SharedStore). Only there
// is a second backend tried after the first. Elsewhere each user has one home: a client that is shown
// an empty mailbox throws away what it has of the full one. So a home is found by a hash over the
// configured members, however they fare, and hash.go is a contract: a change there moves every user.
//
// The package never dials and asks no source; it needs the standard library only. A table and a state
// may be used by any number of goroutines, a [Choice] by one.
package routing
