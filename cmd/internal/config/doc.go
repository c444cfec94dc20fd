// Package config reads the configuration file and turns it into the values that the proxy runs with.
//
// The file is YAML and read strictly: defaults first, then what is written; a key that nobody knows is an
// error. Every mistake is reported at once, each as
//
//	file:line: key.path: what is wrong; what to do
//
// [Load] reads everything that the configuration names (certificates, authorities, users_files) and builds
// everything that can fail (TLS configurations, the routing table); it opens no port and asks no network. A
// [Config] is therefore known to be sound.
//
// # While it runs
//
// [Config.Watch] reads certificates and users_files again when they change; what cannot be used is reported
// and the old content stays. [Config.Reload] makes a new Config of the same file, all or nothing, and
// [Config.TakeOver] hands the listeners' TLS on to it. Both leave the old Config as it was, so sessions may
// keep what they have of it.
//
// # To add a key
//
// A field with its yaml tag in file.go (the tag "choices" for a fixed set of words, "secret" for what must not
// be printed), its default beside it, its check in one of check*.go, a testdata/invalid-*.yaml for each
// mistake, and a line in config.example.yaml; a test fails when that line is missing. Its row in later.go, if
// any, goes. A key of the policy also needs its leaf in policy.go.
package config
