package config

// later holds the keys that the configuration is going to have and that this version does not read. A
// file that uses one is told so, and not that the key is unknown: it may come from a newer version.
// Lists are written [], names that the operator chooses *.
var later = map[string]bool{
	"admin":      true,
	"pools":      true,
	"state_file": true,

	"listeners[].mode":           true,
	"listeners[].policy":         true,
	"listeners[].proxy_protocol": true,

	"backends.*.forward_id":       true,
	"backends.*.login":            true,
	"backends.*.max_sessions":     true,
	"backends.*.policy":           true,
	"backends.*.proxy_protocol":   true,
	"backends.*.source_addresses": true,
	"backends.*.weight":           true,

	"routes[].policy":           true,
	"routes[].pool":             true,
	"routes[].match.users_file": true,

	"policy.capabilities":         true,
	"policy.move_without_uidplus": true,
	"policy.quirks":               true,

	"limits.connections_exempt": true,
	"limits.connections_per_ip": true,
	"limits.sessions_per_user":  true,
}
