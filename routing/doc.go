// Package routing says who goes where. A [Table] is immutable: its routes are tried in order, and the
// first that matches the user names a backend. What changes while the proxy runs (who has how many
// sessions) is a [State], which outlives the table: a new table that is made with the same State sees
// the sessions that the old one began.
//
// The package never dials and asks no source; it needs the standard library only. A table and a state
// may be used by any number of goroutines, a [Choice] by one.
package routing
