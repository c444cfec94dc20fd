package config

// later holds the keys that the configuration is going to have and that this version does not read. A
// file that uses one is told so, and not that the key is unknown: it may come from a newer version.
// Lists are written [], names that the operator chooses *.
var later = map[string]bool{
	"admin":      true,
	"state_file": true,

	"backends.*.login": true,
}

func isLater(schema string) bool { return later[schema] }
