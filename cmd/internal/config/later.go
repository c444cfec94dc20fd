package config

import "strings"

// later holds the keys that the configuration is going to have and that this version does not read. A
// file that uses one is told so, and not that the key is unknown: it may come from a newer version.
// Lists are written [], names that the operator chooses *. What stands below policy counts for every
// policy.
var later = map[string]bool{
	"admin":      true,
	"state_file": true,

	"backends.*.login": true,

	"policy.capabilities":         true,
	"policy.move_without_uidplus": true,
	"policy.quirks":               true,
}

func isLater(schema string) bool {
	if i := strings.LastIndex(schema, ".policy."); i >= 0 {
		schema = schema[i+1:]
	}
	return later[schema]
}
